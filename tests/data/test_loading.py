"""Batches of decoded images: in the order asked for, and the same from files as from the cache."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ccd_core.data import loading
from ccd_core.data.loading import DecodedImages, in_batches, read_batches, read_usable
from ccd_core.data.pace import enough_workers
from ccd_core.data.types import ImageList
from ccd_core.errors import UserError


@pytest.fixture
def images(tmp_path, monkeypatch) -> ImageList:
    """Seven images of one grey each, 0, 10, 20 and so on; the fourth file is no image."""
    monkeypatch.setenv("CCD_HOME", str(tmp_path / "home"))
    for number in range(7):
        Image.new("L", (40, 30), 10 * number).save(tmp_path / f"{number}.png")
    (tmp_path / "3.png").write_text("no image")
    return ImageList(tuple("0123456"), tuple(tmp_path / f"{number}.png" for number in range(7)))


def greys(pixels: torch.Tensor) -> list[int]:
    assert pixels.shape[1:] == (3, 8, 8) and pixels.dtype == torch.uint8
    return [int(image.float().mean()) for image in pixels]


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_follow_the_order_asked_for_and_name_what_cannot_be_read(images, workers):
    order = [6, 0, 3, 1, 2, 5, 4]
    batches = list(read_batches(images, 8, 2, order, workers))
    assert [indices for indices, _, _ in batches] == [[6, 0], [1], [2, 5], [4]]
    assert [greys(pixels) for _, pixels, _ in batches] == [[60, 0], [10], [20, 50], [40]]
    assert [list(bad) for _, _, bad in batches] == [[], [3], [], []] and "3.png" in batches[1][2][3]


def test_as_many_processes_decode_as_keep_up_measured_in_the_first_batches(images, monkeypatch, caplog):
    monkeypatch.setattr(loading, "_PACES", {})
    with caplog.at_level("INFO", "ccd"):
        first = [(indices, list(bad)) for indices, _, bad in read_batches(images, 8, 1)]
        again = [(indices, list(bad)) for indices, _, bad in read_batches(images, 8, 1)]
    assert first == again == [([], [3]) if row == 3 else ([row], []) for row in range(7)]
    assert len([line for line in caplog.messages if line.startswith("data.workers: ")]) == 1
    assert loading._PACES[8, 1].workers >= 1


def test_a_slow_model_needs_one_process_and_a_quick_one_needs_many(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 16)
    assert enough_workers(decoding=0.1, using=5.0) == 1
    assert enough_workers(decoding=1.0, using=0.5) == 3  # 2.5 and no less
    assert enough_workers(decoding=1.0, using=0.0) == 8
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    assert enough_workers(decoding=1.0, using=0.0) == 2  # of the cores that each of eight processes has


def test_batches_are_consecutive_and_the_last_may_be_shorter():
    assert in_batches([4, 3, 2, 1, 0], 2) == [[4, 3], [2, 1], [0]] and in_batches([], 2) == []


def test_an_image_that_can_no_longer_be_read_stops_the_run_with_a_sentence(images):
    with pytest.raises(UserError, match=r"cannot be read now: .*3\.png.* Put it back and resume the run"):
        list(read_usable(images, 8, 4, workers=0))


@pytest.mark.parametrize("cache_gb", [0.0, 1.0])
def test_decoded_images_are_the_same_with_and_without_a_cache(images, cache_gb, tmp_path):
    decoded = DecodedImages(images, 8, cache_gb, workers=0)
    seen = []
    unusable = decoded.check(seen.append)
    assert list(unusable) == ["3"] and seen[-1] == 7 and decoded.ids == ("0", "1", "2", "4", "5", "6")
    batches = [np.array([5, 0]), np.array([3])]
    read = list(decoded.batches(batches))
    assert [indices.tolist() for indices, _ in read] == [[5, 0], [3]]
    assert [greys(pixels) for _, pixels in read] == [[60, 0], [40]]
    assert bool(list((tmp_path / "home").rglob("*"))) == (cache_gb > 0)


def test_from_the_cache_no_file_is_opened_again(images):
    DecodedImages(images, 8, 1.0, workers=0).check(lambda done: None)
    for path in images.paths:
        stat = Path(path).stat()
        content = b"\0" * stat.st_size
        Path(path).write_bytes(content)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    again = DecodedImages(images, 8, 1.0, workers=0)
    assert list(again.check(lambda done: None)) == ["3"]
    ((_, pixels),) = again.batches([np.array([1])])
    assert greys(pixels) == [10]
