"""CLIP zero-shot: CLIP's probabilities of the whole image are the scores (Eq. 1-2). Nothing is trained."""

from __future__ import annotations

import numpy as np

from ccd_core.baselines.inputs import TrainingFree


def scores(inputs: TrainingFree) -> np.ndarray:
    """[N, C] float32 in [0, 1]."""
    return inputs.p
