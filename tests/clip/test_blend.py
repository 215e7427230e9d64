"""Predictions of classifier and CLIP together: the cells of a grid, CLIP's share, and the mixture."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ccd_core.clip.blend import blended, cells, clip_share
from ccd_core.clip.teacher import load_teacher
from ccd_core.machine.device import make_accelerator


def test_cells_are_those_of_each_image_row_by_row():
    image = torch.arange(36).view(1, 1, 6, 6).expand(1, 3, 6, 6)
    images = torch.cat([image, image + 100])
    found = cells(images, 3)
    assert found.shape == (18, 3, 2, 2)
    assert found[1, 0].tolist() == [[2, 3], [8, 9]] and found[3, 0].tolist() == [[12, 13], [18, 19]]
    assert found[9, 0].tolist() == [[100, 101], [106, 107]]
    torch.testing.assert_close(cells(images, 1), images)


def test_a_blend_lies_between_classifier_and_clip():
    scores = np.array([[0.2, 0.9]], np.float32)
    p = np.array([[0.6, 0.1]], np.float32)
    np.testing.assert_allclose(blended(scores, p, 0.5), [[0.4, 0.5]])
    np.testing.assert_array_equal(blended(scores, p, 0.0), scores)


@pytest.fixture(scope="module")
def clip(tiny_run):
    """A CLIP of some of the classes; the others are its background words."""
    settings = tiny_run.config.clip.model_copy(update={"background": list(tiny_run.classes[8:])})
    return load_teacher(settings, tiny_run.classes[:8], make_accelerator("cpu", "fp32"))


def test_the_whole_image_is_compared_with_the_classes_alone_and_cells_with_the_background_too(clip):
    embeddings = torch.nn.functional.normalize(torch.randn(2, 4, clip.text.shape[1]), dim=-1).numpy()
    whole = clip_share(clip, embeddings[:, :1])
    np.testing.assert_allclose(whole.sum(1), 1, atol=1e-5)
    share = clip_share(clip, embeddings)
    alone = [
        clip.teacher.classify(torch.from_numpy(one), clip.view_text)[:, : len(clip.text)].amax(0).numpy()
        for one in embeddings
    ]
    np.testing.assert_allclose(share, np.stack(alone), atol=1e-6)
    assert len(clip.view_text) > len(clip.text)
