"""CLIP's bias: how much CLIP favours each class, measured without labels, and debiased labels (Sec. 3.3).

The functions take numpy arrays or torch tensors. Importing this module does not load torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

SMALLEST = 1e-6  # the least bias, so that nothing is ever divided by zero


@dataclass(frozen=True)
class Bias:
    """The CLIP bias of C classes, measured on N images."""

    value: np.ndarray  # [C] float32 in (0, 1], the bias
    count: np.ndarray  # [C] int, the number of low-entropy images that have the class as top-1
    used: np.ndarray  # [N] bool, whether an image has low entropy
    measured: np.ndarray  # [C] bool, whether the value comes from low-entropy images; False for a fallback

    @property
    def estimated(self) -> np.ndarray:
        """The old name of `measured`. The file bias.json still uses it."""
        return self.measured


def entropy(p: Any) -> Any:
    """Entropy in nats of each row of `p` [N, C], returned as [N]. A zero probability adds nothing.

    Tensors give tensors; everything else gives arrays.
    """
    if isinstance(p, np.ndarray):
        return -(p * np.log(np.maximum(p, np.finfo(p.dtype).tiny))).sum(axis=1)
    if hasattr(p, "clamp_min"):
        return -(p * p.clamp_min(1e-38).log()).sum(1)
    return entropy(np.asarray(p, np.float32))


def clip_bias(p: Any, entropy_threshold: float = 0.5) -> Bias:
    """The CLIP bias of each class: its mean probability over the low-entropy images that have it as top-1.

    p: [N, C] softmax probabilities of whole images. entropy_threshold: in nats; an image at or below it has
    low entropy. If no low-entropy image has a class as top-1, the class gets the mean over all images that
    have. If no image has it as top-1, it gets the mean bias of the other classes. In both cases `measured` is
    False. The bias is never NaN. Raises ValueError if `p` is empty or has another number of dimensions.
    """
    p = _numpy(p)
    if p.ndim != 2 or 0 in p.shape:
        raise ValueError(f"p must be [N, C] with at least one image and class, got shape {p.shape}")
    return bias_from_top(p.argmax(axis=1), p.max(axis=1), entropy(p) <= entropy_threshold, p.shape[1])


def bias_from_top(top: np.ndarray, probability: np.ndarray, used: np.ndarray, classes: int) -> Bias:
    """`clip_bias` of N images whose top class is known.

    top: [N] int, the top class; probability: [N], its probability; used: [N] bool, whether the image has low
    entropy; classes: the number C of classes.
    """
    value, count = _mean_by_class(top[used], probability[used], classes)
    everywhere, _ = _mean_by_class(top, probability, classes)
    measured = count > 0
    value = np.where(measured, value, everywhere)
    known = np.isfinite(value)
    value = np.where(known, value, value[known].mean())
    return Bias(np.maximum(value, SMALLEST).astype(np.float32), count, used, measured)


def _mean_by_class(top: np.ndarray, probability: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """[C] mean probability of each class over the images that have it as top-1, and [C] their number.

    The mean of no image is NaN.
    """
    count = np.bincount(top, minlength=classes)
    total = np.bincount(top, weights=probability, minlength=classes)
    return np.divide(total, count, out=np.full(classes, np.nan), where=count > 0), count


def debias(p: Any, bias: Any, floor: float = 0.05, clamp: bool = True) -> Any:
    """Debiased labels clip(max(p, floor) / bias, 0, 1) (Sec. 3.3).

    p: [N, C] probabilities, an array or a tensor; bias: [C]. floor: the least probability before the
    division. clamp: False leaves values above 1. Returns [N, C] of the same kind as `p`.
    """
    if isinstance(p, np.ndarray):
        labels = np.maximum(p, np.float32(floor)) / np.asarray(bias, np.float32)
        return np.clip(labels, 0, 1) if clamp else labels
    labels = p.clamp_min(floor) / p.new_tensor(_numpy(bias))
    return labels.clamp(0, 1) if clamp else labels


def bias_in_use(bias: np.ndarray, mode: str) -> np.ndarray | None:
    """The divisor of the labels, [C], or None for no debiasing.

    mode: `class` divides by each class's own `bias` [C], `constant` by its mean (a control), `none` by
    nothing.
    """
    if mode == "none":
        return None
    return bias if mode == "class" else np.full_like(bias, bias.mean())


def _numpy(values: Any) -> np.ndarray:
    if hasattr(values, "detach"):
        values = values.detach().float().cpu().numpy()
    values = np.asarray(values)
    return values if values.dtype in (np.float32, np.float64) else values.astype(np.float32)
