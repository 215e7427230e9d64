"""VOC, COCO and NUS-WIDE in their official layouts, with their oddities; what is kept of them between two readings."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from ccd_core.data import coco, nuswide, open_dataset, truth_cache, voc
from ccd_core.data.types import Boxes, GroundTruth, ImageList, Paths
from ccd_core.errors import UserError
from tests.make_datasets import (
    coco_annotations,
    make_coco,
    make_nuswide,
    make_voc,
    nuswide_labels,
    nuswide_name,
    voc_objects,
)


def names_of(dataset, targets: np.ndarray) -> list[str]:
    return [dataset.classes[column] for column in np.flatnonzero(targets)]


@pytest.mark.parametrize(("kind", "year"), [("voc2007", 2007), ("voc2012", 2012)])
def test_voc_with_windows_line_ends(tmp_path, kind, year):
    make_voc(tmp_path, year, n=6, crlf=True)
    dataset = open_dataset(f"{kind}:{tmp_path}")
    truth = dataset.ground_truth("train")
    assert [len(dataset.splits[split]) for split in ("train", "val")] == [6, 3]
    assert all(path.is_file() for images in dataset.splits.values() for path in images.paths)
    expected = {name for name, difficult in voc_objects(0) if not difficult}
    assert {name.replace(" ", "") for name in names_of(dataset, truth.targets[0])} == expected
    assert truth.targets[3].sum() == 0 and truth.boxes[3] == ()  # difficult objects only
    assert truth.boxes[0][0] == (0, (0, 1, 30, 40))  # parts of objects are no objects


@pytest.mark.parametrize(
    ("kind", "year", "lists"),
    [("voc2007", "2007", ("trainval", "test")), ("voc2012", "2012", ("train", "val"))],
)
def test_torchvision_reads_the_same_of_voc(tmp_path, kind, year, lists):
    from torchvision.datasets import VOCDetection

    make_voc(tmp_path, int(year), n=6)
    dataset = open_dataset(f"{kind}:{tmp_path}")
    for split, image_set in zip(("train", "val"), lists, strict=True):
        truth, theirs = dataset.ground_truth(split), VOCDetection(tmp_path, year=year, image_set=image_set)
        assert [Path(name) for name in theirs.images] == list(dataset.splits[split].paths)
        for row, (_, annotation) in enumerate(theirs):
            objects = [one for one in annotation["annotation"]["object"] if one["difficult"] == "0"]
            corners = [
                tuple(int(one["bndbox"][side]) for side in ("xmin", "ymin", "xmax", "ymax"))
                for one in objects
            ]
            assert [box for _, box in truth.boxes[row]] == [
                (x0 - 1, y0 - 1, x1, y1) for x0, y0, x1, y1 in corners
            ]  # VOC counts pixels from 1
            assert {voc.CLASSES[c].replace(" ", "") for c, _ in truth.boxes[row]} == {
                one["name"] for one in objects
            }


def test_the_class_names_are_clips():
    assert {"tv monitor", "dining table", "potted plant"} < set(voc.CLASSES)
    assert (len(voc.CLASSES), len(coco.CLASSES), len(nuswide.CLASSES)) == (20, 80, 81)
    assert [coco.CLASSES[i] for i in (0, 9, 79)] == ["person", "traffic light", "toothbrush"] and tuple(
        sorted(nuswide.CLASSES)
    ) == nuswide.CLASSES


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
def test_coco_annotations_that_are_not_right(tmp_path, monkeypatch, change, sentence, large):
    make_coco(tmp_path, n=6)
    content = coco_annotations("train", 6)
    change(content)
    (tmp_path / "annotations" / "instances_train2014.json").write_text(json.dumps(content))
    monkeypatch.setattr(coco, "LARGE_BYTES", 0 if large else 10**9)
    with pytest.raises(UserError, match=sentence or "no images in its split train"):
        open_dataset(f"coco2014:{tmp_path}")


def test_coco_that_is_half_there(tmp_path):
    make_coco(tmp_path, n=6)
    os.rename(tmp_path / "val2014", tmp_path / "elsewhere")
    assert set(open_dataset(f"coco2014:{tmp_path}").splits) == {"train"}
    os.rename(tmp_path / "train2014", tmp_path / "elsewhere too")
    with pytest.raises(UserError, match=r"train2014 is missing; it is in one of .*train2014.zip \(13.5 GB\)"):
        open_dataset(f"coco2014:{tmp_path}")


@pytest.mark.parametrize("layout", ["official", "benchmark"])
def test_nuswide_in_both_forms(tmp_path, layout):
    make_nuswide(tmp_path, n=10, layout=layout)
    dataset = open_dataset(f"nuswide:{tmp_path}")
    assert dataset.splits["train"].ids == tuple(nuswide_name(index) for index in range(10))
    assert all(path.is_file() for images in dataset.splits.values() for path in images.paths)
    np.testing.assert_array_equal(dataset.ground_truth("train").targets, nuswide_labels(0, 10))
    np.testing.assert_array_equal(dataset.ground_truth("val").targets, nuswide_labels(10, 5))
    assert (
        dataset.ground_truth("train").targets[0].sum() == 0
    )  # a "none image" stays, with nothing true of it


def test_nuswide_prefers_the_papers_split(tmp_path):
    make_nuswide(tmp_path, n=10, layout="official")
    make_nuswide(tmp_path, n=4, layout="benchmark")
    assert len(open_dataset(f"nuswide:{tmp_path}").splits["train"]) == 4


@pytest.mark.parametrize(
    "line",
    [
        "actor\\1.jpg",
        " actor/1.jpg\r",
        "C:\\ImageData\\Flickr\\actor\\1.jpg",
        "/data/nuswide/Flickr/actor/1.jpg",
        "./actor/1.jpg",
        "../../actor/1.jpg",
    ],
)
def test_nuswide_lists_from_anywhere(line):
    assert nuswide.below_flickr(line) == "actor/1.jpg"


def test_nuswide_that_is_not_right(tmp_path):
    make_nuswide(tmp_path, n=10)
    labels = tmp_path / "Groundtruth" / "TrainTestLabels" / "Labels_cat_Train.txt"
    labels.write_text("0\n1\n")
    with pytest.raises(
        UserError, match="Labels_cat_Train.txt has 2 labels, and TrainImagelist.txt lists 10 images"
    ):
        open_dataset(f"nuswide:{tmp_path}").ground_truth("train")
    labels.unlink()
    with pytest.raises(UserError, match="Labels_cat_Train.txt is missing; unpack Groundtruth.zip"):
        open_dataset(f"nuswide:{tmp_path}").ground_truth("train")
    (tmp_path / "ConceptsList" / "Concepts81.txt").write_text("airport\nbird\n")
    with pytest.raises(UserError, match="'animal' is expected and 'bird' is there"):
        open_dataset(f"nuswide:{tmp_path}")
    (tmp_path / "ConceptsList" / "Concepts81.txt").unlink()
    np.save(tmp_path / "formatted_train_images.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(UserError, match="no array file of numpy"):  # never unpickled
        open_dataset(f"nuswide:{tmp_path}")


@pytest.mark.parametrize(
    ("kind", "hint"),
    [
        ("voc2012", "data fetch voc2012"),
        ("coco2014", "data fetch coco2014"),
        ("nuswide", "data fetch nuswide"),
    ],
)
def test_an_empty_folder_says_what_to_fetch(tmp_path, kind, hint):
    with pytest.raises(UserError, match=hint):
        open_dataset(f"{kind}:{tmp_path}")


def test_annotations_are_read_again_only_when_they_change(tmp_path, monkeypatch):
    base = make_voc(tmp_path / "data", n=4)
    monkeypatch.setenv("CCD_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(truth_cache, "WORTH_CACHING_SECONDS", 0)
    reads = []
    monkeypatch.setattr(
        voc,
        "_read_annotations",
        lambda *arguments, read=voc._read_annotations: reads.append(1) or read(*arguments),
    )

    def truth() -> GroundTruth:
        return open_dataset(f"voc2012:{tmp_path / 'data'}").ground_truth("train")

    first, second = truth(), truth()
    assert (
        len(reads) == 1
        and second.ids == first.ids
        and second.boxes[:] == first.boxes[:]
        and second.targets.dtype == np.float32
    )
    np.testing.assert_array_equal(second.targets, first.targets)
    annotation = next((base / "Annotations").iterdir())
    os.utime(annotation, (1, 1))
    truth()
    assert len(reads) == 2
    next((tmp_path / "home" / "ground_truth").glob("*.npz")).write_bytes(b"damaged")
    assert truth().ids == first.ids and truth().ids == first.ids


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
