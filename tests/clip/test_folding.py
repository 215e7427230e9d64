"""Batch norms folded into convolutions: the same embeddings but for rounding."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ccd_core.clip.folding import fold_norms
from ccd_core.clip.teacher import ClipTeacher
from tests.clip.small_models import TOWERS, write_model


def test_a_folded_resnet_has_no_batch_norm_and_the_same_embeddings():
    plain = ClipTeacher.load("demo")
    folded = ClipTeacher.load("demo", folded=True)
    assert any(isinstance(module, nn.BatchNorm2d) for module in plain.tower.modules())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.tower.modules())
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
    assert fold_norms(teacher.tower) == 0
