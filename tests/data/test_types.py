"""Lists of images and boxes: small in memory, and used like tuples."""

from __future__ import annotations

from pathlib import Path

import pytest

from ccd_core.data.types import Boxes, ImageList, Paths


def test_paths_are_made_when_asked_for(tmp_path):
    images = ImageList(("a", "b", "c"), Paths(tmp_path, ("a", "b", "c"), ".jpg"))
    assert (
        list(images.paths) == [tmp_path / f"{name}.jpg" for name in "abc"]
        and images.paths[-1].name == "c.jpg"
    )
    remaining = images.without({"b"})
    assert remaining.ids == ("a", "c") and list(remaining.paths[1:]) == [tmp_path / "c.jpg"]
    assert images.path("b") == tmp_path / "b.jpg" and images.path("z") is None
    plain = ImageList(("a", "b"), (Path("x"), Path("y"))).without(["a"])
    assert plain.paths == (Path("y"),)


def test_boxes_read_like_a_tuple_of_tuples():
    objects = (((1, (0, 0, 3, 4)), (0, (5, 5, 6, 6))), (), ((2, (1, 1, 2, 2)),))
    boxes = Boxes.of(objects)
    assert (
        tuple(boxes) == objects and boxes[-1] == objects[2] and boxes[0:2] == objects[:2] and len(boxes) == 3
    )
    with pytest.raises(IndexError):
        boxes[3]
    assert all(type(number) is int for _, box in boxes[0] for number in box)
