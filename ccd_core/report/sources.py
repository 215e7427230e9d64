"""What a report reads of a run's data set: ground truth for the scores, and the files of some images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ccd_core.data import WITH_CLASSES, open_dataset
from ccd_core.data.types import Dataset
from ccd_core.errors import UserError
from ccd_core.runs.run import Run


def open_data(run: Run) -> Dataset:
    """The run's data set. Raises UserError where it is not on this machine."""
    settings = run.config.data
    with_classes = settings.spec.partition(":")[0] in WITH_CLASSES
    return open_dataset(settings.spec, settings.classes if with_classes else None)


def any_path(run: Run, path: Path) -> Path:
    """Every picture of a data set may be shown to the user of this machine."""
    return path


@dataclass(frozen=True)
class Sources:
    """A run with its data set, or None where that is not on this machine.

    permitted: raises UserError for a picture that may not be shown.
    """

    run: Run
    dataset: Dataset | None
    permitted: Callable[[Run, Path], Path]

    @classmethod
    def of(
        cls,
        run: Run,
        opener: Callable[[Run], Dataset] = open_data,
        permitted: Callable[[Run, Path], Path] = any_path,
    ) -> Sources:
        try:
            return cls(run, opener(run), permitted)
        except UserError:
            return cls(run, None, permitted)

    def path(self, image: str) -> Path | None:
        """The file of an image, or None if it is not here or may not be shown."""
        path = self.dataset.path(image) if self.dataset else None
        try:
            return None if path is None else self.permitted(self.run, path)
        except UserError:
            return None

    def scored(self, split: str) -> tuple[np.ndarray, np.ndarray, np.ndarray | None] | None:
        """ids [n], scores [n, C] and targets [n, C] (bool) of the images with ground truth.

        Without any, those of all images, with None as targets. None if the run has no scores of the split.
        """
        if not self.run.has("scores", f"{split}.npz"):
            return None
        stored = self.run.load_scores(split)
        ids = stored["ids"]
        scores = stored["scores"]
        try:
            truth = self.dataset.ground_truth(split) if self.dataset else None
            if truth is not None and self.dataset is not None:
                truth = truth.in_terms_of(self.run.classes, self.dataset.classes)
        except (UserError, ValueError):  # a class is gone, or an annotation is damaged
            truth = None
        if truth is None:
            return ids, scores, None
        rows, targets = truth.matched(ids.tolist())
        if not (targets == 1).any():
            return ids, scores, None
        return ids[rows], scores[rows], targets == 1
