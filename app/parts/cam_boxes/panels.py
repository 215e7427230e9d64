"""Page CAM boxes: one image with its boxes, what CLIP says of its views, and other CAM methods."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from app import state
from app.components.cam_boxes import BoxState, Sliders, cam_box_view
from app.components.cam_methods import cam_methods_view
from app.components.marked_image import marked_image
from app.components.view_cards import CardRow, ViewCard, view_cards
from app.reading.asking.predictor import cam_methods, clip_views, explain, predictor_ready
from app.reading.browsing import view_statistics, view_steps
from app.reading.ground_truth import image_truth
from app.reading.labels import clip_outputs, debiasing
from app.reading.runs import image_ids, view_probabilities, views_of
from app.routes import image_url
from app.widgets import literal
from ccd_core.data.decoding.images import image_size
from ccd_core.data.types import Box
from ccd_core.method.boxes import add_offset
from ccd_core.runs.run import Run

THRESHOLDS = [round(0.3 + 0.01 * i, 2) for i in range(70)]
MOST_OFFSET = 240  # frame pixels, where the run's own is not larger
MOST_ROWS = 4  # classes named beside a view
KEPT, WARM_UP = "kept classifier", "after warm-up"  # whose maps are shown
AS_LABELS = {
    "class": "divided by the class's CLIP bias, as labels are",
    "constant": "divided by the mean CLIP bias of all classes, as this run's labels are",
    "floor": "raised to the floor, because this run's labels are divided by nothing",
    "none": "the same, because this run's labels are not debiased",
}

Debias = Callable[[np.ndarray], np.ndarray]
Objects = tuple[tuple[int, Box], ...]  # (class, box in pixels of the file)


def cam_thresholds(run: Run) -> list[float]:
    """CAM thresholds to choose from, the run's own among them."""
    return sorted({*THRESHOLDS, run.config.views.cam_threshold})


def grown(box: list[int], offset: int, frame: int) -> list[int]:
    """The local view of a CAM box: `offset` wider on every side, within the frame."""
    return add_offset(np.array([box]), offset, (frame, frame))[0].tolist()


# -- the image with its boxes --------------------------------------------------------------------------


def image_panel(run: Run, image: str, path: Path, cls: int | None) -> tuple[BoxState, dict[str, Any]]:
    """The image with the boxes of class `cls`, or of the surest class where none is chosen.

    Returns what the person has set, and what `Predictor.explain` said of the image.
    """
    answer = _explained(run, image, path)
    truth = image_truth(run, image)
    linked = st.query_params.get(state.BOX_CLASS)
    if linked in run.classes:
        cls = run.classes.index(linked)
    elif cls is None:
        cls = int(np.argmax(answer["scores"]))
    settings = run.config.views
    used = run.load_json("view_threshold.json")["threshold"]
    sliders = Sliders(cam_thresholds(run), view_steps(run), max(MOST_OFFSET, settings.offset))
    chosen = sliders.state(
        cls,
        cam_threshold=_linked_number(state.CAM_THRESHOLD, settings.cam_threshold),
        view_threshold=_linked_number(state.VIEW_THRESHOLD, used),
        offset=int(_linked_number(state.OFFSET, settings.offset)),
        show=st.query_params.get(state.BOXES_SHOW, "hbv"),
    )
    cam_box_view(
        image_url(run.name, image, 960),
        f"{image} with the map and boxes of {run.classes[cls]}",
        list(run.classes),
        answer,
        sliders,
        chosen,
        truth=_true_boxes(path, truth[1], answer["frame"]) if truth else None,
        keys=[("←", ""), ("→", "image before, after")],
        on_change=lambda new: _remember(run, new),
        key="cam_view",
    )
    caption = f"**{literal(image)}**"
    if truth is not None:
        names = ", ".join(literal(run.classes[c]) for c in np.flatnonzero(truth[0])) or "none of the classes"
        caption += f" · truly there: {names}"
    st.caption(caption)
    if run.has("checkpoints", "warmup.safetensors") and st.session_state.get(state.MAPS) != WARM_UP:
        st.caption(
            f":material/info: Scores, map and boxes above are the kept classifier's. The run took its own "
            f"{len(views_of(run, image))} views of this image from the classifier after warm-up; choose "
            f"*{WARM_UP}* to see what that one saw."
        )
    return chosen, answer


def _explained(run: Run, image: str, path: Path) -> dict[str, Any]:
    """What the predictor says of the image, which is shown meanwhile: to start takes seconds."""
    warmed_up = False
    if run.has("checkpoints", "warmup.safetensors"):
        maps = st.segmented_control(
            "Maps of",
            [KEPT, WARM_UP],
            default=KEPT,
            required=True,
            key=state.MAPS,
            bind="query-params",
            help="The run took its own views after warm-up; the kept classifier is what it ended with.",
        )
        warmed_up = maps == WARM_UP
    waiting = st.empty()
    with waiting.container():
        spinner = st.container()
        if not predictor_ready(run):
            marked_image(image_url(run.name, image, 960), image, [])
        with spinner:
            answer = explain(run, path, tuple(cam_thresholds(run)), warmed_up)
    waiting.empty()
    return answer


def _true_boxes(path: Path, objects: Objects, frame: int) -> list[dict[str, Any]] | None:
    """What is truly in the image, in pixels of the frame."""
    if not objects:
        return None
    width, height = image_size(path)
    scale = np.array([frame / width, frame / height] * 2)
    return [{"cls": c, "box": (np.array(box) * scale).tolist()} for c, box in objects]


def number_or(text: str | None, otherwise: float) -> float:
    """The finite number that `text` says, else `otherwise`."""
    try:
        number = float(text) if text is not None else otherwise
    except ValueError:
        return otherwise
    return number if np.isfinite(number) else otherwise


def _linked_number(key: str, otherwise: float) -> float:
    return number_or(st.query_params.get(key), otherwise)


def _remember(run: Run, chosen: BoxState) -> None:
    """The component's state into the link."""
    st.query_params[state.BOX_CLASS] = run.classes[chosen.cls]
    st.query_params[state.CAM_THRESHOLD] = f"{cam_thresholds(run)[chosen.step]:g}"
    st.query_params[state.VIEW_THRESHOLD] = f"{view_steps(run)[chosen.view][0]:g}"
    st.query_params[state.OFFSET] = str(chosen.offset)
    st.query_params[state.BOXES_SHOW] = chosen.show


# -- what CLIP says of the views -----------------------------------------------------------------------


def views_panel(run: Run, image: str, path: Path, chosen: BoxState, answer: dict[str, Any]) -> None:
    """What CLIP says of the whole image and of each view, before and after debiasing."""
    left, right = st.columns([5, 2], vertical_alignment="bottom")
    views = views_of(run, image).sort_values("score", ascending=False)
    count, large, apart = view_statistics(run)
    left.header(f"What CLIP sees: the whole image, and {len(views)} views of the run", anchor=False)
    left.caption(
        f"Blue: CLIP's probability. Orange: {AS_LABELS[run.config.bias.mode]}. "
        "A view is shown squeezed into the frame, as CLIP gets it. "
        f"Of all {count:,} views of the run, {large:.0%} cover more than half of their image, and "
        f"{apart:.0%} are crops of their own."
    )
    as_set = right.toggle(
        "Ask about the views as set above",
        key=state.AS_SET,
        bind="query-params",
        help="Boxes of every class above the view threshold, cut at your CAM threshold and offset.",
    )
    frame = answer["frame"]
    debias = debiasing(run)
    p_whole = clip_outputs(run).p[:, image_ids(run)[1][image]]
    cards = [_card(run, None, "", [0, 0, frame, frame], p_whole, debias)]
    if as_set:
        cards += _cards_as_set(run, path, chosen, answer, debias)
    else:
        for row, view in views.to_dict("index").items():
            box = [view["x0"], view["y0"], view["x1"], view["y1"]]
            p = view_probabilities(run)[row]
            cards.append(_card(run, view["class"], f"score {view['score']:.2f}", box, p, debias))
    view_cards(image_url(run.name, image, 960), (frame, frame), cards, key="view_cards")


def _cards_as_set(
    run: Run, path: Path, chosen: BoxState, answer: dict[str, Any], debias: Debias
) -> list[ViewCard]:
    """A card for each class above the view threshold, its box cut as the person has set."""
    frame = answer["frame"]
    scores = answer["scores"]
    threshold = view_steps(run)[chosen.view][0]
    boxes = {
        int(c): grown(answer["boxes"][c][chosen.step], chosen.offset, frame)
        for c in np.argsort(-np.array(scores))
        if scores[c] > threshold and answer["boxes"][c][chosen.step]
    }
    if not boxes:
        return []
    said = clip_views(run, path, [[side / frame for side in box] for box in boxes.values()])
    return [
        _card(run, run.classes[c], f"score {scores[c]:.2f}", box, np.array(p, np.float32), debias)
        for (c, box), p in zip(boxes.items(), said, strict=True)
    ]


def _card(run: Run, cls: str | None, detail: str, box: list[int], p: np.ndarray, debias: Debias) -> ViewCard:
    """A view of class `cls`, or the whole image for None, with the classes that CLIP sees most of in it."""
    after = debias(p)
    shown = np.argsort(-np.maximum(p, after), kind="stable")[:MOST_ROWS].tolist()
    if cls is not None and run.classes.index(cls) not in shown:
        shown[-1] = run.classes.index(cls)
    return ViewCard(
        title=cls or "Whole image",
        box=[int(side) for side in box],
        rows=[CardRow(run.classes[c], float(p[c]), float(after[c])) for c in shown],
        detail=detail,
        own=cls,
        whole=cls is None,
    )


# -- other CAM methods -----------------------------------------------------------------------------------


def methods_panel(run: Run, image: str, path: Path, chosen: BoxState) -> None:
    """The same image and class under CAM, Grad-CAM, Grad-CAM++, LayerCAM and Eigen-CAM."""
    st.header("Other ways to make the map", anchor=False)
    name = literal(run.classes[chosen.cls])
    if not st.toggle(
        f"Compare CAM, Grad-CAM, Grad-CAM++, LayerCAM and Eigen-CAM for {name}",
        key=state.METHODS,
        bind="query-params",
    ):
        return
    answer = cam_methods(run, path, chosen.cls, tuple(cam_thresholds(run)))
    panels = [
        {"name": method, "map": said["map"], "box": said["boxes"][chosen.step]}
        for method, said in answer.items()
    ]
    cam_methods_view(image_url(run.name, image, 640), run.config.views.frame, panels, key="cam_methods")
    st.caption(
        "Box: the pixels above the CAM threshold, without the offset. Grad-CAM is CAM with its negative part "
        "cut off, because the classifier averages its maps. Grad-CAM++ and LayerCAM weigh pixels by their "
        "own gradients. Eigen-CAM is the main pattern of the features and asks for no class at all."
    )
