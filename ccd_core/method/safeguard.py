"""Is the classifier likely worse than its teacher? An answer without labels.

CLIP is mostly right where it is sure. A classifier that learned from CLIP should agree with it there. One
that does not has learned too little, or from labels that are mostly wrong. The opposite does not hold: a
classifier that agrees may still be a little worse than its teacher, and this measure does not show it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ccd_core.method.bias import entropy

SURE = 1 / 3  # share of log C; CLIP is sure of an image of at most so much entropy
ENOUGH = 0.78  # of the images of which CLIP is sure; docs/evidence.md has the figures
FEWEST = 30  # images of which CLIP is sure; fewer say nothing


@dataclass(frozen=True)
class Agreement:
    """How often classifier and teacher have the same first class, where the teacher is sure."""

    images: int  # of which the teacher is sure
    share: float  # of those, in [0, 1]; NaN of none

    @property
    def known(self) -> bool:
        return self.images >= FEWEST

    @property
    def doubtful(self) -> bool:
        """Whether the classifier is likely worse than its teacher."""
        return self.known and self.share < ENOUGH


def agreement(scores: np.ndarray, p: np.ndarray) -> Agreement:
    """Agreement of the classifier's scores [N, C] with CLIP's probabilities p [N, C] of the same images.

        share = mean over images with H(p) <= log(C) / 3 of [argmax scores = argmax p]

    Images that the classifier was not trained on tell more.
    """
    sure = entropy(p) <= SURE * np.log(max(p.shape[1], 2))
    same = scores.argmax(1) == p.argmax(1)
    return Agreement(int(sure.sum()), float(same[sure].mean()) if sure.any() else float("nan"))
