"""The head of SST and SARB: a feature for each class, a gated graph network over classes, a score each.

*Semantic decoupling.* A class looks at the places of the feature map that its word points to. With a =
W1 f at each place and b = W2 g of the word, the score of the place is w . tanh(a * b); a softmax over the
places weighs their features, which gives one feature a class. (The original has two linear layers after the
tanh, with nothing between them; here they are one.)

*Gated graph network.* T = 3 steps. Each class hears A h and A^T h of all classes, and three gates like those
of a GRU renew its state. A_ij is the part of the images with class i that show class j, counted on the labels
that are given.

*Score.* tanh of a linear layer on [state; class feature], then a dot product with a vector of the class.

Source: Chen et al., "Structured Semantic Transfer" (AAAI 2022) and Pu et al., "Semantic-Aware Representation
Blending" (AAAI 2022), HCPLab-SYSU/HCP-MLR-PL.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ccd_core.method.classifier import CamClassifier

STEPS = 3  # T


class SemanticDecoupling(nn.Module):
    """One feature a class, from the places that its word points to."""

    words: Tensor

    def __init__(self, width: int, words: Tensor):
        super().__init__()
        joint = max(1, width // 2)
        self.register_buffer("words", words)
        self.of_place = nn.Linear(width, joint, bias=False)
        self.of_word = nn.Linear(words.shape[1], joint, bias=False)
        self.score = nn.Linear(joint, 1)

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """maps [B, D, h, w] to class features [B, C, D] and attention [B, C, h * w], which sums to 1."""
        places = maps.flatten(2).transpose(1, 2)  # [B, h * w, D]
        joint = self.of_place(places)[:, None] * self.of_word(self.words)[None, :, None]
        attention = self.score(torch.tanh(joint)).squeeze(-1).softmax(-1)
        return attention @ places, attention


class GatedGraph(nn.Module):
    """A gated graph network over the classes."""

    graph: Tensor

    def __init__(self, width: int, graph: Tensor):
        super().__init__()
        self.register_buffer("graph", graph)
        self.update_in = nn.Linear(2 * width, width)
        self.update_own = nn.Linear(width, width)
        self.reset_in = nn.Linear(2 * width, width)
        self.reset_own = nn.Linear(width, width)
        self.new_in = nn.Linear(2 * width, width)
        self.new_own = nn.Linear(width, width)

    def forward(self, features: Tensor) -> Tensor:
        """[B, C, D] to [B, C, D]."""
        state = features
        for _ in range(STEPS):
            heard = torch.cat([self.graph @ state, self.graph.T @ state], dim=-1)
            update = torch.sigmoid(self.update_in(heard) + self.update_own(state))
            reset = torch.sigmoid(self.reset_in(heard) + self.reset_own(state))
            new = torch.tanh(self.new_in(heard) + self.new_own(reset * state))
            state = (1 - update) * state + update * new
        return state


class SemanticHead(nn.Module):
    """Feature maps to class features, and class features to logits.

    channels: of the backbone's maps; words: [C, W] embeddings of the class names; graph: [C, C]; width: D.
    """

    def __init__(self, channels: int, words: Tensor, graph: Tensor, width: int):
        super().__init__()
        self.in_channels = channels
        self.out_channels = len(words)
        self.reduce = nn.Sequential(nn.Conv2d(channels, width, 1), nn.BatchNorm2d(width))
        self.decoupling = SemanticDecoupling(width, words)
        self.gated_graph = GatedGraph(width, graph)
        self.join = nn.Linear(2 * width, width)
        self.of_class = nn.Parameter(torch.empty(self.out_channels, width).uniform_(-1, 1) / width**0.5)
        self.bias = nn.Parameter(torch.zeros(self.out_channels))

    def class_features(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """maps [B, Q, h, w] to class features [B, C, D] and attention [B, C, h, w]."""
        features, attention = self.decoupling(self.reduce(maps))
        return features, attention.unflatten(-1, maps.shape[-2:])

    def classify(self, features: Tensor) -> Tensor:
        """Class features [B, C, D] to logits [B, C]."""
        joined = torch.cat([self.gated_graph(features), features], dim=-1)
        return (torch.tanh(self.join(joined)) * self.of_class).sum(-1) + self.bias


class SemanticClassifier(CamClassifier):
    """A classifier with a `SemanticHead`. It has maps like a `CamClassifier`, whose means are the logits.

    The map of a class is its attention times its logit, so it shows the places that the class looks at.
    """

    head: Any

    def __init__(self, base: CamClassifier, words: Tensor, graph: Tensor, width: int):
        """base: gives the backbone with its frozen layers, and the number of its channels."""
        nn.Module.__init__(self)
        self.folded = base.folded
        self.backbone = base.backbone
        self.cam_boost = 1.0
        self.frozen_share = base.frozen_share
        self.head = SemanticHead(base.head.in_channels, words, graph, width)

    def forward(self, x: Tensor, return_cam: bool = False, return_features: bool = False) -> Any:
        """Normalised images [B, 3, H, W] to logits [B, C].

        return_cam: also the maps [B, C, h, w]. return_features: also the class features [B, C, D].
        """
        features, attention = self.head.class_features(self.features(x))
        logits = self.head.classify(features)
        if return_cam:
            places = attention.shape[-2] * attention.shape[-1]
            return logits, attention * logits[..., None, None] * places
        return (logits, features) if return_features else logits

    def with_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [B, C] as `forward` gives them, and the backbone's features [B, Q], their means."""
        maps = self.features(x)
        features, _ = self.head.class_features(maps)
        return self.head.classify(features), maps.mean((2, 3))


def cooccurrence_graph(labels: np.ndarray) -> np.ndarray:
    """[C, C] float32, the part of the images with class i that show class j.

    labels: [N, C] of -1, 0 and 1; only known positives count. A class without any has a row of zeros.
    """
    positive = (labels == 1).astype(np.float64)
    together = positive.T @ positive
    count = positive.sum(axis=0)
    return (together / np.maximum(count, 1)[:, None]).astype(np.float32)
