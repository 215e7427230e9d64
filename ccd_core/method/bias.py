"""CLIP bias: how much CLIP favours a class, measured without labels, and dividing it out (Sec. 3.3).

Works on numpy arrays and on torch tensors alike and needs neither torch nor a browser to be imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

SMALLEST = 1e-6  # a class that CLIP never favours at all must not be divided by zero


@dataclass(frozen=True)
class Bias:
    """value [C] float32 in (0, 1]; count [C] int: images it was measured on; used [N] bool: whether its entropy is low.

    measured [C] bool: whether the value comes from low-entropy images; False for a fallback.
    """

    value: np.ndarray
    count: np.ndarray
    used: np.ndarray
    measured: np.ndarray

    @property
    def estimated(self) -> np.ndarray:
        """The old name of `measured`; bias.json still has it."""
        return self.measured


def entropy(p: Any) -> Any:
    """Entropy of each row of `p` [N, C] in nats: [N]. 0 log 0 is 0. Tensors stay tensors."""
    if isinstance(p, np.ndarray):
        return -(p * np.log(np.maximum(p, np.finfo(p.dtype).tiny))).sum(axis=1)
    if hasattr(p, "clamp_min"):
        return -(p * p.clamp_min(1e-38).log()).sum(1)
    return entropy(np.asarray(p, np.float32))


def clip_bias(p: Any, entropy_threshold: float = 0.5) -> Bias:
    """The CLIP bias of each class: mean top-1 probability over the low-entropy images where it is top-1.

    p: [N, C] softmax probabilities of whole images. A class that no low-entropy image has as its top-1 gets
    the same statistic over all images; a class that is never top-1 the mean of the other classes' bias; both have
    `measured` False. Never NaN. Raises ValueError for an empty or ill-shaped `p`.
    """
    p = _numpy(p)
    if p.ndim != 2 or 0 in p.shape:
        raise ValueError(f"p must be [N, C] with at least one image and class, got shape {p.shape}")
    return bias_from_top(p.argmax(axis=1), p.max(axis=1), entropy(p) <= entropy_threshold, p.shape[1])


def bias_from_top(top: np.ndarray, probability: np.ndarray, used: np.ndarray, classes: int) -> Bias:
    """`clip_bias` from each image's top class [N] int, its probability [N], and whether the image's entropy is low [N] bool."""
    value, count = _mean_by_class(top[used], probability[used], classes)
    everywhere, _ = _mean_by_class(top, probability, classes)
    measured = count > 0
    value = np.where(measured, value, everywhere)
    known = np.isfinite(value)
    value = np.where(known, value, value[known].mean())
    return Bias(np.maximum(value, SMALLEST).astype(np.float32), count, used, measured)


def _mean_by_class(top: np.ndarray, probability: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """[C] mean probability of each class where it is top-1 (NaN where it never is) and [C] how often that is."""
    count = np.bincount(top, minlength=classes)
    total = np.bincount(top, weights=probability, minlength=classes)
    return np.divide(total, count, out=np.full(classes, np.nan), where=count > 0), count


def debias(p: Any, bias: Any, floor: float = 0.05, clamp: bool = True) -> Any:
    """Debiased labels clip(max(p, floor) / bias, 0, 1), [N, C]; `clamp=False` leaves values above 1 (Sec. 3.3)."""
    if isinstance(p, np.ndarray):
        labels = np.maximum(p, np.float32(floor)) / np.asarray(bias, np.float32)
        return np.clip(labels, 0, 1) if clamp else labels
    labels = p.clamp_min(floor) / p.new_tensor(_numpy(bias))
    return labels.clamp(0, 1) if clamp else labels


def bias_in_use(bias: np.ndarray, mode: str) -> np.ndarray | None:
    """What labels are divided by, [C]: the class's bias, one constant (a control), or None for no debiasing."""
    if mode == "none":
        return None
    return bias if mode == "class" else np.full_like(bias, bias.mean())


def _numpy(values: Any) -> np.ndarray:
    if hasattr(values, "detach"):
        values = values.detach().float().cpu().numpy()
    values = np.asarray(values)
    return values if values.dtype in (np.float32, np.float64) else values.astype(np.float32)
