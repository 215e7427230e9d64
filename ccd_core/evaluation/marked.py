"""A few images whose true classes somebody has marked, and what they tell of a finished run.

The marks are in RUN/labels.csv: the column `image`, and one column for each class with 0 or 1. They are read
here and by the page Results alone. Nothing that makes labels or trains reads them.

The images are a random sample, always in the same order, so any number of them from its beginning is a random
sample, too. Measures have a 95 % confidence interval from a bootstrap over the images.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ccd_core.errors import UserError
from ccd_core.files import reading, write_atomic
from ccd_core.runs.run import Run

FILE = "labels.csv"
SAMPLE = 100  # images that the page suggests to mark
FEWEST = 10  # marked images below which nothing is measured
RESAMPLES = 1000
COVERAGE = 0.95
SEED = 15


@dataclass(frozen=True)
class Interval:
    """A measured value as a fraction, and the ends of its confidence interval."""

    value: float
    low: float
    high: float

    @property
    def in_words(self) -> str:
        return f"{100 * self.value:.1f} % ({100 * self.low:.1f} to {100 * self.high:.1f})"


@dataclass(frozen=True)
class Measured:
    """Measures of a run on marked images. A measure that cannot be told is missing."""

    images: int
    measures: dict[str, Interval]  # of mAP, F1, precision and recall
    classes: int  # that occur in the marked images; mAP and F1 are means over them

    @property
    def more_to_halve(self) -> int:
        """How many more images would halve the intervals, whose width falls with the root of the number."""
        return 3 * self.images


def split_to_mark(run: Run) -> str | None:
    """The split whose images are marked: validation images where the run has any. None without scores."""
    return next((split for split in ("val", "train") if run.has("scores", f"{split}.npz")), None)


def sample(ids: Sequence[str]) -> list[str]:
    """The images in the order in which they are marked. It depends on their names and number alone."""
    order = np.random.default_rng(SEED).permutation(len(ids))
    return [str(ids[row]) for row in order]


def load_marks(run: Run) -> dict[str, np.ndarray]:
    """{image: [C] bool} of the marked images, in the order of marking.

    Raises UserError if the file is damaged or does not belong to the run's classes.
    """
    path = run.file(FILE)
    if not path.is_file():
        return {}
    with reading(path):
        rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))
    if not rows or rows[0] != ["image", *run.classes]:
        raise UserError(f"{path} does not have the columns image and the run's classes; move it away.")
    marks = {}
    for row in rows[1:]:
        if len(row) != len(rows[0]) or not set(row[1:]) <= {"0", "1"}:
            raise UserError(f"{path} has a row that is not an image with a 0 or 1 for each class: {row[:1]}.")
        marks[row[0]] = np.array(row[1:]) == "1"
    return marks


def save_mark(run: Run, image: str, classes: Sequence[int]) -> None:
    """Add an image with the indices of its true classes, or change it. Raises UserError if it cannot be."""
    marks = load_marks(run)
    marked = np.zeros(len(run.classes), bool)
    marked[list(classes)] = True
    marks[image] = marked
    _write(run, marks)


def _write(run: Run, marks: dict[str, np.ndarray]) -> None:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["image", *run.classes])
    for image, marked in marks.items():
        table.writerow([image, *marked.astype(int).tolist()])
    try:
        write_atomic(run.file(FILE), text.getvalue())
    except OSError as error:
        raise UserError(f"The marks cannot be written to {run.file(FILE)}: {error.strerror}.") from None


def measure(scores: np.ndarray, targets: np.ndarray, thresholds: np.ndarray) -> Measured | None:
    """mAP, macro F1, and precision and recall of all labels, of marked images.

    scores: [N, C]; targets: [N, C] bool; thresholds: [C], from which on a score is a label. Returns None for
    fewer than `FEWEST` images, or if no image has a class.
    """
    count = len(scores)
    if count < FEWEST or not targets.any():
        return None
    drawn = np.random.default_rng(SEED).multinomial(count, np.full(count, 1 / count), RESAMPLES)
    weights = np.concatenate([np.ones((1, count)), drawn])  # the first row is the sample itself
    labelled = scores >= thresholds.astype(np.float32)
    found = _weighted(weights, scores, targets, labelled)
    measures = {}
    for name, values in found.items():
        resampled = values[1:][np.isfinite(values[1:])]
        if np.isfinite(values[0]) and len(resampled):
            low, high = np.quantile(resampled, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
            measures[name] = Interval(float(values[0]), float(low), float(high))
    return Measured(count, measures, int(targets.any(0).sum()))


def measure_run(run: Run, thresholds: np.ndarray, alone: bool = False) -> Measured | None:
    """`measure` of the images that were marked of a run.

    thresholds: [C]. alone: of the classifier without CLIP's share in predictions.
    """
    split = split_to_mark(run)
    if split is None:
        return None
    marks = load_marks(run)
    arrays = run.load_scores(split, alone)
    rows = [row for row, image in enumerate(arrays["ids"].tolist()) if image in marks]
    if not rows:
        return None
    targets = np.stack([marks[str(arrays["ids"][row])] for row in rows])
    return measure(arrays["scores"][rows], targets, thresholds)


def _weighted(
    weights: np.ndarray, scores: np.ndarray, targets: np.ndarray, labelled: np.ndarray
) -> dict[str, np.ndarray]:
    """{measure: [B]} where image n counts weights[b, n] times. NaN where a measure cannot be told."""
    precise = np.full((len(weights), scores.shape[1]), np.nan)
    f1 = np.full((len(weights), scores.shape[1]), np.nan)
    hits = np.zeros(len(weights))
    given = np.zeros(len(weights))
    there = np.zeros(len(weights))
    for c in range(scores.shape[1]):
        positives = weights @ targets[:, c]
        labels = weights @ labelled[:, c]
        right = weights @ (labelled[:, c] & targets[:, c])
        hits += right
        given += labels
        there += positives
        with np.errstate(invalid="ignore", divide="ignore"):
            f1[:, c] = np.where(positives > 0, 2 * right / (labels + positives), np.nan)
            precise[:, c] = _average_precision(weights, scores[:, c], targets[:, c])
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "mAP": _mean(precise),
            "F1": _mean(f1),
            "precision": hits / given,
            "recall": hits / there,
        }


def _average_precision(weights: np.ndarray, scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """[B] average precision of one class. Images of equal score count as one step."""
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(scores[order][:-1] != scores[order][1:], True))
    found = (weights[:, order] * targets[order]).cumsum(1)[:, ends]
    seen = weights[:, order].cumsum(1)[:, ends]
    steps = np.diff(found, axis=1, prepend=0)
    return (steps * found / np.maximum(seen, 1e-12)).sum(1) / found[:, -1]


def _mean(values: np.ndarray) -> np.ndarray:
    """[B] the mean over the classes that occur."""
    known = np.isfinite(values)
    return np.where(known, values, 0).sum(1) / known.sum(1)
