"""How like the training images an image is: the distance of its features from theirs.

The features of a classifier, averaged over the image, are modelled as a Gaussian whose covariance has K main
directions and the same variance in all others (probabilistic PCA; Tipping and Bishop, 1999). The distance is
Mahalanobis's, squared, and divided by the number of features. It is calibrated on training images that the
Gaussian was not fitted to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DIRECTIONS = 64  # main directions that are kept at most
IMAGES_A_DIRECTION = 8  # images that one direction needs at least, or its variance is noise
HELD_OUT = 4  # every so-manieth image calibrates
FEWEST = 100  # images; with fewer nothing can be said
CALM = 0.99  # so many of the training images are to get no warning
MARGIN = 1.5  # times the distance of that image; training images themselves are never all


@dataclass(frozen=True)
class Likeness:
    """The Gaussian of Q features, and the distances of held-out training images.

    mean: [Q]; directions: [K, Q] of unit length; variance: [K] along them; rest: the variance along all
    others; distances: [H] sorted, of the held-out images. All float32.
    """

    mean: np.ndarray
    directions: np.ndarray
    variance: np.ndarray
    rest: float
    distances: np.ndarray

    @property
    def limit(self) -> float:
        """An image that is further away than this is unlike the training images."""
        return MARGIN * float(np.quantile(self.distances, CALM))

    def distance(self, features: np.ndarray) -> np.ndarray:
        """[N] float32, about 1 for images like those of training; features: [N, Q]."""
        centred = features - self.mean
        along = centred @ self.directions.T
        inside = (along**2 / self.variance).sum(1)
        outside = ((centred**2).sum(1) - (along**2).sum(1)).clip(0) / self.rest
        return ((inside + outside) / len(self.mean)).astype(np.float32)

    def unlike(self, features: np.ndarray) -> np.ndarray:
        """[N] bool, whether each image is unlike the training images; features: [N, Q]."""
        return self.distance(features) > self.limit


def fit_likeness(features: np.ndarray) -> Likeness | None:
    """The Gaussian of the features [N, Q] of N training images in random order; None for too few images."""
    if len(features) < FEWEST:
        return None
    held_out = np.arange(len(features)) % HELD_OUT == 0
    fitted = features[~held_out].astype(np.float64)
    mean = fitted.mean(0)
    centred = fitted - mean
    count = max(1, min(DIRECTIONS, len(fitted) // IMAGES_A_DIRECTION, centred.shape[1] - 1))
    _, lengths, directions = np.linalg.svd(centred, full_matrices=False)
    variances = lengths**2 / len(fitted)
    total = variances.sum()
    rest = max((total - variances[:count].sum()) / (centred.shape[1] - count), 1e-12 * max(total, 1e-12))
    made = Likeness(
        mean.astype(np.float32),
        directions[:count].astype(np.float32),
        np.maximum(variances[:count], rest).astype(np.float32),
        float(rest),
        np.ones(1, np.float32),
    )
    distances = np.sort(made.distance(features[held_out]))
    return Likeness(made.mean, made.directions, made.variance, made.rest, distances)
