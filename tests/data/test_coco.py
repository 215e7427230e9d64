"""COCO 2014 in its official layout, with its oddities."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from ccd_core.data import coco, open_dataset
from ccd_core.errors import UserError
from tests.make_datasets import (
    coco_annotations,
    make_coco,
)


def test_coco_counts_images_with_an_annotation(tmp_path):
    make_coco(tmp_path, n=6)
    dataset = open_dataset(f"coco2014:{tmp_path}")
    train = dataset.splits["train"]
    assert len(train) == 5 and len(dataset.splits["val"]) == 4  # of 6 and 5: the last of each has none
    assert (
        train.ids[0] == "train2014/COCO_train2014_000000000009.jpg"
        and train.paths[0] == tmp_path / train.ids[0]
    )
    assert all(path.is_file() for path in train.paths)


def test_coco_crowds_count_as_classes_and_not_as_boxes(tmp_path, capfd):
    make_coco(tmp_path, n=6)
    truth = open_dataset(f"coco2014:{tmp_path}").ground_truth("train")
    assert truth.targets[0].tolist().index(1) == 0 and truth.targets[0].sum() == 1  # two people are one class
    assert truth.boxes[0] == ((0, (3, 4, 14, 25)), (0, (30, 4, 60, 40)))
    assert truth.targets[1, 79] == 1 and truth.boxes[1] == ()
    assert capfd.readouterr().out == ""  # pycocotools reports on itself unless told not to


def test_coco_read_in_another_process_is_the_same(tmp_path, monkeypatch):
    make_coco(tmp_path, n=6)
    here = coco.read_split(tmp_path, "train")
    monkeypatch.setattr(coco, "LARGE_BYTES", 0)
    apart = coco.read_split(tmp_path, "train")
    assert apart.ids == here.ids and apart.boxes[:] == here.boxes[:]
    np.testing.assert_array_equal(apart.targets, here.targets)


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda content: content["categories"][3].update(name="motor bike"),
            "a class that COCO does not have: 'motor bike'",
        ),
        (lambda content: content.pop("annotations"), None),
        (lambda content: content["annotations"][0].pop("bbox"), "damaged or no instances file"),
    ],
)
def test_damaged_or_foreign_annotations_are_one_sentence(tmp_path, monkeypatch, change, sentence, large):
    make_coco(tmp_path, n=6)
    content = coco_annotations("train", 6)
    change(content)
    (tmp_path / "annotations" / "instances_train2014.json").write_text(json.dumps(content))
    monkeypatch.setattr(coco, "LARGE_BYTES", 0 if large else 10**9)
    with pytest.raises(UserError, match=sentence or "no images in its split train"):
        open_dataset(f"coco2014:{tmp_path}")


def test_coco_opens_with_one_split_and_says_where_a_missing_one_is(tmp_path):
    make_coco(tmp_path, n=6)
    os.rename(tmp_path / "val2014", tmp_path / "elsewhere")
    assert set(open_dataset(f"coco2014:{tmp_path}").splits) == {"train"}
    os.rename(tmp_path / "train2014", tmp_path / "elsewhere too")
    with pytest.raises(UserError, match=r"train2014 is missing; it is in one of .*train2014.zip \(13.5 GB\)"):
        open_dataset(f"coco2014:{tmp_path}")
