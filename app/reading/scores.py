"""A run's scores beside what is truly there, sorted once for the page Results and its sliders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.reading import runs
from app.reading.cached import cached_by
from app.reading.ground_truth import matched
from ccd_core.evaluation import thresholds
from ccd_core.evaluation.sorted_scores import SortedScores
from ccd_core.evaluation.thresholds import Thresholds
from ccd_core.explore.mistakes import most_wrong_entries
from ccd_core.runs.run import Run

SPLITS = {"val": "validation", "train": "training images"}
FILE = "scores/{split}.npz"


@dataclass(frozen=True)
class ScoredSplit:
    """ids [n], scores [n, C] and targets [n, C] (bool) of the images of a split that have ground truth.

    Where none has any, they are of all images of the split, and targets is None.
    """

    ids: np.ndarray
    scores: np.ndarray
    targets: np.ndarray | None


def splits_of(run: Run) -> list[str]:
    """The splits that the run has scores of."""
    return [split for split in SPLITS if run.has("scores", f"{split}.npz")]


@cached_by(FILE, data_set=True, max_entries=4)
def scored(run: Run, split: str) -> ScoredSplit:
    """The classifier's scores of a split, with ground truth where there is any."""
    arrays = runs.scores(run, split)
    found = matched(run, split, arrays["ids"])
    if found is None:
        return ScoredSplit(arrays["ids"], arrays["scores"], None)
    rows, targets = found
    if len(rows) == len(arrays["ids"]):
        return ScoredSplit(arrays["ids"], arrays["scores"], targets == 1)
    return ScoredSplit(arrays["ids"][rows], arrays["scores"][rows], targets == 1)


@cached_by(FILE, data_set=True, max_entries=6, show_spinner="Sorting the scores ...")
def sorted_scores(run: Run, split: str, one_threshold: bool = False) -> SortedScores:
    """The images of every class sorted by score; with `one_threshold` all entries as if of one class."""
    split_scores = scored(run, split)
    make = SortedScores.of_all_entries if one_threshold else SortedScores
    return make(split_scores.scores, split_scores.targets)


@cached_by(FILE, data_set=True, max_entries=16)
def most_wrong(run: Run, split: str, kind: str, cls: int | None, most: int = 240) -> list[tuple[int, int]]:
    """(row, class) of the up to `most` entries with the highest loss, of one class or of all.

    kind: "false" (a class that is not there; the loss is p) or "missed" (a class that is there; it is 1 - p).
    """
    split_scores = scored(run, split)
    assert split_scores.targets is not None
    return most_wrong_entries(split_scores.scores, split_scores.targets, kind, cls, most)


@cached_by("thresholds.json", "labels.npz", "scores/train.npz", copied=True, max_entries=32)
def thresholds_in_use(run: Run) -> Thresholds:
    """The thresholds that turn the run's scores into labels: saved, or else chosen without labels."""
    return thresholds.in_use(run)
