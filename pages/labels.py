"""Global, local and final labels: image by image, and over the data set with other settings (Sec. 3.2-3.3, Eq. 5-7)."""

from __future__ import annotations

import shlex

import numpy as np
import streamlit as st

from app.components.gallery import gallery
from app.components.view_cards import crops, marked_image, view_cards
from app.figures import labels as figures_labels
from app.reading import ground_truth as datasets
from app.reading import runs as loaders
from app.reading.labels import (
    Labels,
    class_figure,
    entropy_slider,
    follow_run,
    global_evidence,
    new_labels,
    pick_part,
    run_labels,
    true_counts,
    true_rates,
    which_images,
)
from app.routes import image_url
from app.widgets import (
    choose_image,
    current_run,
    friendly_errors,
    literal,
    metric_row,
    page_header,
    pick_class,
    pick_image,
    require,
    show_figure,
)
from ccd_core.explore.relabel import Relabelled
from ccd_core.runs.run import Run

TOP = 8  # classes of an image that are shown at first
GAINED = 15  # images whose labels change most

ONE, ALL = "One image", "The whole data set"
PART = "label_part"
SCORES, BY_CLASS, CHANGED = "How good they are", "Class by class", "Images that change most"
UNSCORED = "Their distribution"


def one_image(run: Run) -> None:
    ids, row_of = loaders.image_ids(run)
    image = pick_image(ids, row_of)
    assert image is not None  # no run is without images
    row, classes, labels = row_of[image], run.classes, loaders.label_arrays(run)
    kinds = {
        "global": loaders.global_arrays(run)["p_global"][row],
        **{kind: labels[kind][row] for kind in ("initial", "local", "final")},
    }
    truth = datasets.image_truth(run, image)
    if truth is not None:
        kinds = {"ground truth": truth[0]} | kinds
    views = loaders.views_of(run, image) if run.has("views.parquet") else None
    probabilities = (
        np.empty((0, len(classes)), np.float32)
        if views is None
        else loaders.view_probabilities(run)[views.index]
    )
    frame = run.config.views.frame
    boxes = (
        [tuple(side / frame for side in box) for box in views[["x0", "y0", "x1", "y1"]].to_numpy().tolist()]
        if views is not None
        else []
    )

    left, right = st.columns([2, 3], gap="large")
    with left:
        marked_image(image_url(run.name, image, 640), image, boxes)
        st.caption(f"{literal(image)}: {len(boxes)} local views" + without_views(run, row, len(boxes)) + ".")
    with right:
        every = st.toggle("All classes", key="all", bind="query-params") if len(classes) > TOP else True
        shown = figures_labels.most_labelled(kinds, len(classes) if every else TOP)
        best_view = probabilities.argmax(0) if len(probabilities) else None
        class_figure(figures_labels.label_bars(classes, kinds, shown, best_view), "label_bars")
        st.caption(
            "Global: CLIP's probability for the whole image. Initial: debiased. Local: debiased maximum over the views. Final: what is trained on."
            + (" ● and bold: truly in the image." if truth is not None else "")
        )
    if views is None or best_view is None:
        return
    st.header("What CLIP says of each view", anchor=False)
    given = {
        number: [
            classes[c]
            for c in shown
            if best_view[c] == number and labels["local"][row, c] >= figures_labels.GIVEN
        ]
        for number in range(len(boxes))
    }
    cards = []
    for number, (view, p) in enumerate(zip(views.itertuples(), probabilities, strict=True)):
        sees = [(classes[c], float(p[c])) for c in np.argsort(-p)[:3]]
        cards.append({"title": f"view of {view[2]}", "sees": sees, "gives": given[number]})
    with friendly_errors():
        path = loaders.image_path(run, image)
        view_cards(crops(str(path), tuple(boxes), path.stat().st_mtime_ns), cards)
    st.caption(
        "Each view was cut around the classifier's map of one class, but CLIP says what it sees there of every class; each class keeps the strongest."
    )


def without_views(run: Run, row: int, views: int) -> str:
    """What becomes of the final label where that is not a mix of the two others."""
    if row in global_evidence(run).none:
        return ", and it is taken to show none of the classes: its final labels are 0"
    if views:
        return ""
    if run.has("views.parquet") and not run.config.labels.views_required:
        return ", so its local label is that of a probability of 0 in every class"
    return ", so its final label is its initial one"


@st.fragment
@friendly_errors()
def whole_data_set(run: Run) -> None:
    settings = run.config
    own = {"alpha": float(settings.labels.alpha), "floor": float(settings.bias.floor)}
    debias = settings.bias.mode != "none"
    follow_run(run, own | {"debias": debias, "entropy": float(settings.bias.entropy_threshold)})
    columns = st.columns([3, 3, 3, 2], vertical_alignment="bottom")
    alpha = columns[0].slider(
        "alpha, weight of the initial label",
        0.0,
        1.0,
        own["alpha"],
        0.05,
        key="alpha",
        bind="query-params",
        help=f"The run used {own['alpha']:g} (Eq. 7).",
    )
    floor = columns[1].slider(
        "floor under probabilities",
        0.0,
        max(0.2, own["floor"]),
        own["floor"],
        0.01,
        key="floor",
        bind="query-params",
        help=f"The run used {own['floor']:g}.",
    )
    with columns[2]:
        threshold, _ = entropy_slider(run)
    debiased = columns[3].toggle(
        "debias",
        debias,
        key="debias",
        bind="query-params",
        help="Divide each class by its CLIP bias (Sec. 3.3).",
    )
    mode = "none" if not debiased else settings.bias.mode if debias else "class"
    if not run.has("views.parquet"):
        st.info(
            "This run took no local views (labels.update is off), so alpha changes nothing.",
            icon=":material/info:",
        )

    of_run, of_clip = run_labels(run)
    made, as_set = new_labels(run, alpha, floor, threshold, mode)
    changes = {
        "labels.alpha": alpha,
        "bias.floor": floor,
        "bias.entropy_threshold": threshold,
        "bias.mode": mode,
    }
    train_with(run, changes)

    if as_set.measures is None:
        st.info(
            f"{datasets.why_no_truth(run)} Without it labels cannot be scored; the figures show what the settings change.",
            icon=":material/info:",
        )
    else:
        label_numbers(run, of_run, as_set)
        if compared := which_images(run):
            st.caption(compared)
    draw = {
        UNSCORED if as_set.measures is None else SCORES: lambda: how_good(of_clip, of_run, as_set),
        BY_CLASS: lambda: class_by_class(run, of_run, as_set),
        CHANGED: lambda: most_changed(run, of_run, made),
    }
    draw[pick_part(list(draw), PART)]()


def label_numbers(run: Run, of_run: Labels, as_set: Labels) -> None:
    assert of_run.measures is not None and as_set.measures is not None
    before, after = of_run.measures.summary, as_set.measures.summary
    truth = true_rates(run)
    distances = [np.abs(labels.statistics.mean - truth).mean() for labels in (of_run, as_set)]
    metric_row(
        [
            (
                "mAP, change",
                f"{100 * (after['mAP'] - before['mAP']):+.2f}",
                "Percentage points against this run.",
            ),
            (
                "F1, change",
                f"{100 * (after['F1'] - before['F1']):+.2f}",
                "Percentage points against this run.",
            ),
            (
                "Rate error",
                f"{distances[1]:.3f}",
                f"Mean over classes of |mean label - true rate|; {distances[0]:.3f} in this run.",
            ),
        ]
    )


def how_good(of_clip: Labels, of_run: Labels, as_set: Labels) -> None:
    histograms = {
        figures_labels.RUN: of_run.statistics.histogram,
        figures_labels.SET: as_set.statistics.histogram,
    }
    if as_set.measures is None:
        show_figure(figures_labels.label_histogram(histograms), key="label_histogram")
        return
    left, right = st.columns([1, 1], gap="large")
    with left:
        st.markdown("**Against the ground truth**")
        kinds = {"CLIP, whole image": of_clip, figures_labels.RUN: of_run, figures_labels.SET: as_set}
        show_figure(
            figures_labels.measure_bars(
                {
                    kind: labels.measures.summary
                    for kind, labels in kinds.items()
                    if labels.measures is not None
                }
            ),
            key="label_measures",
        )
    with right:
        st.markdown("**Distribution of the final labels**")
        show_figure(figures_labels.label_histogram(histograms), key="label_histogram")
    st.caption(
        "mAP cannot show debiasing: dividing a class by its bias keeps its ranking, and so its AP; only ties at the floor and at 1 move it. F1 at 0.5, "
        "micro-AP and the label rates compare classes with each other, and can."
    )


def train_with(run: Run, changes: dict) -> None:
    """The way to the Train page, and the same as a command."""
    left, right = st.columns([1, 3], vertical_alignment="center")
    wanted = {
        "run": run.name,
        "from": run.name,
        "set": ";".join(
            f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}"
            for key, value in changes.items()
        ),
    }
    left.page_link(
        "../pages/train.py",
        label="Train with these settings",
        icon=":material/model_training:",
        query_params=wanted,
    )
    options = [word for part in wanted["set"].split(";") for word in ("--set", part)]
    right.code(
        shlex.join(["ccd", "run", "--config", str(run.file("config.yaml")), *options]),
        language=None,
        wrap_lines=True,
    )


def class_by_class(run: Run, of_run: Labels, as_set: Labels) -> None:
    choices = (["AP"] if as_set.measures is not None else []) + ["mean label", "images with a label over 0.5"]
    what = (
        st.segmented_control(
            "Compare",
            choices,
            default=choices[0],
            key="compare",
            bind="query-params",
            label_visibility="collapsed",
        )
        or choices[0]
    )
    truth, counts = true_rates(run), true_counts(run)
    if what == "AP":
        assert of_run.measures is not None and as_set.measures is not None
        ends = of_run.measures.ap, as_set.measures.ap
        figure = figures_labels.differences(run.classes, *ends, None, "AP (%)", 100, 1)
    elif what == "mean label":
        ends = of_run.statistics.mean, as_set.statistics.mean
        figure = figures_labels.differences(
            run.classes, *ends, truth, "mean label" if truth is None else "mean label and true rate"
        )
    else:
        ends = of_run.statistics.above_half, as_set.statistics.above_half
        figure = figures_labels.differences(
            run.classes, *ends, None if counts is None else counts[0], "images", digits=0
        )
    class_figure(figure, "label_differences", (PART, CHANGED))
    st.caption("The greatest gain is on top. Click a class to see the images whose labels of it change most.")


def show_image(image: str) -> None:
    choose_image(image)
    st.session_state["show"] = ONE


def most_changed(run: Run, of_run: Labels, made: Relabelled) -> None:
    classes = run.classes
    chosen = pick_class(run, "Class", "any class", help="Or click a class in the figure of the classes.")
    if chosen:
        index = classes.index(chosen)
        change, which = np.abs(made.final[index] - of_run.final[index]), np.full(made.final.shape[1], index)
    else:
        change, which = made.change, made.changed_class
    rows = np.argpartition(-change, min(GAINED, len(change) - 1))[:GAINED]
    rows = rows[np.argsort(-change[rows])]
    rows = rows[change[rows] > 0.005]
    if not len(rows):
        st.info(
            "No label changes: these are the run's own settings. Move a slider above.", icon=":material/tune:"
        )
        return
    ids, _ = loaders.image_ids(run)
    items = []
    for row in rows:
        c, before, after = which[row], of_run.final[which[row], row], made.final[which[row], row]
        truth = datasets.image_truth(run, ids[row])
        better = None if truth is None else (after > before) == (truth[0][c] == 1)
        tone = "" if better is None else "good" if better else "bad"
        items.append(
            {
                "id": ids[row],
                "caption": f"{classes[c]} {before:.2f} → {after:.2f}",
                "badges": [] if better is None else ["closer to the truth" if better else "further away"],
                "tone": tone,
            }
        )
    if gallery(run, items, key="most_changed", on_pick=show_image):
        st.rerun()  # the whole page: what it shows is chosen outside of this fragment
    st.caption("Click an image to see all its labels.")


run = current_run()
page_header(
    "Labels",
    "What does CLIP say of the whole image, of its local views, and what is trained on?",
    "The initial label is CLIP's debiased opinion of the whole image; the local label the strongest debiased opinion over the image's local views; the final label, which the classifier "
    "is trained on, mixes both. "
    + (
        "An image without views keeps its initial label."
        if run.config.labels.views_required
        else "Where an image has no views, its local label is that of a probability of 0."
    )
    + (
        ""
        if run.config.none_images.filter == "off"
        else " Images taken to show none of the classes have labels of 0."
    ),
    r"l^{final} = \alpha\, l^{initial} + (1 - \alpha)\, l^{local}, \qquad l^{local}_c = \mathrm{clip}\left(\max_v \max(p_{v,c}, \epsilon) / b_c, 0, 1\right)",
)
require(run, "labels.npz", "labels")
show = (
    st.segmented_control(
        "Show", [ONE, ALL], default=ONE, key="show", bind="query-params", label_visibility="collapsed"
    )
    or ONE
)
if show == ONE:
    one_image(run)
else:
    whole_data_set(run)
