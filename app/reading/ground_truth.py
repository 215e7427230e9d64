"""A run's data set and what is truly in its images, by the class names that the run was trained with.

Kept for as long as the files that say it are unchanged: people add photos, names and labels while the app runs.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import streamlit as st

from ccd_core.data import open_dataset
from ccd_core.data.types import Box, Dataset, GroundTruth
from ccd_core.errors import UserError
from ccd_core.runs.run import Run

LOOK_AGAIN_SECONDS = 60  # how often a data set is opened once more for an image that it does not have


def changes(spec: str, classes: Path | str | None) -> tuple[int, ...]:
    """When what a person edits in a data set was changed (ns); new images in folders below its own do not show."""
    place = spec.partition(":")[2]
    root = Path(place).expanduser()
    watched = [
        root,
        root / "classes.txt",
        root / "labels.csv",
        root / "annotations",
        root / "ImageSets/Main",
        *([Path(classes)] if classes else []),
    ]
    return tuple(changed_at(path) for path in watched) if place else ()


def changed_at(path: Path) -> int:
    """When a file or folder was changed (ns), 0 where it is not there: whatever is kept of it is kept under this."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


Key = tuple[str, str | None, tuple[int, ...]]


def key(run: Run) -> Key:
    """What is kept of a run's data set and its ground truth is kept under this."""
    data = run.config.data
    return data.spec, str(data.classes) if data.classes else None, changes(data.spec, data.classes)


@st.cache_resource(max_entries=4, show_spinner=False)
def _dataset(spec: str, classes: str | None, changed: tuple[int, ...]) -> Dataset:
    return open_dataset(spec, Path(classes) if classes else None)


def dataset(run: Run) -> Dataset:
    """The run's data set. Raises UserError where its images are not on this machine."""
    return _dataset(*key(run))


@st.cache_resource(max_entries=32, ttl=LOOK_AGAIN_SECONDS, show_spinner=False)
def _look_again(spec: str, classes: str | None, changed: tuple[int, ...]) -> None:
    _dataset.clear(spec, classes, changed)


def find_image(run: Run, image: str) -> Path | None:
    """Where an image is; None where the data set does not have it, also when looked at again."""
    path = dataset(run).path(image)
    if path is None:
        _look_again(*key(run))
        path = dataset(run).path(image)
    return path


# -- ground truth ----------------------------------------------------------------------------------


@st.cache_resource(max_entries=8, show_spinner="Reading the ground truth ...")
def _truth_as_read(
    spec: str, classes: str | None, changed: tuple[int, ...], split: str
) -> GroundTruth | None:
    return _dataset(spec, classes, changed).ground_truth(split)


@st.cache_resource(max_entries=8, show_spinner=False)
def _ground_truth(
    spec: str, classes: str | None, changed: tuple[int, ...], split: str, names: tuple[str, ...]
) -> GroundTruth | None:
    truth, there = _truth_as_read(spec, classes, changed, split), _dataset(spec, classes, changed).classes
    if truth is None:
        return None
    if gone := [name for name in names if name not in there]:
        raise UserError(
            f"The data set no longer has the class {gone[0]!r}, which this run was trained with; put the name back into its class list."
        )
    return truth.in_terms_of(names, there)


def ground_truth(run: Run, split: str = "train") -> GroundTruth | None:
    """What is truly in the images of a split, in the order of `run.classes`; None where that is not known here."""
    try:
        return _ground_truth(*key(run), split, run.classes)
    except UserError:
        return None


def why_no_truth(run: Run, split: str = "train") -> str:
    """Why a split cannot be compared with ground truth, and what to do about it."""
    try:
        dataset(run)
    except UserError as error:
        return f"The run's data set cannot be opened on this machine, so its ground truth is not known here; put it there and reload the page. {error}"
    try:
        _ground_truth(*key(run), split, run.classes)
    except UserError as error:
        return f"The ground truth cannot be used. {error}"
    return "There is no ground truth for these images; a labels.csv in the data set's folder would be scored."


def image_truth(
    run: Run, image: str, split: str = "train"
) -> tuple[np.ndarray, tuple[tuple[int, Box], ...]] | None:
    """Targets [C] of one image and its (class, box in pixels of the file); None where there is no ground truth for it."""
    truth = ground_truth(run, split)
    row = truth.row_of.get(image) if truth else None
    return None if truth is None or row is None else (truth.targets[row], truth.boxes[row])


def targets(run: Run, split: str, ids: np.ndarray) -> tuple[list[int], np.ndarray] | None:
    """Rows of `ids` (those of a run's own arrays) that have ground truth, and their targets [n, C]; None where there is none."""
    truth = ground_truth(run, split)
    if truth is None:
        return None
    found = [
        (row, there)
        for row, image in enumerate(ids.tolist())
        if (there := truth.row_of.get(image)) is not None
    ]
    values = truth.targets[[there for _, there in found]]
    return (
        ([row for row, _ in found], values) if (values == 1).any() else None
    )  # images without a single class score nothing
