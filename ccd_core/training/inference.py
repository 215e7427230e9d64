"""Predictions of a classifier for all images of a split."""

from __future__ import annotations

import numpy as np
import torch
from accelerate import Accelerator

from ccd_core.data.loading import DecodedImages, in_batches
from ccd_core.method.classifier import CamClassifier
from ccd_core.runs.progress import Advance
from ccd_core.runs.team import ALONE, Team
from ccd_core.training.augment import to_network

BATCH_SIZE = 64  # a forward pass without gradients needs less memory than a training step


@torch.inference_mode()
def predict_scores(
    model: CamClassifier,
    images: DecodedImages,
    accelerator: Accelerator,
    team: Team = ALONE,
    advance: Advance | None = None,
) -> np.ndarray:
    """Probabilities of every image, float32 [N, C].

    The processes of `team` share the batches, and each gets all probabilities. advance(done) is called after
    every batch with the approximate number of images done by all processes.
    """
    was_training = model.training
    model.eval()
    scores = np.zeros((len(images), model.head.out_channels), np.float32)
    done = 0
    batches = in_batches(np.arange(len(images)), BATCH_SIZE)
    for indices, pixels in images.batches(team.shard(batches)):
        with accelerator.autocast():
            logits = model(to_network(pixels.to(accelerator.device)))
        scores[indices] = torch.sigmoid(logits.float()).cpu().numpy()
        done += len(indices) * team.size
        if advance:
            advance(min(done, len(images)))
    model.train(was_training)
    return team.all_reduce(scores)
