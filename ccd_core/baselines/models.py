"""The network of a run: the common classifier, or the one with the head of SST and SARB."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ccd_core.baselines.registry import method_of
from ccd_core.baselines.with_labels.semantic_head import SemanticClassifier
from ccd_core.config import CCDConfig
from ccd_core.method.classifier import CamClassifier, make_classifier

WORDS = "head.decoupling.words"


def make_model(
    config: CCDConfig, classes: int, words: np.ndarray | None = None, graph: np.ndarray | None = None
) -> CamClassifier:
    """The untrained network of a run's method, for so many classes.

    words: [C, W] embeddings of the class names, and graph: [C, C], for a method with a head of its own.
    """
    base = make_classifier(config.classifier, classes)
    if not method_of(config).own_head:
        return base
    assert words is not None and graph is not None
    width = config.method.head_width
    return SemanticClassifier(base, torch.from_numpy(words), torch.from_numpy(graph), width)


def empty_model(config: CCDConfig, classes: int, weights: dict[str, Tensor]) -> CamClassifier:
    """The network of a run, into which its weights, {name: tensor}, fit."""
    settings = config.classifier.model_copy(update={"weights": None})  # the run has all weights
    config = config.model_copy(update={"classifier": settings})
    words = graph = None
    if WORDS in weights:
        words = np.zeros(tuple(weights[WORDS].shape), np.float32)
        graph = np.zeros((classes, classes), np.float32)
    return make_model(config, classes, words, graph)
