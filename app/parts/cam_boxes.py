"""The three parts of CAM boxes that look at one image: its boxes, what CLIP says of its views, other CAM methods.

What the person sets is in the link: `class` belongs to all pages, `cam`, `view`, `offset`, `show` and `maps` to this one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from app.components.cam_boxes import BoxState, cam_box_view
from app.components.view_cards import marked_image
from app.components.view_components import cam_methods_view, view_cards
from app.reading import ground_truth as datasets
from app.reading import runs as loaders
from app.reading.labels import debiasing
from app.routes import image_url
from app.widgets import literal
from ccd_core.data.images import image_size
from ccd_core.runs.run import Run

THRESHOLDS = [round(0.3 + 0.01 * i, 2) for i in range(70)]
MOST_OFFSET = 240  # frame pixels, where the run's own is not larger
MOST_ROWS = 4  # classes named beside a view
AS_LABELS = {
    "class": "divided by the class's CLIP bias, as labels are",
    "constant": "divided by the mean CLIP bias of all classes, as this run's labels are",
    "none": "the same, because this run's labels are not debiased",
}


def cam_thresholds(run: Run) -> list[float]:
    """CAM thresholds to choose from, the run's own among them."""
    return sorted({*THRESHOLDS, run.config.views.cam_threshold})


def image_panel(run: Run, image: str, path: Path, cls: int | None) -> tuple[BoxState, dict[str, Any]]:
    """The image with its boxes, of class `cls` or the surest one until another is chosen; returns what is set, and what the predictor said."""
    warmed_up = False
    if run.has("checkpoints", "warmup.safetensors"):
        maps = st.segmented_control("Maps of", ["kept classifier", "after warm-up"], default="kept classifier", required=True, key="maps", bind="query-params",
                                    help="The run took its own views after warm-up; the kept classifier is what it ended with.")  # fmt: skip
        warmed_up = maps == "after warm-up"
    waiting = st.empty()
    with waiting.container():
        spinner = st.container()
        if not loaders.predictor_ready(run):  # a start takes seconds; there is something to look at
            marked_image(image_url(run.name, image, 960), image, [])
        with spinner:
            answer = loaders.explain(run, path, tuple(cam_thresholds(run)), warmed_up)
    waiting.empty()
    known = datasets.image_truth(run, image)
    boxes = None
    if known is not None and known[1]:
        width, height = image_size(path)
        scale = np.array([answer["frame"] / width, answer["frame"] / height] * 2)
        boxes = [{"cls": c, "box": (np.array(box) * scale).tolist()} for c, box in known[1]]
    settings, asked = run.config.views, st.query_params
    if asked.get("of") in run.classes:
        cls = run.classes.index(asked["of"])
    elif cls is None:
        cls = int(np.argmax(answer["scores"]))
    state = cam_box_view(
        image_url(run.name, image, 960),
        list(run.classes),
        answer,
        cam_thresholds(run),
        cls=cls,
        cam_threshold=_number(asked.get("cam"), settings.cam_threshold),
        view_threshold=_number(asked.get("view"), run.load_json("view_threshold.json")["threshold"]),
        offset=int(_number(asked.get("offset"), settings.offset)),
        most_offset=max(MOST_OFFSET, settings.offset),
        truth=boxes,
        key="cam_view",
        show=asked.get("show", "hbv"),
        view_steps=loaders.view_steps(run),
        keys=[("←", ""), ("→", "image before, after")],
        label=f"{image} with the map and boxes of {run.classes[cls]}",
        on_change=lambda new: _remember(run, new),
    )
    if known is not None:
        names = ", ".join(literal(run.classes[c]) for c in np.flatnonzero(known[0])) or "none of the classes"
        st.caption(f"**{literal(image)}** · truly there: {names}")
    else:
        st.caption(f"**{literal(image)}**")
    return state, answer


def _number(text: str | None, otherwise: float) -> float:
    try:
        number = float(text) if text is not None else otherwise
    except ValueError:
        return otherwise
    return number if np.isfinite(number) else otherwise


def _remember(run: Run, state: BoxState) -> None:
    """The component's state into the link."""
    st.query_params["of"] = run.classes[state.cls]
    st.query_params["cam"] = f"{cam_thresholds(run)[state.step]:g}"
    st.query_params["view"] = f"{loaders.view_steps(run)[state.view][0]:g}"
    st.query_params["offset"] = str(state.offset)
    st.query_params["show"] = state.show


def views_panel(run: Run, image: str, path: Path, state: BoxState, answer: dict[str, Any]) -> None:
    """What CLIP says of the whole image and of each view, before and after debiasing."""
    left, right = st.columns([5, 2], vertical_alignment="bottom")
    mine = loaders.views_of(run, image).sort_values("score", ascending=False)
    left.header(f"What CLIP sees: the whole image, and {len(mine)} views of the run", anchor=False)
    left.caption(
        f"Blue: CLIP's probability. Orange: {AS_LABELS[run.config.bias.mode]}. A view is shown squeezed into the frame, as CLIP gets it."
    )
    as_set = right.toggle(
        "Ask about the views as set above",
        key="as_set",
        bind="query-params",
        help="Boxes of every class above the view threshold, cut at your CAM threshold and offset.",
    )
    frame, arrays, (_, row_of), debiased = (
        answer["frame"],
        loaders.global_arrays(run),
        loaders.image_ids(run),
        debiasing(run),
    )
    cards = [
        _card(run, "Whole image", "", None, [0, 0, frame, frame], arrays["p_global"][row_of[image]], debiased)
    ]
    if as_set:
        threshold = loaders.view_steps(run)[state.view][0]
        above = [
            c
            for c in np.argsort(-np.array(answer["scores"]))
            if answer["scores"][c] > threshold and answer["boxes"][c][state.step]
        ]
        boxes = [grown(answer["boxes"][c][state.step], state.offset, frame) for c in above]
        said = (
            loaders.clip_views(run, path, [[side / frame for side in box] for box in boxes]) if boxes else []
        )
        for c, box, p in zip(above, boxes, said, strict=True):
            cards.append(
                _card(
                    run,
                    run.classes[c],
                    f"score {answer['scores'][c]:.2f}",
                    run.classes[c],
                    box,
                    np.array(p, np.float32),
                    debiased,
                )
            )
    else:
        probabilities = loaders.view_probabilities(run)
        for view in mine.to_dict("index").items():
            index, row = view
            box = [row["x0"], row["y0"], row["x1"], row["y1"]]
            cards.append(
                _card(
                    run,
                    row["class"],
                    f"score {row['score']:.2f}",
                    row["class"],
                    box,
                    probabilities[index],
                    debiased,
                )
            )
    view_cards(image_url(run.name, image, 960), frame, cards, key="view_cards")


def _card(
    run: Run,
    title: str,
    detail: str,
    own: str | None,
    box: list[int],
    p: np.ndarray,
    debiased: Callable[[np.ndarray], np.ndarray],
) -> dict[str, Any]:
    after = debiased(p)
    first = np.argsort(-np.maximum(p, after), kind="stable")[:MOST_ROWS].tolist()
    if own is not None and run.classes.index(own) not in first:
        first[-1] = run.classes.index(own)
    rows = [{"name": run.classes[c], "before": float(p[c]), "after": float(after[c])} for c in first]
    return {"title": title, "detail": detail, "own": own, "box": [int(side) for side in box], "rows": rows}


def grown(box: list[int], offset: int, frame: int) -> list[int]:
    """The local view of a CAM box: `offset` wider on every side, within the frame."""
    return [
        max(0, box[0] - offset),
        max(0, box[1] - offset),
        min(frame, box[2] + offset),
        min(frame, box[3] + offset),
    ]


def methods_panel(run: Run, image: str, path: Path, state: BoxState) -> None:
    """The same image and class under CAM, Grad-CAM, Grad-CAM++, LayerCAM and Eigen-CAM."""
    st.header("Other ways to make the map", anchor=False)
    name = run.classes[state.cls]
    if not st.toggle(
        f"Compare CAM, Grad-CAM, Grad-CAM++, LayerCAM and Eigen-CAM for {literal(name)}",
        key="methods",
        bind="query-params",
    ):
        return
    answer = loaders.cam_methods(run, path, state.cls, tuple(cam_thresholds(run)))
    panels = [
        {"name": method, "map": said["map"], "box": said["boxes"][state.step]}
        for method, said in answer.items()
    ]
    cam_methods_view(image_url(run.name, image, 640), run.config.views.frame, panels, key="cam_methods")
    st.caption(
        "Box: the pixels above the CAM threshold, without the offset. Grad-CAM is CAM with its negative part cut off, because the classifier averages its maps; Grad-CAM++ and "
        "LayerCAM weigh pixels by their own gradients; Eigen-CAM is the main pattern of the features and asks for no class at all."
    )
