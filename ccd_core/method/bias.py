"""CLIP's bias: how much CLIP favours each class, measured without labels, and debiased labels (Sec. 3.3).

The functions take numpy arrays or torch tensors. Importing this module does not load torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ccd_core.settings.sections import BiasSettings

SMALLEST = 1e-6  # the least bias, so that nothing is ever divided by zero
FLOOR = 0.05  # where the settings leave the floor open and there are 20 classes or fewer


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


def entropy_limit(settings: BiasSettings, classes: int) -> float:
    """The entropy in nats up to which an image measures the bias.

    It is `entropy_threshold`, or `entropy_share` * log C: the most entropy that C classes can have is log C,
    so a share means the same for any number of classes.
    """
    if settings.entropy_share is None:
        return settings.entropy_threshold
    return settings.entropy_share * math.log(max(classes, 2))


def least_top_probability(limit: float) -> float:
    """The least probability that the top class of an image can have if its entropy is at most `limit` nats.

    No distribution has a lower entropy than one of whose classes as many as possible share the top
    probability t. With n = floor(1 / t) such classes and the rest r = 1 - n t, the entropy is
    -n t log t - r log r. So a bias is never below t: a low threshold alone makes all biases alike.
    """
    low = 1e-6
    high = 1.0
    for _ in range(60):  # bisection: the least entropy falls as the top probability rises
        middle = (low + high) / 2
        many = math.floor(1 / middle)
        rest = max(1 - many * middle, 0.0)
        least = -many * middle * math.log(middle) - (rest * math.log(rest) if rest > 0 else 0)
        if least > limit:
            low = middle
        else:
            high = middle
    return high


def clip_bias(p: Any, entropy_threshold: float = 0.5, shrink: float = 0.0) -> Bias:
    """The CLIP bias of each class: its mean probability over the low-entropy images that have it as top-1.

    p: [N, C] softmax probabilities of whole images. entropy_threshold: in nats; an image at or below it has
    low entropy. shrink: see `bias_from_top`. If no low-entropy image has a class as top-1, the class gets the
    mean over all images that have. If no image has it as top-1, it gets the mean bias of the other classes.
    In both cases `measured` is False. The bias is never NaN. Raises ValueError if `p` is empty or has another
    number of dimensions.
    """
    p = _numpy(p)
    if p.ndim != 2 or 0 in p.shape:
        raise ValueError(f"p must be [N, C] with at least one image and class, got shape {p.shape}")
    used = entropy(p) <= entropy_threshold
    return bias_from_top(p.argmax(axis=1), p.max(axis=1), used, p.shape[1], shrink)


def bias_from_top(
    top: np.ndarray, probability: np.ndarray, used: np.ndarray, classes: int, shrink: float = 0.0
) -> Bias:
    """`clip_bias` of N images whose top class is known.

    top: [N] int, the top class; probability: [N], its probability; used: [N] bool, whether the image has low
    entropy; classes: the number C of classes. shrink: k of

        bias_c = (n_c * m_c + k * m) / (n_c + k)

    with the count n_c and the mean m_c of class c, and the mean m of the classes with a count. So a class
    with few images has nearly the mean bias. With k = 0 each class stands for itself, as in the paper.
    """
    value, count = _mean_by_class(top[used], probability[used], classes)
    everywhere, _ = _mean_by_class(top, probability, classes)
    measured = count > 0
    value = np.where(measured, value, everywhere)
    known = np.isfinite(value)
    value = np.where(known, value, value[known].mean())
    if shrink > 0:
        mean = value[measured].mean() if measured.any() else value.mean()
        value = (count * value + shrink * mean) / (count + shrink)
    return Bias(np.maximum(value, SMALLEST).astype(np.float32), count, used, measured)


def _mean_by_class(top: np.ndarray, probability: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """[C] mean probability of each class over the images that have it as top-1, and [C] their number.

    The mean of no image is NaN.
    """
    count = np.bincount(top, minlength=classes)
    total = np.bincount(top, weights=probability, minlength=classes)
    return np.divide(total, count, out=np.full(classes, np.nan), where=count > 0), count


def floor_of(settings: BiasSettings, classes: int) -> float:
    """The floor of the labels: the settings' own, or min(1/20, 1/C).

    1/C is what CLIP gives a class of which it knows nothing. A floor above it would raise every label.
    """
    return min(FLOOR, 1 / classes) if settings.floor is None else settings.floor


def debias(p: Any, bias: Any, floor: float = 0.05, clamp: bool = True, form: str = "max") -> Any:
    """Debiased labels clip(floored(p) / bias, 0, 1) (Sec. 3.3).

    p: [N, C] probabilities, an array or a tensor; bias: [C]. floor: the least probability before the
    division. form: `max` is max(p, floor), where all probabilities below the floor become equal; `blend` is
    floor + (1 - floor) * p, which keeps their order. clamp: False leaves values above 1. Returns [N, C] of
    the same kind as `p`.
    """
    if isinstance(p, np.ndarray):
        least = np.float32(floor)
        floored = np.maximum(p, least) if form == "max" else least + (1 - least) * p
        labels = floored / np.asarray(bias, np.float32)
        return np.clip(labels, 0, 1) if clamp else labels
    floored = p.clamp_min(floor) if form == "max" else floor + (1 - floor) * p
    labels = floored / p.new_tensor(_numpy(bias))
    return labels.clamp(0, 1) if clamp else labels


def debias_smoothly(p: Any, bias: Any) -> Any:
    """Debiased labels 1 - (1 - p)^(1 / bias), in [0, 1] and in the order of p.

    For small p this is nearly p / bias, as in Sec. 3.3. Dividing makes every probability from the bias on a
    label of 1, so that a sure dog and a doubtful one become equal. Here p = bias becomes about 0.75 and only
    p = 1 becomes 1. p, bias and what is returned: as in `debias`.
    """
    if isinstance(p, np.ndarray):
        exponent = 1 / np.asarray(bias, np.float32)
        return 1 - (1 - np.clip(p, 0, 1)) ** exponent
    return 1 - (1 - p.clamp(0, 1)) ** (1 / p.new_tensor(_numpy(bias)))


def debias_as_set(p: Any, divisor: Any, settings: BiasSettings, classes: int, clamp: bool = True) -> Any:
    """Debiased labels with the settings' form and floor.

    p: [N, C] with a divisor for each class, or [N] with that of one.
    """
    if settings.form == "smooth":
        floor = floor_of(settings, classes)
        return debias_smoothly(debias(p, np.float32(1), floor, True, settings.floor_form), divisor)
    return debias(p, divisor, floor_of(settings, classes), clamp, settings.floor_form)


def bias_in_use(bias: np.ndarray, mode: str) -> np.ndarray | None:
    """The divisor of the labels, [C], or None for no debiasing.

    mode: `class` divides by each class's own `bias` [C], `constant` by its mean (a control), `floor` by 1 (a
    control, in which the floor alone is left), `none` by nothing.
    """
    if mode == "none":
        return None
    if mode == "floor":
        return np.ones_like(bias)
    return bias if mode == "class" else np.full_like(bias, bias.mean())


def _numpy(values: Any) -> np.ndarray:
    if hasattr(values, "detach"):
        values = values.detach().float().cpu().numpy()
    values = np.asarray(values)
    return values if values.dtype in (np.float32, np.float64) else values.astype(np.float32)
