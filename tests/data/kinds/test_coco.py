"""COCO 2014 in its official layout, with its oddities."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from ccd_core.data import open_dataset
from ccd_core.data.kinds import coco
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


def changed_coco(root, change) -> None:
    """COCO of six training images whose annotations went through `change`."""
    make_coco(root, n=6)
    path = root / "annotations" / "instances_train2014.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


FIRST = "COCO_train2014_000000000009.jpg"


@pytest.mark.parametrize(
    "prefix", ["train2014/", "images\\", "./", "http://images.cocodataset.org/train2014/"]
)
def test_coco_file_names_with_folders_that_are_not_there(tmp_path, prefix):
    def change(content: dict) -> None:
        for image in content["images"]:
            image["file_name"] = prefix + image["file_name"]

    changed_coco(tmp_path, change)
    images = open_dataset(f"coco2014:{tmp_path}").splits["train"]
    assert images.ids[0] == f"train2014/{FIRST}" and all(path.is_file() for path in images.paths)


def test_coco_in_sub_folders_and_as_png(tmp_path):
    def change(content: dict) -> None:
        for image in content["images"]:
            if image["id"] == 9:
                image["file_name"] = f"a/{FIRST}"

    changed_coco(tmp_path, change)
    (tmp_path / "train2014" / "a").mkdir()
    (tmp_path / "train2014" / FIRST).rename(tmp_path / "train2014" / "a" / FIRST)
    second = tmp_path / "train2014" / "COCO_train2014_000000000025.jpg"
    second.rename(second.with_suffix(".png"))
    dataset = open_dataset(f"coco2014:{tmp_path}")
    assert dataset.splits["train"].ids[:2] == (f"train2014/a/{FIRST}", f"train2014/{second.stem}.png")
    assert all(path.is_file() for path in dataset.splits["train"].paths)
    assert dataset.ground_truth("train").ids == dataset.splits["train"].ids


def test_coco_categories_that_nothing_uses_may_be_any(tmp_path):
    changed_coco(tmp_path, lambda content: content["categories"].append({"id": 0, "name": "objects"}))
    assert open_dataset(f"coco2014:{tmp_path}").ground_truth("train").targets.shape == (5, 80)


@pytest.mark.parametrize("large", [False, True])
def test_an_image_id_of_two_images_is_refused(tmp_path, monkeypatch, large):
    monkeypatch.setattr(coco, "LARGE_BYTES", 0 if large else 10**9)
    changed_coco(tmp_path, lambda content: content["images"][1].update(id=content["images"][0]["id"]))
    with pytest.raises(UserError, match=r"the image id \d+ stands for '.*' and for '.*'.*unpack annotations"):
        open_dataset(f"coco2014:{tmp_path}")


def test_modules_in_the_current_folder_do_no_harm(tmp_path, monkeypatch):
    make_coco(tmp_path / "data", n=6)
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong module')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(coco, "LARGE_BYTES", 0)
    assert len(open_dataset(f"coco2014:{tmp_path / 'data'}").splits["train"]) == 5
