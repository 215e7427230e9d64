"""Label your own images with the chosen run's classifier: uploads, or a folder on this machine."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import streamlit as st

from app.components.gallery import gallery
from app.figures.results import opinion_bars
from app.reading import predictions as predicting
from app.reading import readable_folders as roots
from app.reading import runs as loaders
from app.reading.overlays import attended, label_overlay
from app.reading.predictions import (
    MOST,
    Predicted,
    dataset_folder,
    examples,
    images_in,
    link_of_thresholds,
    predict_all,
    steps,
    thresholds_of_link,
)  # fmt: skip
from app.reading.uploads import MEGABYTES, keep_uploads
from app.widgets import (
    current_run,
    empty_state,
    friendly_errors,
    literal,
    metric_row,
    page_header,
    require,
    show_figure,
)
from ccd_core.data.images import IMAGE_SUFFIXES
from ccd_core.evaluation import thresholds
from ccd_core.evaluation.thresholds import Thresholds
from ccd_core.predict.tables import CSV_FORMAT, as_csv, as_records
from ccd_core.runs.run import Run

PAGE = 24
SHOWN = 12  # classes of an image to click on
ALL, NONE = "all images", "images with nothing found"

run = current_run()
page_header(
    "Predict",
    "What is in your images? Labels, how sure the classifier is, and where it looks.",
    "The classifier gives every class a score from 0 to 1 of its own, so an image can have several labels or none. A class is a label from its threshold on. "
    "The heat over an image is the class activation map: what in it speaks for the label.",
    r"\text{score}_c = \sigma\!\left(\frac{1}{hw}\sum_{u,v} \mathrm{CAM}_c(u, v)\right), \qquad \text{label } c \iff \text{score}_c \ge t_c",
)
require(run, "checkpoints/best.safetensors", "trained classifier")


def chosen_images() -> dict:
    """Name -> file of what is to be labelled."""
    source = st.segmented_control(
        "Images", ["Upload files", "Upload a folder", "Folder on this machine"], default="Upload files", required=True, key="from", bind="query-params",
        label_visibility="collapsed",
    )  # fmt: skip
    if source == "Folder on this machine":
        readable = roots.roots()
        folder = st.text_input(
            "Folder",
            key="folder",
            bind="query-params",
            placeholder=str((readable or [Path.home() / "photos"])[-1]),
        )
        only = (
            ""
            if readable is None
            else f" Open to this app: {', '.join(f'`{root}`' for root in [*readable, *dataset_folder(run)])}."
        )
        st.caption(f"Images in it and all folders below.{only}")
        return images_in(run, folder) if folder else {}
    kinds = [suffix[1:] for suffix in IMAGE_SUFFIXES]
    many: Literal[True, "directory"] = "directory" if source == "Upload a folder" else True
    uploads = st.file_uploader(
        f"Up to {MOST} images, {MEGABYTES} MB each",
        kinds,
        accept_multiple_files=many,
        max_upload_size=MEGABYTES,
        key=f"uploads_{many}",
    )
    if len(uploads) > MOST:
        st.error(
            f"{len(uploads)} images are too many at once; choose {MOST} at most, or use `ccd predict {shlex.quote(str(run.path))} FOLDER --csv predicted.csv`."
        )
        return {}
    return keep_uploads(uploads)


def chosen_example() -> dict:
    """Where nothing is uploaded: images of the run's own data set to try it on by one click; the chosen one is `?example=` of the link."""
    ids = examples(run)
    if not ids:
        return {}
    st.markdown("**Try one of these**, images of the run's data set that were kept out of training" if run.has("scores", "val.npz") else "**Try one of these**, images of the run's data set")  # fmt: skip
    linked = st.query_params.get("example")
    picked = gallery(
        run, [{"id": image} for image in ids], key="examples", selected=linked, on_pick=_try, tile="6rem"
    )
    image = next(
        (one for one in (picked, linked) if one in ids), None
    )  # the link may name an image of another run
    return {image: loaders.image_path(run, image)} if image else {}


def _try(image: str) -> None:
    st.query_params["example"] = image


def chosen_thresholds() -> Thresholds:
    saved = thresholds.of_run(run)
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    ways = (["Saved"] if saved else []) + ["One for all", "Each class"]
    way = left.segmented_control(
        "Thresholds", ways, default=ways[0], required=True, key="limits", bind="query-params"
    )
    if way == "Saved" and saved:
        right.caption(f"From the page Results: {saved.in_words}.")
        return saved
    if way == "Each class":
        right.caption("A class scored at or above its threshold is a label.")
        return each_threshold(saved)
    st.query_params.pop("each", None)
    value = right.slider(
        "Threshold",
        0.0,
        1.0,
        0.5,
        0.01,
        key="threshold",
        bind="query-params",
        help="A class scored at or above it is a label.",
    )
    return Thresholds.same(run.classes, value)


def each_threshold(saved: Thresholds | None) -> Thresholds:
    """A slider for each class; those that are not where the run has them saved, or at 0.5, are `?each=` of the link."""
    usual = steps(saved.array(run.classes) if saved else [thresholds.DEFAULT] * len(run.classes))
    linked = thresholds_of_link(st.query_params.get("each", ""), len(run.classes))
    keys = [f"limit {run.name} {i}" for i in range(len(run.classes))]
    values = [st.session_state.get(key, linked.get(i, usual[i])) for i, key in enumerate(keys)]
    with st.expander("A threshold for each class", expanded=len(run.classes) <= 24):
        found: Sequence[int] = range(len(run.classes))
        if len(found) > predicting.SLIDERS:
            wanted = st.text_input(
                "Find a class", key="find_class", placeholder="Find a class", label_visibility="collapsed"
            ).lower()
            found = [i for i in found if wanted in run.classes[i].lower()]
            st.caption(
                f"{min(len(found), predicting.SLIDERS)} of {len(run.classes):,} classes; find the others by name."
            )
        with st.grid(min_column_width=130, gap="medium"):
            for i in found[: predicting.SLIDERS]:
                values[i] = st.slider(
                    literal(run.classes[i]),
                    0.0,
                    1.0,
                    linked.get(i, usual[i]),
                    0.01,
                    key=keys[i],
                    persist_state="session",
                )
    if changed := link_of_thresholds(values, usual):
        st.query_params["each"] = changed
    else:
        st.query_params.pop("each", None)
    return Thresholds(dict(zip(run.classes, values, strict=True)), per_class=True)


def filtered(good: list[Predicted], limits: Thresholds) -> list[tuple[Predicted, list[str]]]:
    """The images that the filter leaves, with their labels."""
    labelled = [(one, limits.labels(run.classes, one.scores)) for one in good]
    counts = np.bincount(
        [run.classes.index(name) for _, names in labelled for name in names], minlength=len(run.classes)
    )
    found = [f"{literal(run.classes[i])} ({counts[i]})" for i in np.argsort(-counts) if counts[i]]
    none = sum(not names for _, names in labelled)
    metric_row([
        ("Images", f"{len(labelled):,}"), ("Labels an image", f"{counts.sum() / len(labelled):.2f}"), ("Nothing found", f"{none:,}"),
        ("Most frequent", found[0] if found else "-"),
    ])  # fmt: skip
    shown = st.selectbox("Show", [ALL, NONE, *run.classes], key="show", bind="query-params")
    return [row for row in labelled if shown == ALL or (not row[1] if shown == NONE else shown in row[1])]


def downloads(rows: list[tuple[Predicted, list[str]]], limits: Thresholds) -> None:
    """What is shown as CSV and JSON, and the thresholds of its labels as `ccd predict --thresholds` reads them."""
    pairs = [(one.name, one.scores) for one, _ in rows]
    used = {name: float(value) for name, value in zip(run.classes, limits.array(run.classes), strict=True)}

    def as_json() -> str:
        return json.dumps(
            {"run": run.name, "thresholds": used, "images": as_records(pairs, run.classes, limits)}, indent=1
        )

    files = {
        "CSV": (lambda: as_csv(pairs, run.classes, limits), f"{run.name}-labels.csv", "text/csv"),
        "JSON": (as_json, f"{run.name}-labels.json", "application/json"),
        "Thresholds": (lambda: json.dumps(used, indent=1), f"{run.name}-thresholds.json", "application/json"),
    }
    with st.container(horizontal=True, vertical_alignment="center"):
        for title, (content, name, kind) in files.items():
            st.download_button(
                title,
                content,
                name,
                kind,
                icon=":material/download:",
                on_click="ignore",
                key=f"download_{title}",
            )
    many = "The image" if len(rows) == 1 else f"The {len(rows):,} images"
    st.caption(f"{many} shown. CSV: {CSV_FORMAT} JSON: the same, with the thresholds. Thresholds: a file for `ccd predict --thresholds`, which writes the same CSV.")  # fmt: skip


def cards(rows: list[tuple[Predicted, list[str]]]) -> None:
    pages = max(1, -(-len(rows) // PAGE))
    page = min(st.pagination(pages, key="predict_page", bind="query-params"), pages) if pages > 1 else 1
    with st.grid(min_column_width=190, gap="small"):
        for one, names in rows[PAGE * (page - 1) : PAGE * page]:
            with st.container(border=True, gap="small"):
                st.image(loaders.jpeg(one.path, 320), output_format="JPEG")
                badges = " ".join(
                    f":blue-badge[{literal(name)} {one.scores[run.classes.index(name)]:.2f}]"
                    for name in names[:6]
                )
                st.markdown(badges or ":gray-badge[nothing found]")
                st.button(
                    literal(one.name[-28:]),
                    key=f"see_{one.name}",
                    icon=":material/search:",
                    type="tertiary",
                    on_click=_see,
                    args=(one.name,),
                )


def _see(name: str) -> None:
    st.query_params["file"] = name


@st.fragment
@friendly_errors()
def single(run: Run, one: Predicted, limits: Thresholds) -> None:
    """One image large: a click on a label shows what speaks for it, with CLIP's own opinion beside the classifier's."""
    order = np.argsort(-one.scores)
    clickable = [int(i) for i in order[:SHOWN]]
    st.header(literal(one.name), anchor=False)
    titles = {f"{run.classes[i]} {one.scores[i]:.2f}": i for i in clickable}
    picked = st.pills(
        "What speaks for",
        list(titles),
        format_func=literal,
        default=next(iter(titles)),
        required=True,
        key=f"why_{one.name}",
    )
    cls = titles.get(picked or "", clickable[0])
    left, right = st.columns([3, 2])
    left.image(label_overlay(run, one.path, cls, clickable), output_format="JPEG", caption=f"{literal(run.classes[cls])}: heat is what speaks for it, the frame the part above half of the map's range")  # fmt: skip
    clip = attended(run, one.path, clickable)["clip"]
    both = list(dict.fromkeys([*clickable[:8], *(np.argsort(-np.array(clip))[:4].tolist() if clip else [])]))
    given = limits.array(run.classes).astype(np.float32)
    figure = opinion_bars(
        [run.classes[i] for i in both],
        one.scores[both].tolist(),
        given[both].tolist(),
        [clip[i] for i in both] if clip else None,
    )
    with right:
        show_figure(figure, key="opinions")
        st.caption("CLIP's probabilities add up to 1 over the classes, so it favours one; the classifier's scores stand alone." if clip else "CLIP's weights are not on this machine, so its opinion is missing.")  # fmt: skip


with friendly_errors():
    images = chosen_images()
    limits = chosen_thresholds()
    if not images:
        images = chosen_example()
    if not images:
        empty_state("No images yet", f"{'Choose one of the examples, or drop' if examples(run) else 'Drop'} your own above. The classifier of run **{run.name}** knows {', '.join(map(literal, run.classes[:30]))}{' ...' if len(run.classes) > 30 else ''}.", icon=":material/add_photo_alternate:")  # fmt: skip
        loaders.wake_predictor(run)
        st.stop()
    good, bad = predict_all(run, images)
    for sentence in bad[:20]:
        st.error(sentence)
    if len(bad) > 20:
        st.error(f"{len(bad) - 20} more files cannot be used.")
    if good:
        rows = (
            filtered(good, limits)
            if len(good) > 1
            else [(good[0], limits.labels(run.classes, good[0].scores))]
        )
        if not rows:
            st.info("No image fits. Choose another label, or lower the threshold.")
            st.stop()
        looked_at = next((one for one, _ in rows if one.name == st.query_params.get("file")), rows[0][0])
        single(run, looked_at, limits)
        downloads(rows, limits)
        if len(rows) > 1:
            cards(rows)
