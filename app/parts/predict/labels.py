"""Page Predict: the labelled images, one of them large, all as cards, and as files to take away."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import streamlit as st

from app import state
from app.figures.scores import score_bars
from app.parts.own_words import own_words_part
from app.reading.asking.predictions import Predicted
from app.reading.asking.predictor import attend
from app.reading.images import jpeg
from app.reading.overlays import label_overlay
from app.widgets import friendly_errors, literal, metric_row, pick_page, show_figure
from ccd_core.evaluation.thresholds import Thresholds
from ccd_core.predict.tables import CSV_FORMAT, as_csv, as_records
from ccd_core.runs.run import Run

PAGE = 24  # images a page
SHOWN = 12  # classes of an image to click on
COMPARED = 8  # of them compared with CLIP, and
CLIPS_OWN = 4  # the classes that CLIP sees most of
ALL, NONE = "all images", "images with nothing found"
FILE_ERRORS = 20  # unusable files that are named


@dataclass(frozen=True)
class Labelled:
    """An image with its labels."""

    image: Predicted
    labels: list[str]


def show_unusable(sentences: list[str]) -> None:
    """Why files cannot be used."""
    for sentence in sentences[:FILE_ERRORS]:
        st.error(literal(sentence, keep_code=True))
    if len(sentences) > FILE_ERRORS:
        st.error(f"{len(sentences) - FILE_ERRORS} more files cannot be used.")


def warn_of_unlike(run: Run, images: list[Predicted]) -> None:
    """Say it where images are unlike those that the classifier was trained on."""
    unlike = [image.name for image in images if image.unlike]
    if not unlike:
        return
    what = "This image is" if len(images) == 1 else f"{len(unlike):,} of {len(images):,} images are"
    named = "" if len(images) == 1 else f" The first of them: {', '.join(map(literal, unlike[:3]))}."
    st.warning(
        f"{what} unlike the images that run **{literal(run.name)}** was trained on, so labels and scores "
        f"mean little, however sure they look. A classifier for such images needs a run on "
        f"such images.{named}",
        icon=":material/travel_explore:",
    )
    first = next(image for image in images if image.unlike)
    own_words_part(first.path, first.name)


def labelled(run: Run, images: list[Predicted], limits: Thresholds) -> list[Labelled]:
    """The images with their labels."""
    return [Labelled(image, limits.labels(run.classes, image.scores)) for image in images]


def filtered(run: Run, rows: list[Labelled]) -> list[Labelled]:
    """Numbers of all images, and those that the filter leaves."""
    given = [run.classes.index(name) for row in rows for name in row.labels]
    counts = np.bincount(given, minlength=len(run.classes))
    most = int(counts.argmax())
    metric_row(
        [
            ("Images", f"{len(rows):,}"),
            ("Labels an image", f"{counts.sum() / len(rows):.2f}"),
            ("Nothing found", f"{sum(not row.labels for row in rows):,}"),
            ("Most frequent", f"{literal(run.classes[most])} ({counts[most]})" if given else "-"),
        ]
    )
    shown = st.selectbox("Show", [ALL, NONE, *run.classes], key=state.LABEL_FILTER, bind="query-params")
    if shown == ALL:
        return rows
    if shown == NONE:
        return [row for row in rows if not row.labels]
    return [row for row in rows if shown in row.labels]


def large_image(run: Run, rows: list[Labelled], limits: Thresholds) -> None:
    """The image that the link names, or the first."""
    linked = st.query_params.get(state.FILE)
    image = next((row.image for row in rows if row.image.name == linked), rows[0].image)
    _large(run, image, limits)


@st.fragment
@friendly_errors()
def _large(run: Run, image: Predicted, limits: Thresholds) -> None:
    """A click on a label shows what speaks for it, with CLIP's probabilities beside the scores."""
    clickable = [int(i) for i in np.argsort(-image.scores)[:SHOWN]]
    st.header(literal(image.name), anchor=False)
    titles = {f"{run.classes[i]} {image.scores[i]:.2f}": i for i in clickable}
    picked = st.pills(
        "What speaks for",
        list(titles),
        format_func=literal,
        default=next(iter(titles)),
        required=True,
        key=f"why_{image.name}",
    )
    cls = titles.get(picked or "", clickable[0])
    left, right = st.columns([3, 2])
    left.image(
        label_overlay(run, image.path, cls, clickable),
        output_format="JPEG",
        caption=f"{literal(run.classes[cls])}: heat is what speaks for it, the frame the part above half of "
        "the map's range",
    )
    clip = attend(run, image.path, clickable)["clip"]
    compared = clickable[:COMPARED]
    if clip:
        compared = list(dict.fromkeys([*compared, *np.argsort(-np.array(clip))[:CLIPS_OWN].tolist()]))
    thresholds = limits.array(run.classes).astype(np.float32)
    figure = score_bars(
        [run.classes[i] for i in compared],
        image.scores[compared].tolist(),
        thresholds[compared].tolist(),
        [clip[i] for i in compared] if clip else None,
    )
    text = "CLIP's weights are not on this machine, so its probabilities are missing."
    if clip:
        mixed = run.config.predict.in_words if run.config.blends else None
        text = "CLIP's probabilities add up to 1 over the classes, so it favours one; " + (
            f"scores are {mixed}." if mixed else "the classifier's scores stand alone."
        )
    with right:
        show_figure(figure, key="classifier_and_clip")
        st.caption(text)


def downloads(run: Run, rows: list[Labelled], limits: Thresholds) -> None:
    """What is shown as CSV and JSON, and its thresholds as `ccd predict --thresholds` reads them."""
    pairs = [(row.image.name, row.image.scores) for row in rows]
    unlike = {row.image.name for row in rows if row.image.unlike} if run.has("likeness.npz") else None
    used = {name: float(value) for name, value in zip(run.classes, limits.array(run.classes), strict=True)}

    def as_json() -> str:
        images = as_records(pairs, run.classes, limits, unlike)
        return json.dumps({"run": run.name, "thresholds": used, "images": images}, indent=1)

    files = {
        "CSV": (
            lambda: as_csv(pairs, run.classes, limits, True, unlike),
            f"{run.name}-labels.csv",
            "text/csv",
        ),
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
    st.caption(
        f"{many} shown. CSV: {CSV_FORMAT} A name that begins as a formula does (= + - @) has an apostrophe "
        "before it. JSON: the same, with the thresholds. Thresholds: a file for `ccd predict --thresholds`, "
        "which writes the same CSV."
    )


def cards(run: Run, rows: list[Labelled]) -> None:
    """The images with their labels, a page at a time."""
    page = pick_page(-(-len(rows) // PAGE), state.PREDICT_PAGE)
    with st.grid(min_column_width=190, gap="small"):
        for row in rows[PAGE * (page - 1) : PAGE * page]:
            image = row.image
            with st.container(border=True, gap="small"):
                st.image(jpeg(image.path, 320), output_format="JPEG")
                scores = {name: image.scores[run.classes.index(name)] for name in row.labels[:6]}
                badges = [f":blue-badge[{literal(name)} {score:.2f}]" for name, score in scores.items()]
                if image.unlike:
                    badges = [":orange-badge[:material/travel_explore: unlike training]", *badges]
                st.markdown(" ".join(badges) or ":gray-badge[nothing found]")
                st.button(
                    literal(image.name[-28:]),
                    key=f"see_{image.name}",
                    icon=":material/search:",
                    type="tertiary",
                    on_click=_see,
                    args=(image.name,),
                )


def _see(name: str) -> None:
    st.query_params[state.FILE] = name
