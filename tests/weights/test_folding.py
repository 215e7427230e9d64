"""Batch norms folded into convolutions: the same answers but for rounding, and those of present weights."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from ccd_core.clip.teacher import ClipTeacher
from ccd_core.method.backbones import make_backbone
from ccd_core.method.classifier import CamClassifier
from ccd_core.weights.folding import FoldedCopy, fold_norms
from tests.clip.small_models import TOWERS, write_model

SIDE = 64


def norms(network: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


def assert_close(answer: Tensor, expected: Tensor) -> None:
    """Within 1e-4 of the largest value."""
    assert (answer - expected).abs().max() < 1e-4 * expected.abs().max()


def with_statistics(network: nn.Module) -> nn.Module:
    """The network in eval mode, with batch norms that do something."""
    for norm in norms(network):
        norm.running_mean.normal_(0, 0.3)
        norm.running_var.uniform_(0.5, 2)
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, 0, 0.3)
    return network.eval()


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("resnet18", 0),
        ("timm:tf_efficientnet_lite0", 0),  # its norms have an activation
        ("timm:mobilenetv3_small_100", 0),
        ("clip:demo", 0),
        ("timm:repvgg_a0", 17),  # of branches without a convolution
        ("timm:convnext_atto", 0),  # it has none
    ],
)
def test_a_folded_network_gives_the_same_features(name, left):
    network = with_statistics(make_backbone(name, None, {}, (SIDE,))[0])
    folded = copy.deepcopy(network)
    assert fold_norms(folded, SIDE, SIDE) == len(norms(network)) - left
    assert len(norms(folded)) == left
    images = torch.randn(2, 3, SIDE, SIDE)
    with torch.no_grad():
        expected = network(images)
        # Not of other sizes alone: the copy was looked at with one.
        larger = torch.randn(1, 3, 2 * SIDE, SIDE)
        assert_close(folded(larger), network(larger))
        assert_close(folded(images), expected)


class Odd(nn.Module):
    """Three convolutions whose norms must stay: seen elsewhere, used twice, and with weights made anew."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(3))
        self.one, self.two, self.three = (nn.BatchNorm2d(3) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        seen = self.first(x)
        x = self.one(seen) + seen
        x = self.two(self.second(self.two(self.second(x))))
        return self.three(torch.conv2d(x, self.third.weight * 2, self.third.bias, padding=1))


def test_a_norm_stays_where_its_convolution_is_not_its_alone():
    network = with_statistics(Odd())
    folded = copy.deepcopy(network)
    assert fold_norms(folded, 8, 8) == 0
    images = torch.randn(2, 3, 8, 8)
    assert torch.equal(folded(images), network(images))


def classifiers(frozen: float) -> tuple[CamClassifier, CamClassifier]:
    """The same classifier, without folding and with it."""
    torch.manual_seed(3)
    plain = CamClassifier("resnet18", 3, frozen=frozen)
    with_statistics(plain.backbone)
    folded = CamClassifier("resnet18", 3, frozen=frozen, fold_norms=True)
    folded.load_state_dict(plain.state_dict())
    return plain, folded


def assert_alike(plain: CamClassifier, folded: CamClassifier) -> None:
    images = torch.randn(2, 3, SIDE, SIDE)
    with torch.inference_mode():
        expected = plain.eval()(images)
        answer = folded.eval()(images)
    assert_close(answer, expected)
    assert not torch.equal(answer, expected)  # so it was folded


def step(model: CamClassifier, images: Tensor) -> None:
    model.train()
    optimizer = torch.optim.SGD([value for value in model.parameters() if value.requires_grad], 0.05)
    model(images).square().mean().backward()
    optimizer.step()


def test_a_classifier_that_learns_answers_with_its_present_weights():
    plain, folded = classifiers(frozen=0)
    assert_alike(plain, folded)
    images = torch.randn(4, 3, SIDE, SIDE)
    for model in (plain, folded):
        step(model, images)
    for name, value in plain.state_dict().items():
        assert torch.equal(folded.state_dict()[name], value), name  # steps are made without folding
    assert_alike(plain, folded)
    other = {name: value * 1.5 for name, value in plain.state_dict().items()}
    for model in (plain, folded):
        model.load_state_dict(other)
    assert_alike(plain, folded)


def test_where_only_the_head_learns_its_steps_are_those_without_folding_but_for_rounding():
    plain, folded = classifiers(frozen=1)
    assert_alike(plain, folded)  # in inference mode; what follows needs gradients
    images = torch.randn(4, 3, SIDE, SIDE)
    for model in (plain, folded):
        step(model, images)
    assert not torch.equal(folded.head.weight, plain.head.weight)
    assert_close(folded.head.weight, plain.head.weight)
    assert folded.state_dict().keys() == plain.state_dict().keys()  # files have the same names
    assert_alike(plain, folded)


def test_dropout_of_a_frozen_backbone_drops_in_training_alone():
    model = CamClassifier("timm:tf_efficientnet_lite0", 3, frozen=1, fold_norms=True, drop_path_rate=0.9)
    images = torch.randn(2, 3, SIDE, SIDE)
    for training, same in ((True, False), (False, True), (True, False)):
        model.train(training)
        with torch.inference_mode():
            assert torch.equal(model(images), model(images)) == same


def test_a_network_without_norms_is_not_copied():
    network = make_backbone("timm:convnext_atto", None, {}, (SIDE,))[0]
    assert FoldedCopy().of(network, torch.zeros(1, 3, SIDE, SIDE)) is network


def test_a_classifier_in_another_precision_is_folded_anew():
    plain, folded = classifiers(frozen=0)
    assert_alike(plain, folded)
    images = torch.randn(1, 3, SIDE, SIDE, dtype=torch.float64)
    with torch.inference_mode():
        assert_close(folded.double()(images), plain.double()(images))


def test_a_folded_clip_has_no_batch_norm_and_the_same_embeddings():
    plain = ClipTeacher.load("demo")
    folded = ClipTeacher.load("demo", folded=True)
    assert norms(plain.tower) and not norms(folded.tower)
    images = torch.randn(3, 3, 96, 128)
    torch.testing.assert_close(folded.encode_image(images), plain.encode_image(images), atol=1e-6, rtol=0)
    text = plain.encode_text(["house", "car", "tree"])
    ours = folded.probabilities(images, text)
    assert (ours - plain.probabilities(images, text)).abs().max() < 1e-4


def test_the_weights_of_a_folded_tower_have_a_fingerprint_of_their_own():
    assert ClipTeacher.load("demo").fingerprint() != ClipTeacher.load("demo", folded=True).fingerprint()


@pytest.mark.parametrize("name", ["vit"])
def test_other_towers_have_nothing_to_fold(name, tmp_path):
    teacher = ClipTeacher.load(write_model(tmp_path / "model", *TOWERS[name][2:]))
    assert fold_norms(teacher.tower, *teacher.tower.native_size) == 0
