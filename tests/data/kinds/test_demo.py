"""The demo's data set: read where it is, drawn at home only."""

from __future__ import annotations

import numpy as np
import pytest

from ccd_core.data import open_dataset
from ccd_core.errors import UserError
from ccd_core.toy.scenes import CLASSES


def test_toy_scenes_are_read_where_they_are_and_drawn_at_home_alone(tiny_scenes, tmp_path):
    assert len(open_dataset(f"demo:{tiny_scenes}").splits["train"]) == 40
    with pytest.raises(UserError, match="no toy scenes in"):
        open_dataset(f"demo:{tmp_path / 'elsewhere'}")
    assert not list(tmp_path.iterdir())


def test_the_demo_is_read_as_voc_is(tiny_scenes):
    dataset = open_dataset(f"demo:{tiny_scenes}")
    truth = dataset.ground_truth("val")
    assert (
        dataset.classes == CLASSES and len(dataset.splits["train"]) == 40 and truth.targets.shape == (16, 16)
    )
    for row, boxes in enumerate(truth.boxes):
        assert set(np.flatnonzero(truth.targets[row])) == {index for index, _ in boxes}
