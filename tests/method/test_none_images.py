"""Images without any class: told apart without labels, and trained on as such."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ccd_core.config import CCDConfig, NoneImageSettings
from ccd_core.method.none_images import none_images, split_in_two


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.integers(2, 60), st.integers(2, 60))
def test_two_groups_are_split_between_them(seed, few, many):
    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.uniform(0, 1, few), rng.uniform(4, 5, many)])
    assert 1 <= split_in_two(values) <= 4


def test_what_is_flagged():
    p = np.array([[0.9, 0.1], [0.5, 0.5], [0.95, 0.05]], np.float32)
    similarity = np.array([0.31, 0.15, 0.30], np.float32)
    for name in ("similarity", "entropy"):
        assert none_images(p, similarity, NoneImageSettings(filter=name)).tolist() == [False, True, False]
    assert not none_images(
        p, np.full(3, 0.2, np.float32), NoneImageSettings(filter="similarity")
    ).any()  # all alike
    assert none_images(p, similarity, NoneImageSettings(filter="similarity", threshold=0.305)).tolist() == [
        False,
        True,
        True,
    ]
    assert (
        CCDConfig.preset("paper").none_images.filter
        == CCDConfig.preset("reference").none_images.filter
        == "off"
    )
