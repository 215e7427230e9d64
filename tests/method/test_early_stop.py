"""Early stopping: the model of the first local minimum of the gain in training mAP (Sec. 4.1)."""

from __future__ import annotations

import pytest

from ccd_core.method.early_stop import first_local_minimum


@pytest.mark.parametrize(
    ("train_map", "kept"),
    [
        (
            [0.10, 0.30, 0.40, 0.45, 0.55],
            4,
        ),  # gains 0.2, 0.1 and 0.05, then a larger one
        ([0.10, 0.20, 0.40], 2),
        ([0.10, 0.30, 0.40, 0.45], None),
        ([0.10, 0.10, 0.10, 0.10], None),
        ([0.10, 0.20], None),
        ([], None),
        ([0.10, float("nan"), 0.30, 0.40], None),
    ],
)
def test_the_first_epoch_whose_gain_is_larger_than_the_one_before(train_map, kept):
    assert first_local_minimum(train_map) == kept
