"""The batch size that is quickest here is measured once and remembered."""

from __future__ import annotations

import json

import pytest
import torch

from ccd_core.clip import batch_size
from ccd_core.clip.batch_size import best_batch_size, remembered_batch_size
from ccd_core.config import CCDConfig
from ccd_core.errors import UserError


def test_where_batches_gain_nothing_one_image_is_best():
    assert best_batch_size(lambda size: 0.01 * size) == 1


def test_where_a_pass_has_a_price_larger_batches_are_better():
    assert best_batch_size(lambda size: 0.01 + 0.0001 * size, limit=100) >= 64


def test_memory_and_time_end_the_search():
    def seconds(size: int) -> float:
        if size > 8:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return 0.001

    assert best_batch_size(seconds) == 8
    assert best_batch_size(lambda size: 20.0) == 1


def test_it_is_measured_once_a_machine_and_model(tmp_path, monkeypatch):
    monkeypatch.setenv("CCD_HOME", str(tmp_path))
    shown = []

    def encode(images: torch.Tensor) -> torch.Tensor:
        shown.append(len(images))
        return images.mean((1, 2, 3))

    cpu = torch.device("cpu")
    size = remembered_batch_size("a model", encode, 8, cpu)
    asked = len(shown)
    assert asked and size in batch_size.SIZES
    assert remembered_batch_size("a model", encode, 8, cpu) == size and len(shown) == asked
    remembered_batch_size("another", encode, 8, cpu)
    assert len(shown) > asked
    (tmp_path / batch_size.FILE).write_text("[")
    remembered_batch_size("a model", encode, 8, cpu)
    assert len(json.loads((tmp_path / batch_size.FILE).read_text())) == 1


@pytest.mark.parametrize("wrong", [0, -1, "many", 10**9])
def test_a_batch_size_is_auto_or_a_number(wrong):
    with pytest.raises(UserError, match="clip.batch_size: is auto or a whole number from 1"):
        CCDConfig.preset("demo").changed(clip={"batch_size": wrong})
    assert CCDConfig.preset("demo").changed(clip={"batch_size": "auto"}).clip.batch_size == "auto"
