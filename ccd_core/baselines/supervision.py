"""Labels for the methods that use some: the only door from ground truth to training.

A method gets a `Supervision` or nothing. CCD and the other label-free methods have no argument of that type,
and their modules do not import this one; tests say so.

The rules and seeds are those of the public code of Cole et al. (one positive an image) and of SST and SARB
(some entries). Labels are coded -1 for a known negative, 0 for unknown and 1 for a known positive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ccd_core.baselines.inputs import Setting
from ccd_core.data.types import Dataset
from ccd_core.errors import UserError

Kind = Literal["full", "single", "partial"]


@dataclass(frozen=True)
class Supervision:
    """What a method is told of N training images and C classes. Only `supervise` makes one.

    labels: [N, C] int8, -1 for a known negative, 0 for unknown, 1 for a known positive.
    """

    kind: Kind
    ids: tuple[str, ...]
    labels: np.ndarray
    seed: int | None = None

    @property
    def known(self) -> np.ndarray:
        """[N, C] bool, which entries are known."""
        return self.labels != 0

    def in_words(self) -> str:
        """What is known, with counts, for logs."""
        count, classes = self.labels.shape
        positive = int((self.labels == 1).sum())
        if self.kind == "full":
            return f"all labels of {count} training images, {positive} of them positive"
        if self.kind == "single":
            return f"one positive label an image, {positive} of {count} images, label seed {self.seed}"
        share = 100 * self.known.mean()
        return f"{share:.1f} % of {count} x {classes} labels, {positive} positive, label seed {self.seed}"


@dataclass(frozen=True)
class WithLabels:
    """For methods that use labels, which come through `supervision`."""

    setting: Setting
    supervision: Supervision


def supervise(dataset: Dataset, ids: Sequence[str], kind: Kind, seed: int, known: float) -> Supervision:
    """The labels of the training images `ids` that a method of this kind is given.

    seed: by which labels are drawn for `single` and `partial`; known: the probability of an entry for
    `partial`. Labels are drawn over all training images of the data set, in its order, before unusable images
    are left out, so that a damaged file changes no other image's labels. Raises UserError if an image has no
    ground truth.
    """
    truth = dataset.ground_truth("train")
    if truth is None:
        raise UserError(
            f"The data set {dataset.spec} has no labels for its training images, and this method needs them; "
            "choose a method without labels, such as ccd."
        )
    every = dataset.splits["train"].ids
    targets = truth.rows(every)
    labels = np.where(targets == 1, 1, -1).astype(np.int8)
    if kind == "single":
        labels = one_positive(labels, seed)
    elif kind == "partial":
        labels = known_with_probability(labels, known, seed)
    row_of = {image: row for row, image in enumerate(every)}
    chosen = labels[[row_of[image] for image in ids]]
    return Supervision(kind, tuple(ids), chosen, None if kind == "full" else seed)


def one_positive(labels: np.ndarray, seed: int = 1200) -> np.ndarray:
    """[N, C] with one known positive an image, and nothing else known.

    labels: [N, C] int8 of -1 and 1. For each image in order, the indices of its positives are shuffled and
    the first is kept. An image without a positive has a row of zeros.
    """
    rng = np.random.RandomState(seed)
    found = np.zeros_like(labels)
    for row, image in enumerate(labels):
        positives = np.flatnonzero(image == 1)
        rng.shuffle(positives)
        found[row, positives[:1]] = 1
    return found


def known_with_probability(labels: np.ndarray, known: float = 0.1, seed: int = 0) -> np.ndarray:
    """[N, C] with each entry kept with probability `known`, and 0 elsewhere.

    labels: [N, C] int8 of -1 and 1. There is one draw for each entry, for positives and negatives alike.
    """
    rng = np.random.RandomState(seed)
    return np.where(rng.random_sample(labels.shape) < known, labels, 0).astype(np.int8)
