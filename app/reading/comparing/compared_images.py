"""What the methods of a comparison say of one image, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.reading.cached import cached_by
from app.reading.comparing.comparisons import first_run, opened, row_titles
from app.reading.runs import known_runs, open_run
from ccd_core.baselines import tables
from ccd_core.baselines.tables import EXAMPLES, Examples, TableFile, TableRow
from ccd_core.runs.run import Run

IdsAndValues = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class ImageLabels:
    """What the methods say of some images of a split: scores, or the labels that they were trained on.

    ids: the images that every method here has. values: title of the method -> its ids [N] and values [N, C],
    NaN for what is unknown. truth: ids [L] and [L, C] of 0 and 1, NaN where it is not known. missing: title
    -> why the method is not there.
    """

    ids: list[str]
    values: dict[str, IdsAndValues]
    truth: IdsAndValues | None
    missing: dict[str, str]

    def of(self, image: str) -> dict[str, np.ndarray]:
        """Title of the method -> [C], of one of `ids`."""
        return {title: values[_row(ids, image)] for title, (ids, values) in self.values.items()}

    def truth_of(self, image: str) -> np.ndarray | None:
        """[C] of 0 and 1; None where the comparison's folder does not say it."""
        if self.truth is None or image not in self.truth[0]:
            return None
        found = self.truth[1][_row(self.truth[0], image)]
        return None if np.isnan(found).all() else found


def _row(ids: np.ndarray, image: str) -> int:
    return int(np.flatnonzero(ids == image)[0])


def image_labels(folder: Path, table: TableFile, split: str) -> ImageLabels | None:
    """What each method says of the images of a split; None where nothing of that kind is in the folder.

    The runs of the folder are read first, because they have all images. Where a run is not in the folder, the
    method's part of examples.npz stands in, which has some images. split: val or train. Raises UserError if a
    file is damaged.
    """
    examples = _examples(folder / EXAMPLES) if (folder / EXAMPLES).is_file() else None
    found: dict[str, IdsAndValues] = {}
    missing: dict[str, str] = {}
    for row, title in zip(table.rows, row_titles(table.rows), strict=True):
        if split == "train" and row.group == "training_free":
            missing[title] = "it trains nothing"
            continue
        values = _of_run(folder, row, split, table.classes)
        if values is None:
            values = _of_examples(examples, row, split)
        if values is None or values[1].shape[1] != len(table.classes):
            missing[title] = _why_missing(row)
        else:
            found[title] = values
    ids = _shared_ids([ids for ids, _ in found.values()])
    if not ids:
        return None
    return ImageLabels(ids, found, _example_truth(examples, split, len(table.classes)), missing)


def _shared_ids(lists: Sequence[np.ndarray]) -> list[str]:
    """The images of the first list that are in all others."""
    if not lists:
        return []
    first: list[str] = lists[0].tolist()
    for other in lists[1:]:
        if not np.array_equal(other, lists[0]):
            known = set(other.tolist())
            first = [image for image in first if image in known]
    return first


def _of_run(folder: Path, row: TableRow, split: str, classes: Sequence[str]) -> IdsAndValues | None:
    run = first_run(folder, row)
    if run is None or run.classes != tuple(classes):
        return None
    if split == "val":
        return _validation_scores(run) if run.has("scores", "val.npz") else None
    return _final_labels(run) if run.has("labels.npz") else None


@cached_by("scores/val.npz", max_entries=24)
def _validation_scores(run: Run) -> IdsAndValues:
    arrays = run.load_scores("val")
    return arrays["ids"], arrays["scores"].astype(np.float16)


@cached_by("labels.npz", max_entries=24)
def _final_labels(run: Run) -> IdsAndValues:
    arrays = run.load_labels()
    return arrays["ids"], arrays["final"].astype(np.float16)


@cached_by(max_entries=8)
def _examples(file: Path) -> Examples | None:
    return tables.read_examples(file.parent)


def _of_examples(examples: Examples | None, row: TableRow, split: str) -> IdsAndValues | None:
    if examples is None or row.method not in examples.methods.tolist():
        return None
    number = examples.methods.tolist().index(row.method)
    if split == "val":
        return examples.val_ids, examples.val_scores[number]
    return examples.train_ids, examples.train_labels[number]


def _example_truth(examples: Examples | None, split: str, classes: int) -> IdsAndValues | None:
    if examples is None:
        return None
    ids = examples.val_ids if split == "val" else examples.train_ids
    truth = examples.val_truth if split == "val" else examples.train_truth
    return (ids, truth) if truth.shape[1] == classes else None


def _why_missing(row: TableRow) -> str:
    if row.over_seeds() is None:
        status = row.runs[0].status if row.runs else "created"
        return "its run has not started" if status == "created" else f"its run is {status}"
    return "its run is not in this folder"


def image_source(folder: Path, table: TableFile) -> Run | None:
    """A run that knows where the comparison's images are; None where there is none.

    It is one of the comparison's own, else one of the app's on the demo: a toy scene is drawn by its name, so
    the same name is the same picture in any number of scenes.
    """
    for row in table.rows:
        for result in row.runs:
            if (run := opened(folder, result)) is not None:
                return run
    for path in known_runs().values():
        run = open_run(path)
        if run.config.data.spec == table.dataset_kind == "demo":
            return run
    return None
