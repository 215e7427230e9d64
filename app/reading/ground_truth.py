"""A run's data set and its ground truth, by the class names that the run was trained with.

Both are read again when the files of the data set change: people add photos, names and labels while the app
runs.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import streamlit as st

from app.reading.cached import NOT_OPENED, DataKey, cached_by, data_key
from app.reading.runs import global_arrays, image_ids
from ccd_core.data import open_dataset
from ccd_core.data.types import Box, Dataset, GroundTruth
from ccd_core.errors import UserError
from ccd_core.runs.run import Run

LOOK_AGAIN_SECONDS = 60  # how often a data set is opened once more for an image that it does not have


@st.cache_resource(max_entries=4, show_spinner=False)
def _dataset(key: DataKey) -> Dataset:
    if key.changed == NOT_OPENED:
        raise UserError(
            f"The data set {key.spec} of this run was not used on this machine before; it is not opened "
            "until you say so, at the top of the page."
        )
    return open_dataset(key.spec, Path(key.classes) if key.classes else None)


def dataset(run: Run) -> Dataset:
    """The run's data set. Raises UserError where its images are not on this machine."""
    return _dataset(data_key(run))


@st.cache_resource(max_entries=32, ttl=LOOK_AGAIN_SECONDS, show_spinner=False)
def _look_again(key: DataKey) -> None:
    _dataset.clear(key)


def find_image(run: Run, image: str) -> Path | None:
    """Where an image is; None where the data set does not have it, also when looked at again."""
    path = dataset(run).path(image)
    if path is None:
        _look_again(data_key(run))
        path = dataset(run).path(image)
    return path


# -- what is truly in the images ---------------------------------------------------------------------


@st.cache_resource(max_entries=8, show_spinner="Reading the ground truth ...")
def _truth_as_read(key: DataKey, split: str) -> GroundTruth | None:
    return _dataset(key).ground_truth(split)


@st.cache_resource(max_entries=8, show_spinner=False)
def _ground_truth(key: DataKey, split: str, names: tuple[str, ...]) -> GroundTruth | None:
    truth = _truth_as_read(key, split)
    if truth is None:
        return None
    listed = _dataset(key).classes
    if gone := [name for name in names if name not in listed]:
        raise UserError(
            f"The data set no longer has the class {gone[0]!r}, which this run was trained with; "
            "put the name back into its class list."
        )
    return truth.in_terms_of(names, listed)


def ground_truth(run: Run, split: str = "train") -> GroundTruth | None:
    """What is truly in the images of a split, in the order of `run.classes`; None where it is unknown."""
    try:
        return _ground_truth(data_key(run), split, run.classes)
    except UserError:
        return None


def why_no_truth(run: Run, split: str = "train") -> str:
    """Why a split cannot be compared with ground truth, and what to do about it."""
    try:
        dataset(run)
    except UserError as error:
        return (
            "The run's data set cannot be opened on this machine, so its ground truth is not known here; "
            f"put it there and reload the page. {error}"
        )
    try:
        _ground_truth(data_key(run), split, run.classes)
    except UserError as error:
        return f"The ground truth cannot be used. {error}"
    return "There is no ground truth for these images; a labels.csv in the data set's folder would be scored."


def image_truth(
    run: Run, image: str, split: str = "train"
) -> tuple[np.ndarray, tuple[tuple[int, Box], ...]] | None:
    """Targets [C] and objects (class, box in pixels of the file) of one image; None without ground truth."""
    truth = ground_truth(run, split)
    row = truth.row_of.get(image) if truth else None
    return None if truth is None or row is None else (truth.targets[row], truth.boxes[row])


def matched(run: Run, split: str, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Rows [n] of `ids` (those of a run's own arrays) that have ground truth, and their targets [n, C].

    None where no image has a single class: such a truth scores nothing.
    """
    truth = ground_truth(run, split)
    if truth is None:
        return None
    rows, targets = truth.matched(ids.tolist())
    return (rows, targets) if (targets == 1).any() else None


# -- how often each class is truly there ---------------------------------------------------------------


@cached_by("global.npz", data_set=True, max_entries=2)
def positives(run: Run) -> tuple[np.ndarray, list[np.ndarray]] | None:
    """Rows of the training images that have ground truth and, of each class, which of those have it.

    None where there is no ground truth.
    """
    truth = matched(run, "train", global_arrays(run)["ids"])
    if truth is None:
        return None
    rows, targets = truth
    return rows, [np.flatnonzero(column == 1) for column in targets.T]


def true_counts(run: Run) -> tuple[np.ndarray, int] | None:
    """[C] how many training images truly have each class, of how many with ground truth; None without any."""
    truth = positives(run)
    return None if truth is None else (np.array([len(rows) for rows in truth[1]]), len(truth[0]))


def true_rates(run: Run) -> np.ndarray | None:
    """[C] which share of the training images with ground truth truly have each class; None without any."""
    truth = true_counts(run)
    return None if truth is None else truth[0] / truth[1]


def compared_rows(run: Run) -> np.ndarray | None:
    """Rows of the images that are counted beside the truth where only some have ground truth.

    None where all images are counted, because all have ground truth or none has.
    """
    truth = positives(run)
    return None if truth is None or len(truth[0]) == len(image_ids(run)[0]) else truth[0]


def which_images(run: Run) -> str:
    """A sentence on which images are counted beside the truth, where not all are, to follow another."""
    rows = compared_rows(run)
    if rows is None:
        return ""
    return f" Counted: the {len(rows):,} of {len(image_ids(run)[0]):,} images with ground truth."
