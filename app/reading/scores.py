"""A run's scores beside what is truly there, prepared once and shared: what the page Results asks on every move of a slider."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import streamlit as st

from app.reading import ground_truth as datasets
from app.reading import runs as loaders
from ccd_core.evaluation.sorted_scores import SortedScores
from ccd_core.runs.run import Run

SPLITS = {"val": "validation", "train": "training images"}
Key = tuple[float, datasets.Key]


@dataclass(frozen=True)
class Judged:
    """ids [n], scores [n, C] and targets [n, C] (bool) of the images with ground truth; of all images, without targets, where none has any."""

    ids: np.ndarray
    scores: np.ndarray
    targets: np.ndarray | None


def splits_of(run: Run) -> list[str]:
    return [split for split in SPLITS if run.has("scores", f"{split}.npz")]


def changed(run: Run, split: str) -> Key:
    """When the split's scores were written, and what its ground truth is kept under."""
    return run.file("scores", f"{split}.npz").stat().st_mtime, datasets.key(run)


@st.cache_resource(max_entries=4, show_spinner=False)
def _judged(path: str, split: str, written: Key, _run: Run) -> Judged:
    arrays = loaders.scores(_run, split)
    known = datasets.targets(_run, split, arrays["ids"])
    if known is None or not len(known[0]):
        return Judged(arrays["ids"], arrays["scores"], None)
    rows, targets = known
    whole = len(rows) == len(arrays["ids"])
    return Judged(
        arrays["ids"] if whole else arrays["ids"][rows],
        arrays["scores"] if whole else arrays["scores"][rows],
        targets == 1,
    )


def judged(run: Run, split: str) -> Judged:
    return _judged(str(run.path), split, changed(run, split), run)


@st.cache_resource(max_entries=6, show_spinner="Sorting the scores ...")
def _ranking(path: str, split: str, written: Key, one: bool, _run: Run) -> SortedScores:
    known = judged(_run, split)
    return (
        SortedScores.of_all_entries(known.scores, known.targets)
        if one
        else SortedScores(known.scores, known.targets)
    )


def ranking(run: Run, split: str, one_threshold: bool = False) -> SortedScores:
    """The images of every class sorted by score; with `one_threshold` all entries as if of one class."""
    return _ranking(str(run.path), split, changed(run, split), one_threshold, run)


@st.cache_resource(max_entries=16, show_spinner=False)
def _most_wrong(
    path: str, split: str, written: Key, kind: str, cls: int | None, most: int, _run: Run
) -> list[tuple[int, int]]:
    known = judged(_run, split)
    assert known.targets is not None
    columns = slice(None) if cls is None else slice(cls, cls + 1)
    scores, there = known.scores[:, columns], known.targets[:, columns]
    loss = np.where(there, -1.0, scores) if kind == "false" else np.where(there, 1 - scores, -1.0)
    flat = loss.ravel()
    chosen = np.argpartition(-flat, min(most, flat.size - 1))[:most]
    chosen = chosen[np.argsort(-flat[chosen], kind="stable")]
    return [
        (int(k // loss.shape[1]), int(k % loss.shape[1]) if cls is None else cls)
        for k in chosen
        if flat[k] >= 0
    ]


def most_wrong(run: Run, split: str, kind: str, cls: int | None, most: int = 240) -> list[tuple[int, int]]:
    """(row, class) of the entries with the highest loss: kind "false" (p where it is not there) or "missed" (1 - p where it is)."""
    return _most_wrong(str(run.path), split, changed(run, split), kind, cls, most, run)


def confusion(known: Judged, limits: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """([C, C] rate, [C, C] baseline, [C, C] images): how often class A (row) is wrongly predicted where B (column) is and A is not.

    rate: among the images that have B and not A, the share in which A is at or above its threshold; baseline: the same among images
    with neither; images: how many have B and not A. NaN where there are none.
    """
    assert known.targets is not None
    there = known.targets.astype(np.float32)
    false = ((known.scores >= limits.astype(np.float32)) & ~known.targets).astype(np.float32)
    wrong_with, with_b = false.T @ there, (1 - there).T @ there
    wrong_without, without = false.sum(0)[:, None] - wrong_with, (1 - there).sum(0)[:, None] - with_b
    with np.errstate(invalid="ignore", divide="ignore"):
        rate, baseline = wrong_with / with_b, wrong_without / without
    np.fill_diagonal(rate, np.nan)
    return rate, baseline, with_b
