"""Stage `scores`, second part: what the training images are like to the kept classifier."""

from __future__ import annotations

import logging

import numpy as np
import torch
from torch import Tensor

from ccd_core.device_memory import to_device
from ccd_core.method.likeness import FEWEST, fit_likeness
from ccd_core.runs.likeness import FILE, write_likeness
from ccd_core.runs.work import Work

log = logging.getLogger("ccd")
MOST = 4000  # training images; more make the Gaussian no better, and memory stays flat


class TrainingFeatures:
    """Features of at most `MOST` training images. They are gathered while the images are scored.

    images: the number of training images; width: Q, the number of features of one.
    """

    def __init__(self, images: int, width: int, work: Work):
        self.width = width
        self.work = work
        chosen = np.random.default_rng(work.config.seed).permutation(images)[:MOST]
        self.row_of = np.full(images, -1)
        self.row_of[chosen] = np.arange(len(chosen))
        self.rows: list[np.ndarray] = []
        self.found: list[Tensor] = []  # on the device, which is not waited for

    def see(self, indices: np.ndarray, features: Tensor) -> None:
        """Keep those of a batch that were chosen. features: [B, Q] of the images `indices` [B]."""
        rows = self.row_of[indices]
        wanted = rows >= 0
        self.rows.append(rows[wanted])
        self.found.append(features[to_device(torch.from_numpy(wanted.nonzero()[0]), features.device)])

    def together(self) -> np.ndarray:
        """[N, Q] float32, those of all processes, in random order."""
        features = np.zeros((self.row_of.max() + 1, self.width), np.float32)
        if self.rows:
            features[np.concatenate(self.rows)] = torch.cat(self.found).cpu().numpy()
        return self.work.team.all_reduce(features)


def write_likeness_of(features: TrainingFeatures, work: Work) -> None:
    """Write likeness.npz, which Predict compares images with, unless it is there or images are too few."""
    if work.has(FILE) or len(features.row_of) < FEWEST:
        return
    together = features.together()
    if work.team.first:
        made = fit_likeness(together)
        if made is not None:
            write_likeness(work.folder, made)
            log.info("likeness to the training images: calibrated on %d of them", len(together))
    work.team.wait()
