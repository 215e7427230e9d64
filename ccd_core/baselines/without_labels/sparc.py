"""CLIP's cosines, standardised for each image and then for each class: the first step of SPARC.

s' = (s - mean over classes) / deviation over classes,    s'' = the same of s' over images

The first takes out how well an image fits any text, the second how well a text fits any image, which is a
bias of CLIP as CCD's divisor takes out another. The score is sigmoid(s''). Means and deviations are those
of the images that are scored. Nothing is trained.

Source: Miller et al., "SPARC: Score Prompting and Adaptive Fusion for Zero-Shot Multi-Label Recognition"
(CVPR 2025), kjmillerCURIS/SPARC; its compound prompts and principal component are not part of this row.
"""

from __future__ import annotations

import numpy as np

from ccd_core.baselines.inputs import TrainingFree

SMALLEST = 1e-12  # of a deviation, so that nothing is divided by zero


def standardised(values: np.ndarray, axis: int) -> np.ndarray:
    """`values` [N, C] with mean 0 and deviation 1 along an axis; all 0 where they are all alike."""
    centred = values - values.mean(axis=axis, keepdims=True)
    return centred / np.maximum(centred.std(axis=axis, keepdims=True), SMALLEST)


def scores(inputs: TrainingFree) -> np.ndarray:
    """[N, C] float32 in (0, 1)."""
    twice = standardised(standardised(inputs.similarity.astype(np.float64), axis=1), axis=0)
    return (1 / (1 + np.exp(-twice))).astype(np.float32)
