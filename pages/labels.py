"""Global, local and final labels: image by image, and over the data set with other settings (Sec. 3.2-3.3, Eq. 5-7)."""

from __future__ import annotations

import numpy as np
import streamlit as st

from app import figures, loaders
from app.widgets import current_run, friendly_errors, page_header, pick_image, require, show_figure
from ccd_core.bias import clip_bias
from ccd_core.labels import final_labels, initial_labels, local_labels
from ccd_core.metrics import average_precision, summary

run = current_run()
page_header(
    "Labels",
    "What does CLIP say of the whole image, of its local views, and what is trained on?",
    "The initial label is CLIP's debiased opinion of the whole image; the local label the strongest opinion over the image's local views; the final label, which the classifier "
    "is trained on, mixes both. An image without views keeps its initial label.",
    r"l^{final} = \alpha\, l^{initial} + (1 - \alpha)\, l^{local}",
)
require(run, "labels.npz", "labels")
labels, p = loaders.label_arrays(run), loaders.global_arrays(run)["p_global"]
ids, classes = labels["ids"], run.classes
truth = loaders.targets(run, "train", ids)

one, all_images = st.tabs(["One image", "The whole data set"])
with one:
    image = pick_image(ids.tolist())
    row = ids.tolist().index(image)
    left, right = st.columns([2, 3])
    with left, friendly_errors():
        st.image(
            loaders.jpeg(str(loaders.image_path(run, image)), 640), caption=f"{image}, {int(labels['n_views'][row])} views", output_format="JPEG"
        )
    kinds = {"global": p[row], "initial": labels["initial"][row], "local": labels["local"][row], "final": labels["final"][row]}
    if truth is not None and row in truth[0]:
        kinds = {"ground truth": truth[1][truth[0].index(row)]} | kinds
    with right:
        show_figure(figures.label_bars(classes, kinds), key="label_bars")

with all_images:
    settings = run.config
    columns = st.columns(4)
    alpha = columns[0].slider("alpha, weight of the initial label", 0.0, 1.0, float(settings.labels.alpha), 0.05, key="alpha", bind="query-params")
    floor = columns[1].slider("floor under probabilities", 0.0, 0.2, float(settings.bias.floor), 0.01, key="floor", bind="query-params")
    most = max(float(np.log(len(classes))), float(settings.bias.entropy_threshold)) + 0.1
    threshold = columns[2].slider(
        "entropy threshold (nats)", 0.05, most, float(settings.bias.entropy_threshold), 0.05, key="entropy", bind="query-params"
    )
    debiased = columns[3].toggle("debias", settings.bias.mode != "none", key="debias", bind="query-params")

    mode = "none" if not debiased else "class" if settings.bias.mode == "none" else settings.bias.mode
    chosen = settings.changed(labels={"alpha": alpha}, bias={"floor": floor, "entropy_threshold": threshold, "mode": mode})
    bias = clip_bias(p, threshold)
    initial = final = initial_labels(p, bias, chosen)
    if run.has("views.parquet"):
        views = loaders.views(run)
        place = {name: i for i, name in enumerate(ids.tolist())}
        local = local_labels(len(ids), views["image"].map(place).to_numpy(int), loaders.view_probabilities(run), bias, chosen)
        final = final_labels(initial, local, chosen)
    columns = st.columns(2)
    if truth is not None:
        rows, targets = truth
        measures = {"this run's final": labels["final"], "global": p, "initial, as set": initial, "final, as set": final}
        measures = {name: {key: 100 * value for key, value in summary(values[rows], targets).items()} for name, values in measures.items()}
        with columns[0]:
            show_figure(figures.measure_bars(measures), key="label_measures")
        columns[0].caption(
            "Dividing a class by its bias keeps its ranking and so its AP; the floor and the cap at 1 make ties, which cost mAP. What debiasing gives shows in F1 at 0.5."
        )
        aps = {"as set": average_precision(final[rows], targets), "this run": average_precision(labels["final"][rows], targets)}
        percent = {name: {c: None if np.isnan(v) else 100 * v for c, v in zip(classes, values, strict=True)} for name, values in aps.items()}
        with columns[1]:
            show_figure(figures.ap_bars(percent), key="label_ap")
    else:
        columns[0].info(
            "There is no ground truth for these images, so labels cannot be scored. The counts on the right show what the settings change."
        )
        with columns[1]:
            show_figure(figures.count_bars(classes, {"final label > 0.5": (final > 0.5).sum(0)}), key="label_counts")
    st.caption(
        f"To train with these settings: `ccd run --config {run.path}/config.yaml --set labels.alpha={alpha:g} --set bias.floor={floor:g} --set bias.entropy_threshold={threshold:g} --set bias.mode={mode}`"
    )
