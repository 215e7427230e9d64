"""The safeguard compares classifier and teacher only where the teacher is sure."""

from __future__ import annotations

import numpy as np

from ccd_core.method.safeguard import FEWEST, agreement


def sure_and_unsure(images: int) -> np.ndarray:
    """[2 * images, 4] probabilities: the first half sure of class 0, 1, 2, ..., the rest unsure."""
    sure = np.full((images, 4), 0.01, np.float32)
    sure[np.arange(images), np.arange(images) % 4] = 0.97
    return np.concatenate([sure, np.full((images, 4), 0.25, np.float32)])


def test_only_images_of_which_the_teacher_is_sure_count():
    p = sure_and_unsure(40)
    scores = p.copy()
    scores[40:] = np.random.default_rng(0).random((40, 4))
    found = agreement(scores, p)
    assert (found.images, found.share, found.doubtful) == (40, 1.0, False)


def test_a_classifier_that_knows_nothing_is_doubtful():
    p = sure_and_unsure(200)
    found = agreement(np.random.default_rng(0).random(p.shape), p)
    assert found.share < 0.4 and found.doubtful


def test_few_sure_images_say_nothing():
    p = sure_and_unsure(FEWEST - 1)
    assert not agreement(1 - p, p).doubtful
    nothing = agreement(p[FEWEST:], p[FEWEST:])
    assert nothing.images == 0 and not nothing.doubtful
