"""Stage `scores`, second part: what the training images are like to the kept classifier."""

from __future__ import annotations

import logging

import numpy as np
import torch

from ccd_core.data.loading import DecodedImages, in_batches
from ccd_core.method.classifier import CamClassifier
from ccd_core.method.likeness import FEWEST, fit_likeness
from ccd_core.runs.likeness import FILE, write_likeness
from ccd_core.runs.work import Work
from ccd_core.training.augment import to_network
from ccd_core.training.inference import BATCH_SIZE

log = logging.getLogger("ccd")
MOST = 4000  # training images; more make the Gaussian no better, and memory stays flat


def write_likeness_of(model: CamClassifier, images: DecodedImages, work: Work) -> None:
    """Write likeness.npz from at most `MOST` training images, which Predict compares images with.

    model: the kept classifier. Nothing is written where there are too few images.
    """
    if work.has(FILE) or len(images) < FEWEST:
        return
    if work.team.first:
        chosen = np.random.default_rng(work.config.seed).permutation(len(images))[:MOST]
        made = fit_likeness(_features(model, images, chosen, work))
        if made is not None:
            write_likeness(work.folder, made)
            log.info("likeness to the training images: calibrated on %d of them", len(chosen))
    work.team.wait()


@torch.inference_mode()
def _features(model: CamClassifier, images: DecodedImages, chosen: np.ndarray, work: Work) -> np.ndarray:
    """[N, Q] float32 features of the chosen images, in their order."""
    model.eval()
    parts = []
    for _, pixels in images.batches(in_batches(chosen, BATCH_SIZE)):
        with work.accelerator.autocast():
            _, features = model.with_features(to_network(pixels.to(work.accelerator.device)))
        parts.append(features.float().cpu().numpy())
    return np.concatenate(parts)
