"""The head of SST and SARB, and what they do with its class features."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ccd_core.baselines.with_labels import sarb, sst
from ccd_core.baselines.with_labels.feature_memory import FeatureMemory, contrastive_loss
from ccd_core.baselines.with_labels.semantic_head import SemanticClassifier, SemanticHead, cooccurrence_graph
from ccd_core.method.classifier import CamClassifier

C, WIDTH = 5, 16
LABELS = np.array([[1, 1, -1, 0, 0], [1, 0, 0, -1, 0], [-1, 0, 1, 0, 0]], np.int8)


@pytest.fixture
def head() -> SemanticHead:
    torch.manual_seed(0)
    return SemanticHead(8, torch.randn(C, 6), torch.from_numpy(cooccurrence_graph(LABELS)), WIDTH)


def test_the_graph_counts_known_positives_and_is_finite_for_a_class_without_any():
    graph = cooccurrence_graph(LABELS)
    assert graph[0].tolist() == [1, 0.5, 0, 0, 0] and graph[1].tolist() == [1, 1, 0, 0, 0]
    assert (graph[3:] == 0).all() and np.isfinite(graph).all()


def test_each_class_has_a_feature_and_attention_that_sums_to_one(head):
    features, attention = head.class_features(torch.randn(3, 8, 4, 6))
    assert features.shape == (3, C, WIDTH) and attention.shape == (3, C, 4, 6)
    assert torch.allclose(attention.sum((2, 3)), torch.ones(3, C), atol=1e-5)
    logits = head.classify(features)
    assert logits.shape == (3, C) and torch.isfinite(logits).all()


def test_the_classifier_has_maps_whose_means_are_its_logits():
    base = CamClassifier("timm:test_resnet", C)
    model = SemanticClassifier(base, torch.randn(C, 6), torch.eye(C), WIDTH).eval()
    logits, maps = model(torch.randn(2, 3, 64, 64), return_cam=True)
    assert torch.allclose(maps.mean((2, 3)), logits, atol=1e-4)
    again, features = model.with_features(torch.zeros(2, 3, 64, 64))
    assert again.shape == (2, C) and features.ndim == 2


def test_ssts_threshold_falls_to_its_end_after_eight_epochs():
    method = sst.Sst(LABELS, sst.Options(), WIDTH, torch.device("cpu"))
    first = sst.first_epoch(sst.Options(), 20)
    assert first == 5
    values = []
    for epoch in range(20):
        method.end_of_epoch(epoch, 20, np.zeros(LABELS.shape))
        values.append(round(float(method.threshold), 4))
    assert values[4] == 0.95 and values[5] == 0.925 and values[12:] == [0.75] * 8


def test_sst_finds_unknown_classes_that_come_with_the_known_ones():
    labels = torch.tensor([[1.0, 1.0, 0.0, 0.0, -1.0]])
    together = torch.zeros(1, C, C)
    together[0, 2, :2] = torch.tensor([0.9, 0.8])  # mean 0.85
    together[0, 3, :2] = torch.tensor([0.9, 0.2])
    together[0, 4, :2] = 1.0  # known to be absent
    assert sst.found_within(together, labels, 0.8).tolist() == [[1, 1, 1, 0, -1]]
    none_known = torch.zeros(1, C)
    assert (sst.found_within(torch.ones(1, C, C), none_known, 0.8) == 0).all()


def test_the_pairs_of_sst_are_symmetric():
    pairs = sst.Pairs(C, WIDTH)
    logits = pairs(torch.randn(2, C, WIDTH))
    assert logits.shape == (2, C * (C - 1) // 2)
    matrix = pairs.matrix(logits, C)
    assert torch.equal(matrix, matrix.transpose(1, 2)) and (matrix.diagonal(dim1=1, dim2=2) == 0).all()


def test_the_memory_keeps_the_latest_features_of_known_positives():
    memory = FeatureMemory(2, 3, 4, torch.device("cpu"))
    one = torch.eye(4)[:2].unsqueeze(0)  # class 0 points to axis 0, class 1 to axis 1
    assert (memory.similarity(one) == -1).all()
    memory.store(one, torch.tensor([[1.0, 0.0]]))
    assert memory.of_class(0).shape == (1, 4) and memory.of_class(1).shape == (0, 4)
    assert memory.similarity(one).tolist() == [[1, -1]]  # one stored feature is not diluted by empty places
    for _ in range(4):
        memory.store(one.flip(2), torch.tensor([[1.0, 0.0]]))
    assert memory.of_class(0).shape == (3, 4) and memory.similarity(one)[0, 0] == 0


def test_contrast_pulls_known_positives_together():
    labels = torch.tensor([[1.0], [1.0]])
    same = torch.ones(2, 1, 3)
    assert contrastive_loss(same, labels).item() == pytest.approx(0, abs=1e-6)
    assert contrastive_loss(same, torch.tensor([[1.0], [-1.0]])).item() == pytest.approx(2)
    assert contrastive_loss(same, torch.zeros(2, 1)).item() == 0


def test_sarb_mixes_only_unknown_classes_that_the_partner_has():
    labels = torch.tensor([[0.0, 0.0, 1.0], [1.0, -1.0, 1.0]])
    features = torch.stack([torch.zeros(3, 2), torch.ones(3, 2)])
    mixed, targets = sarb.mixed_instances(features, labels, torch.tensor(0.25))
    assert targets.tolist() == [[0.75, 0, 1], [1, -1, 1]]
    assert mixed[0].tolist() == [[0.75, 0.75], [0, 0], [0, 0]] and torch.equal(mixed[1], features[1])


def test_sarb_mixes_one_unknown_class_of_each_image_with_its_prototype():
    labels = torch.tensor([[0.0, 0.0, 1.0], [1.0, 1.0, 1.0]])
    there = torch.tensor([True, True, False])
    prototypes = torch.full((3, 2), 8.0)
    mixed, targets = sarb.mixed_prototypes(torch.zeros(2, 3, 2), labels, prototypes, there, torch.tensor(0.5))
    changed = targets != labels
    assert changed[0].sum() == 1 and not changed[0, 2] and not changed[1].any()
    assert (mixed[changed] == 4).all() and (mixed[~changed] == 0).all()
    assert targets[changed].tolist() == [0.5]


def test_a_class_with_few_positives_has_as_many_prototypes():
    assert sarb.cluster_centres(torch.zeros(0, 4), 0) is None
    two = sarb.cluster_centres(torch.tensor([[0.0, 1.0], [5.0, 5.0]]), 0)
    assert two.shape == (10, 2) and len(two.unique(dim=0)) == 2
