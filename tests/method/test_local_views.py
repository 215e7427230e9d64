"""Views of a batch of images: which boxes are cut, and what CLIP says of them."""

from __future__ import annotations

import numpy as np
import torch

from ccd_core.clip.teacher import ClipTeacher, PromptedClip, background_of
from ccd_core.config import CCDConfig
from ccd_core.method.local_views import choose_views, clip_probabilities
from ccd_core.settings.sections import ClipSettings


def test_the_papers_box_holds_all_bright_pixels_and_the_authors_code_takes_the_first_and_the_last():
    above = np.ones((1, 2), bool)
    cams = np.zeros((1, 2, 4, 4), np.float32)
    cams[0, 0, 0, 3] = cams[0, 0, 3, 0] = (
        1  # the first pixel is in the upper right, the last in the lower left
    )
    cams[0, 1, 0, 1] = cams[0, 1, 1, 3] = cams[0, 1, 3, 2] = 1
    views = {}
    for preset in ("paper", "reference"):
        settings = CCDConfig.preset(preset).views
        rng = np.random.default_rng(0)
        *_, views[preset] = choose_views(above, torch.from_numpy(cams), (320, 320), settings, rng)
    paper, reference = views["paper"], views["reference"]
    assert (paper[:, :2] <= reference[:, :2]).all() and (paper[:, 2:] >= reference[:, 2:]).all()
    assert (paper[1] != reference[1]).any()


def test_views_of_many_frames_asked_together_are_answered_as_alone():
    demo = ClipTeacher.load("demo")
    rng = torch.Generator().manual_seed(0)
    frames = [torch.randint(256, (3, 96, 96), dtype=torch.uint8, generator=rng) for _ in range(3)]
    views = [
        (0, (0, 0, 96, 96)),
        (2, (10, 0, 60, 90)),
        (1, (5, 5, 55, 95)),
        (0, (0, 40, 96, 80)),
        (2, (0, 0, 96, 96)),
    ]
    clip = PromptedClip(
        demo, demo.encode_text(["cat", "tree"]), ClipSettings(model="demo", size=128, batch_size=2)
    )
    together = clip_probabilities(clip, frames, views)
    alone = np.concatenate([clip_probabilities(clip, frames, [view]) for view in views])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_a_background_word_takes_its_share_of_local_views_alone():
    demo = ClipTeacher.load("demo")
    plain = ClipSettings(model="demo", size=64)
    text = demo.encode_text(["bicycle", "chair"])
    wordy = plain.model_copy(update={"background": ["snowman"]})
    words = background_of(demo, text, wordy)
    assert words is not None and words.shape == (1, text.shape[1])
    frame = torch.randint(256, (3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    without = PromptedClip(demo, text, plain)
    with_words = PromptedClip(demo, text, wordy)
    views = [(0, (0, 0, 64, 64))]
    p = clip_probabilities(without, [frame], views)
    shared = clip_probabilities(with_words, [frame], views)
    assert shared.sum() < 1 and (shared < p).all()
    np.testing.assert_allclose(shared / shared.sum(), p, rtol=1e-4)  # the classes keep their proportions
    assert torch.equal(without.probabilities(frame[None]), with_words.probabilities(frame[None]))


def test_background_words_that_may_mean_a_class_are_left_out(caplog):
    demo = ClipTeacher.load("demo")
    text = demo.encode_text(["tree", "bicycle", "chair"])
    with caplog.at_level("INFO", "ccd"):
        settings = ClipSettings(model="demo", background=["tree", "snowman"])
        words = background_of(demo, text, settings)
    assert words is not None and torch.allclose(words, demo.encode_text(["snowman"]), atol=1e-5)
    assert "left out, like a class or unknown: tree" in caplog.text
    assert background_of(demo, text, ClipSettings(model="demo")) is None
