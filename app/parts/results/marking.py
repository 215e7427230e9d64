"""Page Results: mark the true classes of a few images, and see how good the run is on them."""

from __future__ import annotations

import streamlit as st

from app import state
from app.components.mark_labels import mark_labels
from app.reading.cached import cached_by
from app.reading.images import image_path
from app.reading.runs import scores
from app.reading.scores import thresholds_in_use
from app.routes import image_url
from app.widgets import Metric, friendly_errors, literal, metric_row
from ccd_core.errors import UserError
from ccd_core.evaluation import marked
from ccd_core.evaluation.marked import Measured
from ccd_core.runs.run import Run

LARGE = 960  # pixels, longer side of the image
STEP = 50  # further images that are offered once the sample is marked
IMAGES = {"val": "validation images", "train": "training images"}
MEANINGS = {
    "mAP": "how far images with a class are ranked above the others, mean over the classes",
    "F1": "of the labels at the run's thresholds, mean over the classes",
    "precision": "of the labels given, how many are right",
    "recall": "of the labels that are true, how many are given",
}


@st.fragment
@friendly_errors()
def marking_part(run: Run, split: str) -> None:
    """One image after the other to be marked, and what the marks tell. The split is chosen by the run."""
    split = marked.split_to_mark(run) or split
    st.caption(
        f"Mark the classes that each image truly shows. They are a random sample of the {IMAGES[split]}. "
        "Press or click a key for each class, Enter for the next image, U to go back. Leave an image without "
        "a mark if it shows no class. The marks measure the run and never train it. "
        f"They are kept in {literal(run.name)}/{marked.FILE}."
    )
    marks = marked.load_marks(run)
    order = _order(run, split)
    aim = min(marked.SAMPLE, len(order))
    inside = sum(image in marks for image in order)
    while inside >= aim < len(order) and st.session_state.get(state.MARK_MORE, 0) >= aim:
        aim = min(aim + STEP, len(order))
    current = _current(run, order[:aim], marks)
    if current is None:
        st.success(f"All {aim:,} images of the sample are marked.")
        if aim < len(order):
            st.button("Mark more", icon=":material/add:", on_click=_more, args=(aim,))
        st.button(
            "Back to the last image", icon=":material/undo:", on_click=_go_back, args=(run, order[aim - 1])
        )
    else:
        _image(run, order, aim, current, marks)
    _measures(run, len(order))


def _current(run: Run, order: list[str], marks: dict) -> str | None:
    """The image that the person went back to, or the first that has no mark and can be seen."""
    asked = st.session_state.get(state.MARKED_IMAGE)
    if asked and asked[0] == str(run.path) and asked[1] in order:
        return asked[1]
    return next((image for image in order if image not in marks), None)


def _image(run: Run, order: list[str], aim: int, image: str, marks: dict) -> None:
    place = order.index(image)
    image_path(run, image)  # raises where the data set is not on this machine
    following = next((one for one in order[place + 1 : aim] if one not in marks), None)
    already = marks.get(image)
    mark_labels(
        image,
        image_url(run.name, image, LARGE),
        run.classes,
        [] if already is None else already.nonzero()[0].tolist(),
        f"Image {place + 1} of {aim}, {sum(one in marks for one in order[:aim])} marked",
        image_url(run.name, following, LARGE) if following else None,
        can_go_back=place > 0,
        on_next=lambda one, chosen: _save(run, one, chosen),
        on_back=lambda one: _go_back(run, order[order.index(one) - 1]),
        key="mark_labels",
    )
    if message := st.session_state.pop(state.MARK_ERROR, None):
        st.error(literal(message, keep_code=True))


def _save(run: Run, image: str, chosen: list[int]) -> None:
    """Keep the marks of an image, and go on to the next one."""
    try:
        marked.save_mark(run, image, chosen)
        st.session_state.pop(state.MARKED_IMAGE, None)
    except UserError as error:
        st.session_state[state.MARK_ERROR] = str(error)


def _go_back(run: Run, image: str) -> None:
    st.session_state[state.MARKED_IMAGE] = (str(run.path), image)


def _more(aim: int) -> None:
    st.session_state[state.MARK_MORE] = aim


@cached_by("scores/{split}.npz", copied=True, max_entries=16)
def _order(run: Run, split: str) -> list[str]:
    return marked.sample(scores(run, split)["ids"].tolist())


@cached_by(marked.FILE, "scores/val.npz", "scores/train.npz", "thresholds.json", copied=True, max_entries=16)
def _measured(run: Run) -> Measured | None:
    return marked.measure_run(run, thresholds_in_use(run).array(run.classes))


def _measures(run: Run, available: int) -> None:
    """What the marked images tell, with confidence intervals, and how many more would halve them."""
    found = _measured(run)
    if found is None:
        st.caption(
            f"From {marked.FEWEST} marked images on, the run's mAP, F1 and precision are measured here."
        )
        return
    st.header(f"Measured on {found.images} marked images", anchor=False)
    numbers: list[Metric] = [
        (name, f"{100 * one.value:.1f} %", f"{MEANINGS[name]}; 95 % confidence: {one.in_words}")
        for name, one in found.measures.items()
    ]
    metric_row(numbers)
    spans = ", ".join(
        f"{name} {100 * one.low:.0f} to {100 * one.high:.0f} %" for name, one in found.measures.items()
    )
    more = found.more_to_halve
    text = f"Marking {more:,} more images would halve these intervals."
    if found.images + more > available:
        text = f"Halving them needs {more:,} more images; {available - found.images:,} are left to be marked."
    st.caption(
        f"95 % confidence, from {marked.RESAMPLES:,} resamples of the images: {spans}. {text} "
        f"{_classes_counted(found.classes, len(run.classes))}"
    )


def _classes_counted(marked_classes: int, classes: int) -> str:
    """Which classes the numbers are about."""
    if marked_classes == classes:
        return f"Each of the {classes} classes is marked at least once."
    return f"The numbers are about the {marked_classes} of {classes} classes that are marked at least once."
