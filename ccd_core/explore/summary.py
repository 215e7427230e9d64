"""A run in a few numbers: what the front page says of its steps, and how far labels lie from the truth."""

from __future__ import annotations

import numpy as np


def top_class_shares(p: np.ndarray) -> np.ndarray:
    """[C] share of the images [N, C] in which each class has the highest probability, the largest first."""
    counts = np.bincount(p.argmax(1), minlength=p.shape[1])
    return np.sort(counts)[::-1] / len(p)


def label_shares(labels: np.ndarray) -> np.ndarray:
    """[C] share of the images [N, C] with a label over 0.5 of each class, the largest first."""
    return np.sort((labels > 0.5).mean(0))[::-1]


def rate_error(mean_labels: np.ndarray, true_rates: np.ndarray) -> float:
    """Mean over the classes of |mean label - true rate|, both [C]."""
    return float(np.abs(mean_labels - true_rates).mean())
