"""Labels from CLIP alone, and scores without training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ccd_core.baselines.without_labels.label_makers import clip_threshold, clip_top1, tiled
from ccd_core.baselines.without_labels.sparc import standardised
from ccd_core.stages.tiles import cells

P = np.array([[0.7, 0.25, 0.05], [0.4, 0.3, 0.3], [0.05, 0.9, 0.05]], np.float32)


def test_the_top_class_is_the_one_positive():
    assert clip_top1(P).tolist() == [[1, 0, 0], [1, 0, 0], [0, 1, 0]]


def test_thresholds_give_negatives_too():
    """Negative up to 0.5 / C = 1/6; positive from 0.5 on, or the top class; else unknown."""
    assert clip_threshold(P).tolist() == [[1, 0, -1], [1, 0, 0], [-1, 1, -1]]


def test_cduls_labels_are_the_mean_of_image_and_tiles():
    tiles = np.array([[[0.1, 0.8, 0.1], [0.6, 0.2, 0.2]]], np.float32)
    assert tiled(P[:1], tiles)[0] == pytest.approx([0.65, 0.525, 0.125])
    assert tiled(P[:1], tiles, zeta=0.5)[0] == pytest.approx([0.65, 0.525, 0.075])  # 0.2 < zeta: the least


def test_cells_are_cut_row_by_row():
    image = torch.arange(36).view(1, 1, 6, 6).expand(1, 3, 6, 6)
    parts = cells(image, 3)
    assert parts.shape == (9, 3, 2, 2)
    assert parts[1, 0].tolist() == [[2, 3], [8, 9]] and parts[3, 0].tolist() == [[12, 13], [18, 19]]


def test_standardising_takes_out_scale_and_level_of_images_and_classes():
    rng = np.random.default_rng(0)
    values = rng.random((5, 4))
    stretched = values * rng.random((5, 1)) + rng.random((5, 1))
    once = standardised(values, 1)
    assert np.allclose(once, standardised(stretched, 1))
    assert np.allclose(once.mean(1), 0) and np.allclose(once.std(1), 1)
    assert (standardised(np.ones((2, 3)), 1) == 0).all()


def test_a_clear_image_has_a_probability_near_one():
    """The temperature is 0.01: cosines that differ by 0.1 decide. Near-equal values would be a wrong one."""
    from ccd_core.clip.teacher import ClipTeacher
    from ccd_core.stages.tiles import probabilities

    teacher = ClipTeacher.load("demo")
    text = teacher.encode_text(["house", "car", "tree"])

    class Prompted:
        pass

    clip = Prompted()
    clip.teacher, clip.text = teacher, text
    p = probabilities(clip, text.numpy())  # as clear as it can be: the embedding of the class itself
    assert (p.argmax(1) == [0, 1, 2]).all() and p.max(1).min() > 0.9
