"""PIAA's recipe: probabilities of an image from its patches, with a Gaussian classifier made without labels.

1. Selection. p_i = softmax(60 cos) of each patch i over the classes. A class keeps the 512 patches of lowest
   entropy of which it is the most probable class.
2. Fit. On the n patches that are kept, with x_i of unit length and D numbers, and t_i the class of patch i:

       mu_c    = sum_i p_ic x_i / sum_i p_ic
       Cov     = covariance of x_i - mu_(t_i)
       S       = D pinv((n - 1) Cov + tr(Cov) I)           in place of an inverse covariance
       logit_c = mu_c' S x + log(1 / C) - mu_c' S mu_c / 2

3. Refit. q_i = softmax(10 logit_i / s). A patch stays if q_i of its class is at least the mean of that
   class's q over all patches plus one standard deviation; then step 2 again.
4. An image: m_c = the largest softmax(logit / (0.5 s))_c over its patches; then

       P = 0.9 softmax(3 m) + 0.1 softmax(80 cos)        cos of the whole image

Rows of P sum to 1, as CLIP's own probabilities do. s is how far the logits of a kept patch lie apart: their
standard deviation over the classes, on average.

Source: PIAA (ICML 2026, arXiv 2605.25821), akang-wang/PIAA, as a specification describes it; the paper was
not at hand, so this is no reproduction. The original has no s, and other scales for each data set: with
s = 1, refit 100 on VOC, 0.01 on COCO and 500 on NUS-WIDE, flatness 500, top 200 on VOC and 400 elsewhere,
whole 10 on NUS-WIDE. S and the logits grow with D, so for another CLIP these can make all rows of P alike.
Hence s, and one setting for all. `method.options={spread: 0, refit: 100, flatness: 500, top: 200}` is VOC's.
That the mean and the deviation of step 3 are of all patches, and that step 2 weighs by the p of step 1 both
times, is a reading of ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from ccd_core.errors import UserError
from ccd_core.method.bias import entropy

SMALLEST = 1e-6  # of s


@dataclass(frozen=True)
class PatchOptions:
    """The constants of the recipe, which `method.options` changes."""

    sharpness: float = 60.0  # softmax(sharpness * cos) of a patch
    patches: int = 512  # kept for each class
    spread: int = 1  # 1: logits are divided by s; 0: they are not
    refit: float = 10.0  # softmax(refit * logit / s) in step 3
    flatness: float = 0.5  # softmax(logit / (flatness * s)) in step 4
    top: float = 3.0  # softmax(top * m)
    whole: float = 80.0  # softmax(whole * cos) of the whole image
    weight: float = 0.9  # of the patches against the whole image


def patch_options(options: dict[str, float], others: bool = False) -> PatchOptions:
    """The constants with those that `method.options` sets. Raises UserError for a value that cannot be.

    others: whether names that are not of this recipe are another's; else they raise UserError.
    """
    known = {field.name: type(getattr(PatchOptions, field.name)) for field in fields(PatchOptions)}
    unknown = sorted(set(options) - set(known))
    if unknown and not others:
        raise UserError(f"This method has no option {unknown[0]}; method.options takes {', '.join(known)}.")
    chosen = PatchOptions(**{name: known[name](value) for name, value in options.items() if name in known})
    for name, value in vars(chosen).items():
        at_most_one = name in ("weight", "spread")
        if not (0 <= value <= 1 if at_most_one else value > 0):
            limits = "from 0 to 1" if at_most_one else "above 0"
            raise UserError(f"method.options: {name} is a number {limits}, and {value:g} was given.")
    return chosen


class PatchSelection:
    """The patches that each of C classes keeps, at most `most` of the lowest entropy; on the CPU.

    features: [K, D]; p: [K, C]; entropy: [K], of p; top: [K] int64, whose patch it is.
    """

    def __init__(self, classes: int, width: int, most: int):
        self.most = most
        self.features = torch.empty(0, width)
        self.p = torch.empty(0, classes)
        self.entropy = torch.empty(0)
        self.top = torch.empty(0, dtype=torch.int64)

    def add(self, features: Tensor, p: Tensor) -> None:
        """See more patches: features [M, D] and probabilities [M, C], on any device."""
        of_patch = entropy(p)
        top = p.argmax(1)
        wanted = of_patch < self.limits().to(of_patch.device)[top]
        if not wanted.any():
            return
        self.features = torch.cat([self.features, features[wanted].cpu()])
        self.p = torch.cat([self.p, p[wanted].cpu()])
        self.entropy = torch.cat([self.entropy, of_patch[wanted].cpu()])
        self.top = torch.cat([self.top, top[wanted].cpu()])
        kept = self._lowest()
        self.features = self.features[kept]
        self.p = self.p[kept]
        self.entropy = self.entropy[kept]
        self.top = self.top[kept]

    def limits(self) -> Tensor:
        """[C] the entropy below which a class takes one more patch; inf for a class that has room."""
        classes = self.p.shape[1]
        worst = torch.full((classes,), -math.inf).scatter_reduce(0, self.top, self.entropy, "amax")
        full = torch.bincount(self.top, minlength=classes) >= self.most
        return torch.where(full, worst, torch.inf)

    def _lowest(self) -> Tensor:
        """[K] int64, the rows that remain, those of a class together; the first of equal ones comes first."""
        by_entropy = torch.argsort(self.entropy, stable=True)
        order = by_entropy[torch.argsort(self.top[by_entropy], stable=True)]
        top = self.top[order]
        count = torch.bincount(top, minlength=self.p.shape[1])
        first = count.cumsum(0) - count
        return order[torch.arange(len(order)) - first[top] < self.most]


@dataclass(frozen=True)
class PatchClassifier:
    """weight: [C, D]; offset: [C]. The logits of a patch x are weight x + offset."""

    weight: Tensor
    offset: Tensor

    def logits(self, features: Tensor) -> Tensor:
        """[..., C] of features [..., D]."""
        weight = self.weight.to(features.device, features.dtype)
        return features @ weight.T + self.offset.to(features.device, features.dtype)


def gaussian(features: Tensor, p: Tensor, top: Tensor) -> PatchClassifier:
    """Step 2: the classifier of K patches. features: [K, D]; p: [K, C]; top: [K]."""
    x = features.double()
    weights = p.double()
    count, width = x.shape
    means = (weights.T @ x) / weights.sum(0).clamp_min(torch.finfo(torch.float64).tiny)[:, None]
    centred = x - means[top]
    centred = centred - centred.mean(0)
    scatter = centred.T @ centred  # (n - 1) Cov
    spread = scatter.trace() / max(1, count - 1)
    precision = width * torch.linalg.pinv(scatter + spread * torch.eye(width, dtype=x.dtype), hermitian=True)
    weight = means @ precision
    offset = math.log(1 / p.shape[1]) - (weight * means).sum(1) / 2
    return PatchClassifier(weight.float(), offset.float())


def spread_of(classifier: PatchClassifier, features: Tensor, options: PatchOptions) -> float:
    """s: the mean over patches [K, D] of the deviation of their logits; 1 where the options say so."""
    if not options.spread:
        return 1.0
    return max(float(classifier.logits(features).std(1, correction=0).mean()), SMALLEST)


def in_units_of(spread: float, classifier: PatchClassifier) -> PatchClassifier:
    """The classifier with its logits divided by `spread`."""
    return PatchClassifier(classifier.weight / spread, classifier.offset / spread)


def sure_patches(classifier: PatchClassifier, features: Tensor, top: Tensor, refit: float) -> Tensor:
    """[K] bool, step 3: the patches that stay for the second fit."""
    q = (refit * classifier.logits(features.double())).softmax(1)
    least = q.mean(0) + q.std(0, correction=0)
    return q.gather(1, top[:, None])[:, 0] >= least[top]


def fit(selection: PatchSelection, options: PatchOptions) -> PatchClassifier:
    """Steps 2 and 3, with logits in units of s. If no patch stays, the first fit is what there is."""
    features = selection.features
    top = selection.top
    first = gaussian(features, selection.p, top)
    first = in_units_of(spread_of(first, features, options), first)
    stay = sure_patches(first, features, top, options.refit)
    if not stay.any():
        return first
    second = gaussian(features[stay], selection.p[stay], top[stay])
    return in_units_of(spread_of(second, features, options), second)


def from_patches(classifier: PatchClassifier, features: Tensor, options: PatchOptions) -> Tensor:
    """[B, C] softmax(top * m), the part of step 4 that comes from patches. features: [B, P, D]."""
    best = (classifier.logits(features) / options.flatness).softmax(-1).amax(1)
    return (options.top * best).softmax(-1)


def with_whole_image(p_patches: Tensor, cosines: Tensor, options: PatchOptions) -> Tensor:
    """[N, C] P of step 4. p_patches: [N, C] of `from_patches`; cosines: [N, C] of whole images."""
    whole = (options.whole * cosines).softmax(-1)
    return options.weight * p_patches + (1 - options.weight) * whole
