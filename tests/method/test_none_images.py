"""Images that show no class are told from the others without labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccd_core.config import CCDConfig
from ccd_core.method.none_images import none_images, split_in_two
from ccd_core.settings.sections import NoneImageSettings


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.integers(2, 60), st.integers(2, 60))
def test_two_groups_are_split_between_them(seed, few, many):
    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.uniform(0, 1, few), rng.uniform(4, 5, many)])
    assert 1 <= split_in_two(values) <= 4


P = np.array([[0.9, 0.1], [0.5, 0.5], [0.95, 0.05]], np.float32)
SIMILARITY = np.array([0.31, 0.15, 0.30], np.float32)


@pytest.mark.parametrize("name", ["similarity", "entropy"])
def test_the_image_that_stands_out_is_taken_to_show_no_class(name):
    assert none_images(P, SIMILARITY, NoneImageSettings(filter=name)).tolist() == [False, True, False]


def test_where_all_images_are_alike_none_is_taken():
    alike = np.full(3, 0.2, np.float32)
    assert not none_images(P, alike, NoneImageSettings(filter="similarity")).any()


def test_a_threshold_may_be_given():
    settings = NoneImageSettings(filter="similarity", threshold=0.305)
    assert none_images(P, SIMILARITY, settings).tolist() == [False, True, True]


@pytest.mark.parametrize("preset", ["paper", "reference"])
def test_neither_the_paper_nor_the_authors_code_has_such_a_filter(preset):
    assert CCDConfig.preset(preset).none_images.filter == "off"
