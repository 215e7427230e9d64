"""The last class features of known positives, for SST and SARB, and their loss on class features."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


class FeatureMemory:
    """Up to `size` features of each of C classes, the latest ones.

    The original starts from zeros, which lowers every mean until a class is full. Here only features that
    were stored count.
    """

    def __init__(self, classes: int, size: int, width: int, device: torch.device):
        self.features = torch.zeros(classes, size, width, device=device)
        self.stored = torch.zeros(classes, dtype=torch.long, device=device)  # since the beginning

    def store(self, features: Tensor, labels: Tensor) -> None:
        """Keep the features [B, C, D] of entries with label 1; labels: [B, C]."""
        size = self.features.shape[1]
        for image, cls in (labels == 1).nonzero().tolist():
            self.features[cls, self.stored[cls] % size] = features[image, cls].detach().float()
            self.stored[cls] += 1

    def of_class(self, cls: int) -> Tensor:
        """[n, D], what is stored of a class, n <= size."""
        return self.features[cls, : int(self.stored[cls])]

    def similarity(self, features: Tensor) -> Tensor:
        """[B, C], the mean cosine of each class feature [B, C, D] to those stored of its class.

        It is -1 where nothing is stored.
        """
        count = self.stored.clamp_max(self.features.shape[1])
        mean = F.normalize(self.features, dim=-1).sum(1) / count.clamp_min(1)[:, None]
        found = (F.normalize(features, dim=-1) * mean).sum(-1)
        return torch.where(count > 0, found, torch.full_like(found, -1.0))

    def state(self) -> dict[str, Tensor]:
        return {"memory.features": self.features, "memory.stored": self.stored}


def contrastive_loss(features: Tensor, labels: Tensor) -> Tensor:
    """Features of a class are alike in two images that both show it, and unlike in all other pairs.

    features: [B, C, D]; labels: [B, C] of -1, 0 and 1. For each class, over the pairs of the batch with known
    labels: 1 - cosine where both are positive, 1 + cosine elsewhere. Of the latter, the mean takes twice as
    many random ones and as many hardest ones as there are pairs of positives, or all if there is none.
    """
    unit = F.normalize(features, dim=-1).transpose(0, 1)  # [C, B, D]
    cosine = unit @ unit.transpose(1, 2)  # [C, B, B]
    known = labels.T != 0
    both = (labels.T == 1)[:, :, None] & (labels.T == 1)[:, None, :]
    pair = torch.ones_like(cosine[0], dtype=torch.bool).triu(1) & known[:, :, None] & known[:, None, :]
    alike = 1 - cosine[pair & both]
    unlike = 1 + cosine[pair & ~both]
    count = len(alike)
    if count and len(unlike) > 3 * count:
        random = torch.randperm(len(unlike))[: 2 * count].to(unlike.device)
        unlike = torch.cat([unlike[random], unlike.topk(count).values])
    chosen = torch.cat([alike, unlike])
    return chosen.mean() if len(chosen) else features.sum() * 0
