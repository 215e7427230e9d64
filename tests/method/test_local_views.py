"""Views of a batch of images: which boxes are cut, and what CLIP says of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks import parity
from ccd_core.clip.teacher import ClipTeacher, PromptedClip
from ccd_core.config import CCDConfig, ClipSettings, MeanViews
from ccd_core.method.local_views import ask_clip, choose_views


def test_no_quirk_in_the_others(tiny_run):
    assert isinstance(tiny_run.config.views.threshold, MeanViews)
    above, cams = np.ones((1, 2), bool), np.zeros((1, 2, 4, 4), np.float32)
    cams[0, 0, 0, 3] = cams[0, 0, 3, 0] = 1  # first pixel in the upper right, last in the lower left
    cams[0, 1, 0, 1] = cams[0, 1, 1, 3] = cams[0, 1, 3, 2] = 1
    views = {}
    for preset in ("paper", "reference"):
        *_, views[preset] = choose_views(
            above,
            parity.torch.from_numpy(cams),
            (320, 320),
            CCDConfig.preset(preset).views,
            np.random.default_rng(0),
        )
    assert (views["paper"][1] != views["reference"][1]).any()


CLASSES = ("cat", "tvmonitor")


@pytest.fixture(scope="module")
def demo():
    return ClipTeacher.load("demo")


def test_views_of_many_frames_asked_together_are_answered_as_alone(demo):
    rng = torch.Generator().manual_seed(0)
    frames = [torch.randint(256, (3, 96, 96), dtype=torch.uint8, generator=rng) for _ in range(3)]
    views = [
        (0, (0, 0, 96, 96)),
        (2, (10, 0, 60, 90)),
        (1, (5, 5, 55, 95)),
        (0, (0, 40, 96, 80)),
        (2, (0, 0, 96, 96)),
    ]
    clip = PromptedClip(demo, demo.encode_text(CLASSES), ClipSettings(model="demo", size=128, batch_size=2))
    together = ask_clip(clip, frames, views)
    alone = np.concatenate([ask_clip(clip, frames, [view]) for view in views])
    np.testing.assert_allclose(together, alone, atol=1e-5)
