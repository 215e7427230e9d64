"""Predictions of a classifier for all images of a split."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from ccd_core.data.loading import DecodedImages, in_batches
from ccd_core.device_memory import Pass, to_device
from ccd_core.method.classifier import CamClassifier
from ccd_core.runs.progress import Advance
from ccd_core.runs.team import ALONE, Team
from ccd_core.training.augment import to_network

BATCH_SIZE = 64  # a forward pass without gradients needs less memory than a training step
IN_ONE_PASS = "images in one pass of scoring"


@torch.inference_mode()
def predict_scores(
    model: CamClassifier,
    images: DecodedImages,
    accelerator: Accelerator,
    team: Team = ALONE,
    advance: Advance | None = None,
    limit: Pass | None = None,
    seen: Callable[[np.ndarray, Tensor], None] | None = None,
) -> np.ndarray:
    """Probabilities of every image, float32 [N, C].

    The processes of `team` share the batches, and each gets all probabilities. advance(done) is called after
    every batch with the approximate number of images done by all processes. limit: how many images the
    device's memory takes. seen(indices, features) gets the features [B, Q] of each batch, on the device.
    """
    was_training = model.training
    model.eval()
    limit = limit or Pass(IN_ONE_PASS)

    def one_pass(pixels: Tensor, part: slice) -> tuple[Tensor, Tensor | None]:
        x = to_network(to_device(pixels[part], accelerator.device))
        with accelerator.autocast():
            logits, features = model.with_features(x) if seen else (model(x), None)
        return torch.sigmoid(logits.float()), features

    rows: list[np.ndarray] = []
    found: list[Tensor] = []  # on the device, which is not waited for until all is done
    done = 0
    batches = in_batches(np.arange(len(images)), BATCH_SIZE)
    for indices, pixels in images.batches(team.shard(batches)):
        passes = limit.run(len(pixels), partial(one_pass, pixels))
        rows.append(indices)
        found += [values for values, _ in passes]
        if seen:
            seen(indices, torch.cat([features.float() for _, features in passes if features is not None]))
        done += len(indices) * team.size
        if advance:
            advance(min(done, len(images)))
    model.train(was_training)
    scores = np.zeros((len(images), model.head.out_channels), np.float32)
    if rows:
        scores[np.concatenate(rows)] = torch.cat(found).cpu().numpy()
    return team.all_reduce(scores)
