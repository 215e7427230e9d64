"""Data sets in common layouts: COCO exports, VOC's layout, YOLO, tables, folders of classes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from ccd_core.config import CCDConfig
from ccd_core.data import open_dataset
from ccd_core.data.check import examine_dataset
from ccd_core.data.types import Dataset
from ccd_core.errors import UserError
from tests.make_datasets import photos


def labels_of(dataset: Dataset, split: str = "val") -> dict[str, set[str]]:
    """{image: its classes}."""
    truth = dataset.ground_truth(split)
    assert truth is not None and truth.ids == dataset.splits[split].ids
    assert all(path.is_file() for path in dataset.splits[split].paths)
    rows = [{dataset.classes[column] for column in np.flatnonzero(row)} for row in truth.targets]
    return dict(zip(truth.ids, rows, strict=True))


def boxes_of(dataset: Dataset, image: str, split: str = "val") -> list[tuple[str, tuple[int, ...]]]:
    truth = dataset.ground_truth(split)
    return [(dataset.classes[number], box) for number, box in truth.boxes[truth.row_of[image]]]


# ------------------------------------------------------------------------------------------------ COCO


def coco(images: list[str], objects: list[tuple[int, int, list[float]]], /, **changes) -> dict:
    """Annotations of images numbered from 1. An object is (image, category 1 dog or 5 cat, bbox)."""
    content = {
        "images": [
            {"id": number, "file_name": name, "width": 60, "height": 40}
            for number, name in enumerate(images, 1)
        ],
        "annotations": [
            {"id": number, "image_id": image, "category_id": category, "bbox": bbox, "iscrowd": 0}
            for number, (image, category, bbox) in enumerate(objects, 1)
        ],
        "categories": [{"id": 5, "name": "cat", "supercategory": "animals"}, {"id": 1, "name": "dog"}],
    }
    return content | changes


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


OBJECTS = [(1, 1, [3, 4, 10, 20]), (1, 5, [0, 0, 5, 5]), (2, 5, [30.5, 4.5, 29.5, 35.5])]
LABELS = [{"dog", "cat"}, {"cat"}, set()]


@pytest.mark.parametrize(
    ("file", "folder", "listed"),
    [
        ("labels.json", "", "{}.jpg"),
        ("result.json", "images", "images/{}.jpg"),  # Label Studio
        ("result.json", "images", "images\\{}.jpg"),  # and on Windows
        ("result.json", "images", "C:\\work\\images\\{}.jpg"),
        ("labels.json", "data", "{}.jpg"),  # FiftyOne
        ("annotations/instances_default.json", "images", "{}.jpg"),  # CVAT
        ("annotations/instances_train2017.json", "train2017", "{}.jpg"),
        ("annotations/instances_train2017.json", "images/train2017", "{}.jpg"),
        ("_annotations.coco.json", "", " {}.jpg "),
        ("labels.json", "data", "{}.png"),  # the images were converted since
        ("labels.json", "data", "{}.JPG"),
        ("labels.json", "data", "/home/somebody/pictures/{}.jpg"),
        ("labels.json", "data", "https://host.org/files/{}.jpg?size=large"),
    ],
)
def test_a_coco_file_finds_its_images(tmp_path, file, folder, listed):
    names = [os.path.join(folder, f"{name}.jpg") for name in "abc"]
    photos(tmp_path, *names)
    write(tmp_path / file, coco([listed.format(name) for name in "abc"], OBJECTS))
    dataset = open_dataset(f"coco:{tmp_path / file}")
    assert dataset.classes == ("dog", "cat") and set(dataset.splits) == {"train", "val"}
    assert labels_of(dataset) == dict(zip(names, LABELS, strict=True))
    assert boxes_of(dataset, names[0]) == [("dog", (3, 4, 13, 24)), ("cat", (0, 0, 5, 5))]
    assert boxes_of(dataset, names[1]) == [("cat", (30, 4, 60, 40))]
    assert any("Taken for annotations in COCO's form" in note for note in dataset.notes)


def test_coco_images_elsewhere(tmp_path):
    photos(tmp_path / "pictures", "x/a.jpg", "y/a.jpg")
    path = write(tmp_path / "notes" / "a.json", coco(["x/a.jpg", "y/a.jpg"], OBJECTS))
    dataset = open_dataset(f"coco:{path},{tmp_path / 'pictures'}")
    assert labels_of(dataset) == {"x/a.jpg": {"dog", "cat"}, "y/a.jpg": {"cat"}}
    with pytest.raises(UserError, match=r"None of the 2 images .* such as 'x/a.jpg'; write coco:ANN"):
        open_dataset(f"coco:{path}")
    with pytest.raises(UserError, match="no folder of images"):
        open_dataset(f"coco:{path},{tmp_path / 'nowhere'}")


def test_both_paths_of_a_coco_data_set_become_absolute(tmp_path, monkeypatch):
    photos(tmp_path / "pictures", "a.jpg")
    write(tmp_path / "a.json", coco(["a.jpg"], OBJECTS[:2]))
    monkeypatch.chdir(tmp_path)
    config = CCDConfig.preset("paper", "coco:a.json,pictures").with_absolute_paths()
    assert config.data.spec == f"coco:{tmp_path}/a.json,{tmp_path}/pictures"
    monkeypatch.chdir("/")
    assert len(open_dataset(config.data.spec).splits["train"]) == 1
    photos(tmp_path, "with, comma/a.jpg")
    write(tmp_path / "with, comma" / "a.json", coco(["a.jpg"], OBJECTS[:2]))
    spec = f"coco:{tmp_path}/with, comma/a.json"
    assert CCDConfig.preset("paper", spec).with_absolute_paths().data.spec == spec
    assert len(open_dataset(spec).splits["train"]) == 1


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ("train/_annotations.coco.json", "valid/_annotations.coco.json"),
        ("annotations/instances_train2017.json", "annotations/instances_val2017.json"),
        ("train.json", "test.json"),
    ],
)
def test_a_folder_with_a_coco_file_for_each_split(tmp_path, train, val):
    photos(tmp_path, "train/a.jpg", "train/b.jpg", "valid/c.jpg")
    write(tmp_path / train, coco(["a.jpg", "b.jpg"], OBJECTS))
    other = [{"id": 1, "name": "bird"}, {"id": 2, "name": "dog"}]
    write(tmp_path / val, coco(["c.jpg"], [(1, 1, [0, 0, 5, 5]), (1, 2, [0, 0, 5, 5])], categories=other))
    write(tmp_path / "annotations" / "captions_train2017.json", {"images": []})
    write(tmp_path / "settings.json", {"theme": "dark"})
    dataset = open_dataset(f"coco:{tmp_path}")
    assert dataset.classes == ("dog", "cat", "bird")
    assert labels_of(dataset, "train") == {"train/a.jpg": {"dog", "cat"}, "train/b.jpg": {"cat"}}
    assert labels_of(dataset) == {"valid/c.jpg": {"bird", "dog"}}
    assert boxes_of(dataset, "valid/c.jpg") == [("bird", (0, 0, 5, 5)), ("dog", (0, 0, 5, 5))]


def opened_coco(tmp_path: Path, content: object) -> Dataset:
    photos(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    return open_dataset(f"coco:{write(tmp_path / 'all.json', content)}")


@pytest.mark.parametrize(
    ("bbox", "box"),
    [
        ([3, 4, 10, 20], (3, 4, 13, 24)),
        (["3", "4", "10", "20"], (3, 4, 13, 24)),
        ([13, 24, -10, -20], (3, 4, 13, 24)),  # inside out
        ([-5, -5, 10, 10], (0, 0, 5, 5)),
        ([50, 30, 1e300, 1e300], (50, 30, 60, 40)),
        ([3, 4, float("inf"), 20], None),
        ([3, 4, float("nan"), 20], None),
        ([100, 100, 5, 5], None),
        ([], None),
        (None, None),
        ([1, 2, 3], None),
        ("box", None),
    ],
)
def test_boxes_as_they_are(tmp_path, bbox, box):
    dataset = opened_coco(tmp_path, coco(["a.jpg", "b.jpg"], [(1, 1, bbox), (2, 5, [1, 1, 2, 2])]))
    assert labels_of(dataset) == {"a.jpg": {"dog"}, "b.jpg": {"cat"}}
    assert boxes_of(dataset, "a.jpg") == ([] if box is None else [("dog", box)])
    assert any("1 object without" in note or "1 box outside" in note for note in dataset.notes) == (
        box is None
    )


@pytest.mark.parametrize(
    ("crowd", "boxes"), [(0, 1), ("0", 1), (False, 1), (None, 1), ("false", 1), (1, 0), ("1", 0), (True, 0)]
)
def test_crowds_as_numbers_and_words(tmp_path, crowd, boxes):
    content = coco(["a.jpg"], [(1, 1, [3, 4, 10, 20])])
    content["annotations"][0]["iscrowd"] = crowd
    dataset = opened_coco(tmp_path, content)
    assert labels_of(dataset) == {"a.jpg": {"dog"}} and len(boxes_of(dataset, "a.jpg")) == boxes


def test_ids_as_numbers_and_text(tmp_path):
    content = coco(["a.jpg", "b.jpg"], OBJECTS)
    content["annotations"][0] |= {"image_id": "1", "category_id": 1.0}
    content["annotations"][2] |= {"image_id": " 2 "}
    content["images"][1]["id"] = "2"
    content["images"] += [{"id": "x1", "file_name": "c.jpg"}]
    content["annotations"] += [{"image_id": "x1", "category_id": "5"}]
    assert labels_of(opened_coco(tmp_path, content)) == {
        "a.jpg": {"dog", "cat"},
        "b.jpg": {"cat"},
        "c.jpg": {"cat"},
    }


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_coco_files_of_windows_editors(tmp_path, encoding):
    photos(tmp_path, "a.jpg", "b.jpg")
    text = json.dumps(coco(["a.jpg", "b.jpg"], OBJECTS)).replace("\n", "\r\n")
    (tmp_path / "all.json").write_bytes(text.encode(encoding))
    assert labels_of(open_dataset(f"coco:{tmp_path}")) == {"a.jpg": {"dog", "cat"}, "b.jpg": {"cat"}}


def test_what_a_coco_file_has_too_much_is_said(tmp_path):
    content = coco(["a.jpg", "b.jpg"], [*OBJECTS, (77, 1, [0, 0, 5, 5])])
    content["categories"] += [
        {"id": 0, "name": "animals"},
        {"id": 9, "name": "unused"},
        {"id": 10, "name": "dog"},
    ]
    content["images"] += [{"id": 9, "file_name": "a.jpg"}]
    content["annotations"] += [{"image_id": 9, "category_id": 10, "bbox": [1, 1, 2, 2]}]
    dataset = opened_coco(tmp_path, content)
    assert dataset.classes == ("dog", "cat", "unused")  # the root that Roboflow adds is no class
    assert labels_of(dataset) == {"a.jpg": {"dog", "cat"}, "b.jpg": {"cat"}}
    notes = " ".join(dataset.notes)
    assert "1 annotation of images that it does not list (ids 77)" in notes
    assert (
        "several categories of one name" in notes
        and "lists 1 image under more than one id ('a.jpg')" in notes
    )


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ([{"image_id": 1}], "it is a list, as a file of results is"),
        (5, "no object with images and annotations"),
        ({"images": 5}, "its images are no list"),
        (coco(["a.jpg"], []) | {"categories": []}, "has no categories"),
        (coco(["a.jpg"], OBJECTS[:1], categories=[]), r"1 annotation use category ids .* \(1\)"),
        (coco(["a.jpg"], OBJECTS[:1], categories=[{"id": 1}]), "the category 1 has no name"),
        (
            coco(["a.jpg"], [], categories=[{"id": 1, "name": "dog"}, {"id": 1, "name": "cat"}]),
            "the category id 1 stands for 'dog' and for 'cat'",
        ),
        (
            coco([], [], images=[{"id": 1, "file_name": "a.jpg"}, {"id": 1, "file_name": "b.jpg"}]),
            "the image id 1 stands for 'a.jpg' and for 'b.jpg'",
        ),
        (coco([], [], images=[{"id": 1}]), "the image 1 has no file_name"),
        (coco([], [], images=[{"file_name": "a.jpg"}]), "the id of an image is None"),
    ],
)
def test_a_coco_file_that_cannot_be_right_is_one_sentence(tmp_path, content, sentence):
    with pytest.raises(UserError, match=sentence) as error:
        opened_coco(tmp_path, content)
    assert "all.json" in str(error.value)


@pytest.mark.parametrize("content", ["", "{", "[" * 100_000, '{"images": [' * 5, "\x00\x01"])
def test_damaged_coco_files(tmp_path, content):
    photos(tmp_path, "a.jpg")
    (tmp_path / "all.json").write_text(content)
    with pytest.raises(UserError, match="all.json are damaged or no instances file of COCO"):
        open_dataset(f"coco:{tmp_path / 'all.json'}")


# ------------------------------------------------------------------------------------------------- VOC


def xml(*objects: tuple[str, str], head: str = "", box: str = "") -> str:
    box = box or "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>"
    body = "".join(
        f"<object><name>{name}</name><difficult>{difficult}</difficult>{box}</object>"
        for name, difficult in objects
    )
    return f"{head}<annotation>{body}</annotation>"


def voc(
    root: Path, annotations: dict[str, str | bytes], suffix: str = ".jpg", **lists: str | bytes
) -> Dataset:
    for name, content in annotations.items():
        photos(root, f"JPEGImages/{name}{suffix}")
        path = root / "Annotations" / f"{name}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    for name, content in lists.items():
        path = root / "ImageSets" / "Main" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return open_dataset(f"voc:{root}")


TWO = {"a1": xml(("cat", "0"), ("dog", "1")), "a2": xml(("dog", "0"))}


@pytest.mark.parametrize(
    "train",
    [
        "a1\n", "a1\r\n", "\ufeffa1\n", "a1\n".encode("utf-16"), "a1.jpg\n", "a1 1\n", "a1  -1\n", " a1 \n\n",
        "JPEGImages/a1.jpg\n", "VOC2012\\JPEGImages\\a1.jpg\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize("suffix", [".jpg", ".JPG", ".png"])
def test_voc_lists_as_people_write_them(tmp_path, train, suffix):
    dataset = voc(tmp_path, TWO, suffix, train=train, val="a2\n")
    assert dataset.classes == ("cat", "dog")
    assert labels_of(dataset, "train") == {"a1": {"cat"}} and labels_of(dataset) == {"a2": {"dog"}}
    assert boxes_of(dataset, "a2") == [("dog", (0, 1, 30, 40))]


def test_voc_without_lists_and_in_a_folder_of_its_own(tmp_path):
    photos(tmp_path, "elsewhere.jpg")
    voc(tmp_path / "VOCdevkit" / "VOC2030", TWO)
    dataset = open_dataset(f"voc:{tmp_path}")
    assert labels_of(dataset) == labels_of(dataset, "train") == {"a1": {"cat"}, "a2": {"dog"}}
    assert any("one split only" in note for note in dataset.notes)


def test_voc_names_with_blanks(tmp_path):
    dataset = voc(tmp_path, {"my cat": TWO["a1"], "my dog": TWO["a2"]}, train="my cat\n", val="my dog 1\n")
    assert labels_of(dataset, "train") == {"my cat": {"cat"}} and labels_of(dataset) == {"my dog": {"dog"}}


def test_voc_with_a_list_of_classes(tmp_path):
    (tmp_path / "labels.txt").write_text("dog\ncat\nbird\n")
    assert voc(tmp_path, TWO).classes == ("dog", "cat", "bird")


def test_voc_beside_the_images(tmp_path):
    photos(tmp_path, "train/a.jpg", "train/without.jpg", "valid/b.png")
    (tmp_path / "train" / "a.xml").write_text(xml(("cat", "0")))
    (tmp_path / "valid" / "b.xml").write_text(xml(("dog", "0")))
    dataset = open_dataset(f"voc:{tmp_path}")
    assert labels_of(dataset, "train") == {"train/a.jpg": {"cat"}} and labels_of(dataset) == {
        "valid/b.png": {"dog"}
    }


OUTLINE = "<polygon><x1>5</x1><y1>6</y1><x2>20</x2><y2>9</y2><x3>7</x3><y3>30</y3></polygon>"
POINTS = "<polygon><pt><x>5</x><y>6</y></pt><pt><x>20</x><y>30</y></pt></polygon>"


def box_of(*sides: object) -> str:
    names = ("xmin", "ymin", "xmax", "ymax")
    return f"<bndbox>{''.join(f'<{n}>{s}</{n}>' for n, s in zip(names, sides, strict=True))}</bndbox>"


@pytest.mark.parametrize(
    ("content", "box"),
    [
        (xml(("cat", "0")), (0, 1, 30, 40)),
        (xml(("\n\t\tcat\n\t", " 0 ")), (0, 1, 30, 40)),
        (xml(("Cat", "0"), ("cat", "true"), ("cat", "True"), ("cat", "1")), (0, 1, 30, 40)),
        ("\ufeff" + xml(("cat", "0")), (0, 1, 30, 40)),
        (xml(("cat", "0"), head='<?xml version="1.0" encoding="ANSI"?>'), (0, 1, 30, 40)),
        (xml(("cat", "0"), head='<?xml version="1.0" encoding="gb2312"?>'), (0, 1, 30, 40)),
        (xml(("cat", "0"), head="<!-- caf\xe9 -->").encode("latin-1"), (0, 1, 30, 40)),
        (xml(("cat", "0"), head='<?xml version="1.0" encoding="utf-16"?>').encode("utf-16"), (0, 1, 30, 40)),
        (xml(("cat", "0")).replace("<annotation>", '<annotation xmlns="http://x.org/voc">'), (0, 1, 30, 40)),
        (xml(("cat", "0")).replace("object>", "Object>").replace("name>", "Name>"), (0, 1, 30, 40)),
        (xml(("cat", "0"), box=box_of(0, 0, 10, 10)), (0, 0, 10, 10)),
        (xml(("cat", "0"), box=box_of(30, 40, 1, 2)), (0, 1, 30, 40)),
        (xml(("cat", "0"), box=box_of("1.6", "2.2", "30.0", "40")), (0, 1, 30, 40)),
        (xml(("cat", "0"), box=box_of("inf", 2, 30, 40)), None),
        (xml(("cat", "0"), box=box_of("nan", 2, 30, 40)), None),
        (xml(("cat", "0"), box=box_of("", 2, 30, 40)), None),
        (xml(("cat", "0"), box=OUTLINE), (4, 5, 20, 30)),
        (xml(("cat", "0"), box=POINTS), (4, 5, 20, 30)),
        (xml(("cat", "0"), box="<other/>"), None),
    ],
)
def test_voc_annotations_of_many_tools(tmp_path, content, box):
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    dataset = voc(tmp_path, {"a1": content})
    assert labels_of(dataset) == {"a1": {"cat"}}
    assert boxes_of(dataset, "a1") == ([] if box is None else [("cat", box)])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "a1.xml is damaged"),
        ("<annotation>", "a1.xml is damaged"),
        ("<html><body/></html>", "no annotation in VOC's form: it begins with <html>"),
        (xml(("", "0")), "an object without a name"),
        (xml(("wolf", "0")), "names a class that this data set does not have: 'wolf'"),
    ],
)
def test_voc_annotations_that_cannot_be_read_are_named(tmp_path, content, sentence):
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    with pytest.raises(UserError, match=sentence):
        voc(tmp_path, {"a1": content}).ground_truth("train")


def test_no_voc(tmp_path):
    with pytest.raises(UserError, match="neither a folder Annotations nor XML files"):
        open_dataset(f"voc:{tmp_path}")
    (tmp_path / "Annotations" / "a.xml").mkdir(parents=True)
    with pytest.raises(UserError, match="a.xml is a folder"):
        open_dataset(f"voc:{tmp_path}")


# ------------------------------------------------------------------------------------------------ YOLO


def yolo(root: Path, settings: str | None, images: dict[str, str]) -> Dataset:
    for name, labels in images.items():
        photos(root, name)
        path = root / Path(name.replace("images/", "labels/")).with_suffix(".txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(labels)
    if settings is not None:
        (root / "data.yaml").write_text(settings)
    return open_dataset(f"yolo:{root}")


TREE = {
    "images/train/a.jpg": "0 0.5 0.5 0.5 0.5\n1 0.1 0.1 0.1 0.1\n",
    "images/val/b.jpg": "1 0.25 0.25 0.5 0.5\n",
}


@pytest.mark.parametrize(
    "settings",
    [
        "names: [dog, cat]\ntrain: images/train\nval: images/val\n",
        "names:\n  0: dog\n  1: cat\ntrain: ../images/train\nval: ../images/val\nnc: 2\n",
        "names: {0: dog, 1: cat}\npath: .\ntrain: [images/train]\nval: images/val\n",
        "names: ['dog', 'cat']\n",
        "\ufeffnames: [dog, cat]\ntrain: ./images/train/\ntest: ./images/val/\n",
    ],
)
def test_yolo_settings(tmp_path, settings):
    dataset = yolo(tmp_path, settings, TREE)
    assert dataset.classes == ("dog", "cat")
    assert labels_of(dataset, "train") == {"images/train/a.jpg": {"dog", "cat"}}
    assert labels_of(dataset) == {"images/val/b.jpg": {"cat"}}
    assert boxes_of(dataset, "images/train/a.jpg", "train") == [
        ("dog", (15, 10, 45, 30)),
        ("cat", (3, 2, 9, 6)),
    ]
    assert labels_of(open_dataset(f"yolo:{tmp_path / 'data.yaml'}")) == {"images/val/b.jpg": {"cat"}}


def test_yolo_of_roboflow_and_labels_beside_the_images(tmp_path):
    images = {
        "train/images/a.jpg": "0 0.5 0.5 0.5 0.5\n",
        "valid/images/b.jpg": "",
        "valid/images/c.jpg": "1 .5 .5 1 1",
    }
    dataset = yolo(
        tmp_path / "one", "names: [dog, cat]\ntrain: ../train/images\nval: ../valid/images\n", images
    )
    assert labels_of(dataset) == {"valid/images/b.jpg": set(), "valid/images/c.jpg": {"cat"}}
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "classes.txt").write_text("dog\ncat\n")
    dataset = yolo(tmp_path / "two", None, {"a.jpg": "0 0.5 0.5 0.5 0.5\n", "b.jpg": ""})
    assert labels_of(dataset) == labels_of(dataset, "train") == {"a.jpg": {"dog"}, "b.jpg": set()}


def test_yolo_lists_of_images_and_outlines(tmp_path):
    (tmp_path / "train.txt").write_text("./images/train/a.jpg\n")
    outline = {
        "images/train/a.jpg": "1 0.1 0.1 0.5 0.1 0.5 0.9\n",
        "images/val/b.jpg": "0 0.5 0.5 1 1 0.97\n",
    }
    dataset = yolo(tmp_path, "names: [dog, cat]\ntrain: train.txt\nval: images/val\n", outline)
    assert boxes_of(dataset, "images/train/a.jpg", "train") == [("cat", (6, 4, 30, 36))]
    assert boxes_of(dataset, "images/val/b.jpg") == [("dog", (0, 0, 60, 40))]


@pytest.mark.parametrize(
    ("settings", "labels", "sentence"),
    [
        ("names: [dog, cat]\n", "2 0.5 0.5 0.5 0.5", r"a.txt, line 1: the class number 2 is none of 0 to 1"),
        (
            "names: [dog, cat]\n",
            "\ndog 0.5 0.5 0.5 0.5",
            "a.txt, line 2: 'dog 0.5 0.5 0.5 0.5' is no class number",
        ),
        ("names: [dog, cat]\n", "0 0.5 0.5", "line 1: '0 0.5 0.5' is no class number with a box"),
        ("names: [dog, cat]\n", "0 nan 0.5 1 1", "is no class number with a box"),
        ("names: [dog, dog]\n", "", "no list of different class names"),
        ("names: &a [dog, *a]\n", "", "data.yaml is not YAML"),
        ("[1, 2]\n", "", "holds no settings of YOLO"),
        ("names: [dog, cat]\ntrain: nowhere\n", "", "names 'nowhere', which is not in"),
        (None, "", "has no classes: neither data.yaml with names"),
    ],
)
def test_a_yolo_data_set_that_is_not_right(tmp_path, settings, labels, sentence):
    with pytest.raises(UserError, match=sentence):
        yolo(tmp_path, settings, {"images/train/a.jpg": labels}).ground_truth("train")


# ------------------------------------------------------------------------------------------ csv, folders


def test_a_table_of_files_anywhere(tmp_path):
    photos(tmp_path, "here/a.jpg", "there/b.jpg", "there/sub/c.jpg")
    path = tmp_path / "here" / "table.csv"
    path.write_text(
        f"path,labels,split\na.jpg,dog;cat,train\n../there/b.jpg,dog,val\n{tmp_path}/there/sub/c.jpg,bird,val\n"
        "gone.jpg,dog,val\n"
    )
    dataset = open_dataset(f"csv:{path}")
    assert dataset.classes == ("bird", "cat", "dog")
    assert labels_of(dataset, "train") == {"a.jpg": {"dog", "cat"}}
    assert labels_of(dataset) == {f"{tmp_path}/there/b.jpg": {"dog"}, f"{tmp_path}/there/sub/c.jpg": {"bird"}}
    notes = " ".join(dataset.notes)
    assert "Taken for a table of images: 3 images" in notes and "1 row for images that are not there" in notes
    (tmp_path / "names.txt").write_text("dog\ncat\nbird\nfish\n")
    assert open_dataset(f"csv:{path}", tmp_path / "names.txt").classes == ("dog", "cat", "bird", "fish")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_with_a_column_for_each_class(tmp_path, delimiter):
    photos(tmp_path, "a.jpg", "b.jpg")
    table = "image,dog,cat,width\na.jpg,1,0,640\nb.jpg,0,1,480\n"
    (tmp_path / "t.csv").write_text(table.replace(",", delimiter))
    assert labels_of(open_dataset(f"csv:{tmp_path / 't.csv'}")) == {"a.jpg": {"dog"}, "b.jpg": {"cat"}}


def test_a_table_that_is_not_right(tmp_path):
    with pytest.raises(UserError, match="There is no table"):
        open_dataset(f"csv:{tmp_path / 't.csv'}")
    photos(tmp_path, "a.jpg")
    (tmp_path / "t.csv").write_text("file,width\na.jpg,640\n")
    with pytest.raises(UserError, match="names no classes"):
        open_dataset(f"csv:{tmp_path / 't.csv'}")
    (tmp_path / "t.csv").write_text("file,labels\nz.jpg,dog\n")
    with pytest.raises(UserError, match="none of its 1 row names an image"):
        open_dataset(f"csv:{tmp_path / 't.csv'}")


def test_folders_of_classes(tmp_path):
    photos(tmp_path, "dog/a.jpg", "cat/b.jpg", "cat/deep/c.jpg", "loose.jpg")
    (tmp_path / "dog" / "b.jpg").symlink_to("../cat/b.jpg")
    dataset = open_dataset(f"imagefolder:{tmp_path}")
    assert dataset.classes == ("cat", "dog")
    assert labels_of(dataset) == {
        "cat/b.jpg": {"cat", "dog"},
        "cat/deep/c.jpg": {"cat"},
        "dog/a.jpg": {"dog"},
    }
    assert any("1 image in no folder of a class ('loose.jpg')" in note for note in dataset.notes)
    assert dataset.left_out == {"loose.jpg": "its folder is no folder of a class"}


def test_folders_of_classes_in_splits(tmp_path):
    photos(tmp_path, "train/dog/a.jpg", "train/cat/b.jpg", "Val/dog/c.jpg", "test/dog/d.jpg")
    dataset = open_dataset(f"imagefolder:{tmp_path}")
    assert labels_of(dataset, "train") == {"train/cat/b.jpg": {"cat"}, "train/dog/a.jpg": {"dog"}}
    assert labels_of(dataset) == {"Val/dog/c.jpg": {"dog"}}
    with pytest.raises(UserError, match="no folders with images"):
        open_dataset(f"imagefolder:{tmp_path / 'train' / 'dog'}")


def test_data_check_explains_what_it_took_a_data_set_for(tmp_path):
    photos(tmp_path, "dog/a.jpg", "cat/b.jpg")
    report = examine_dataset(f"imagefolder:{tmp_path}", decode=True)
    assert report.ok and report.splits["val"].class_counts == {"cat": 1, "dog": 1}
    assert "Taken for folders of classes: 2 images of train" in report.notes[0]


@pytest.mark.parametrize("kind", ["coco", "voc", "yolo", "csv", "imagefolder", "folder"])
def test_a_place_that_is_not_there(tmp_path, kind):
    with pytest.raises(UserError, match="There is no"):
        open_dataset(f"{kind}:{tmp_path / 'nowhere'}")
    with pytest.raises(UserError, match=f"does not say where its files are; write {kind}:"):
        open_dataset(f"{kind}:")
