"""Exported labels are opened again by the tools that they are for, and say what the run says."""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from ccd_core.data import open_dataset
from ccd_core.data.listing.names import as_text
from ccd_core.export import export_run


def labels_of(spec: str) -> dict[str, set[str]]:
    """Stem of an image -> its classes, as the project's own data sets read them."""
    dataset = open_dataset(spec)
    found: dict[str, set[str]] = {}
    for split in dataset.splits:
        truth = dataset.ground_truth(split)
        for name, row in zip(truth.ids, truth.targets, strict=True):
            found[Path(name).stem] = {dataset.classes[i] for i in np.flatnonzero(row)}
    return found


@pytest.fixture
def sets(expected) -> dict[str, set[str]]:
    assert any(expected.values()) and not all(expected.values())  # some images have labels, others have none
    return {name: set(labels) for name, labels in expected.items()}


def test_pycocotools_reads_coco(exported, expected, tiny_run):
    from pycocotools.coco import COCO

    file = exported("coco") / "annotations.json"
    api = COCO(str(file))
    assert {entry["name"] for entry in api.loadCats(api.getCatIds())} == set(tiny_run.classes)
    names = {entry["id"]: entry["name"] for entry in api.loadCats(api.getCatIds())}
    assert len(api.getImgIds()) == len(expected)
    for image in api.loadImgs(api.getImgIds()):
        annotations = api.loadAnns(api.getAnnIds(imgIds=image["id"]))
        assert [names[one["category_id"]] for one in annotations] == expected[Path(image["file_name"]).stem]
        for one in annotations:
            x, y, width, height = one["bbox"]
            assert min(x, y) >= 0 and min(width, height) > 0 and 0 < one["score"] <= 1
            assert x + width <= image["width"] + 0.02 and y + height <= image["height"] + 0.02


def test_our_own_data_sets_read_every_layout(exported, sets, tiny_scenes):
    coco = f"coco:{exported('coco') / 'annotations.json'},{tiny_scenes / 'JPEGImages'}"
    for spec in (
        coco,
        f"voc:{exported('voc')}",
        f"yolo:{exported('yolo')}",
        f"csv:{exported('csv') / 'labels.csv'}",
    ):
        assert labels_of(spec) == sets, spec


def test_torchvision_reads_voc(exported, expected, tmp_path, tiny_scenes):
    from torchvision.datasets import VOCDetection

    (tmp_path / "VOCdevkit").mkdir()
    (tmp_path / "VOCdevkit" / "VOC2012").symlink_to(exported("voc"))
    read = {}
    for split in ("train", "val"):
        for image, target in VOCDetection(str(tmp_path), year="2012", image_set=split, download=False):
            annotation = target["annotation"]
            objects = annotation.get("object", [])
            read[Path(annotation["filename"]).stem] = [one["name"] for one in objects]
            assert image.size == (int(annotation["size"]["width"]), int(annotation["size"]["height"]))
            for one in objects:
                box = {side: int(value) for side, value in one["bndbox"].items()}
                assert 1 <= box["xmin"] <= box["xmax"] <= image.size[0]
                assert 1 <= box["ymin"] <= box["ymax"] <= image.size[1]
    assert read == expected


def test_boxes_are_those_that_predict_shows(exported, tiny_run, tiny_scenes):
    from ccd_core.predict.predictor import Predictor

    content = json.loads((exported("coco") / "annotations.json").read_text())
    image = {one["id"]: one for one in content["images"]}[content["annotations"][0]["image_id"]]
    mine = [one for one in content["annotations"] if one["image_id"] == image["id"]]
    classes = [one["category_id"] - 1 for one in mine]
    path = tiny_scenes / "JPEGImages" / image["file_name"]
    boxes = Predictor(tiny_run, "cpu").attend(path, classes, clip=False)["boxes"]
    for annotation, box in zip(mine, boxes, strict=True):
        x0, y0, x1, y1 = np.array(box) * np.tile([image["width"], image["height"]], 2)
        assert annotation["bbox"] == pytest.approx([x0, y0, x1 - x0, y1 - y0], abs=0.02)


def test_yolo_has_an_empty_file_for_an_image_without_labels(exported, expected):
    folder = exported("yolo")
    for split in ("train", "val"):
        images = {path.stem for path in (folder / "images" / split).iterdir()}
        assert images == {path.stem for path in (folder / "labels" / split).iterdir()}
    nothing = next(name for name, labels in expected.items() if not labels)
    (file,) = folder.glob(f"labels/*/{nothing}.txt")
    assert file.read_text() == ""


def test_tables_have_every_image_and_every_box(exported, expected):
    rows = list(csv.DictReader((exported("csv") / "labels.csv").open()))
    assert {Path(row["file"]).stem: row["labels"] for row in rows} == {
        name: ";".join(labels) for name, labels in expected.items()
    }
    found = defaultdict(list)
    for row in csv.DictReader((exported("csv") / "boxes.csv").open()):
        found[Path(row["file"]).stem] += [row["label"]] if row["label"] else []
        assert int(row["width"]) > 0 and (not row["label"] or float(row["x1"]) > float(row["x0"]))
    assert dict(found) == expected


def test_fiftyones_form_is_as_documented(exported, expected):
    """FiftyOne's own importer was tried by hand, see docs/export.md: it is too large for the tests."""
    folder = exported("fiftyone")
    places = json.loads((folder / "data.json").read_text())
    content = json.loads((folder / "labels.json").read_text())
    read = {Path(places[key]).stem: found for key, found in content["labels"].items()}
    assert {name: [one["label"] for one in found] for name, found in read.items()} == expected
    for one in (one for found in read.values() for one in found):
        x, y, width, height = one["bounding_box"]
        assert 0 <= x <= x + width <= 1.00001 and 0 <= y <= y + height <= 1.00001
    assert all(Path(path).is_file() for path in places.values())
    compile((folder / "import_fiftyone.py").read_text(), "import_fiftyone.py", "exec")


def test_label_studio_tasks_fit_their_interface(exported, expected, tiny_run):
    """By label-studio-sdk where it is installed, and field by field everywhere."""
    folder = exported("label-studio")
    config = (folder / "config.xml").read_text()
    tags = ElementTree.fromstring(config)
    assert [tag.get("value") for tag in tags.iter("Label")] == list(tiny_run.classes)
    tasks = json.loads((folder / "tasks.json").read_text())
    read = {}
    for task in tasks:
        assert task["data"]["image"].startswith("/data/local-files/?d=")
        (prediction,) = task["predictions"]
        kinds = defaultdict(list)
        for one in prediction["result"]:
            assert tags.find(f".//*[@name='{one['from_name']}']").tag.lower() == one["type"]
            kinds[one["type"]] += one["value"][one["type"]]
        assert kinds["choices"] == kinds["rectanglelabels"]
        read[task["data"]["image_id"]] = kinds["choices"]
    assert read == expected
    try:
        from label_studio_sdk.label_interface import LabelInterface
    except ImportError:
        return
    interface = LabelInterface(config)
    interface.validate()
    for task in tasks:
        assert not interface.validate_prediction(task["predictions"][0], return_errors=True)


def test_cvat_has_images_in_order_with_boxes(exported, expected, tiny_run):
    """The reader of datumaro, by CVAT's authors, was tried by hand, see docs/export.md."""
    root = ElementTree.parse(exported("cvat") / "annotations.xml").getroot()
    assert root.findtext("version") == "1.1"
    assert [label.findtext("name") for label in root.iter("label") if len(label)] == list(tiny_run.classes)
    images = root.findall("image")
    assert [image.get("id") for image in images] == [str(number) for number in range(len(expected))]
    read = {Path(image.get("name")).stem: [box.get("label") for box in image] for image in images}
    assert read == expected
    for box in root.iter("box"):
        assert float(box.get("xtl")) < float(box.get("xbr")) and float(box.get("ytl")) < float(box.get("ybr"))
    labels = json.loads((exported("cvat") / "labels.json").read_text())
    assert [label["name"] for label in labels] == list(tiny_run.classes)


# -- what is exported ------------------------------------------------------------------------------------


def test_pseudo_labels_and_splits_can_be_exported(tiny_run, tmp_path):
    out = export_run(tiny_run, "csv", tmp_path / "out", labels="final", boxes=False)
    rows = list(csv.DictReader((out / "labels.csv").open()))
    labels = tiny_run.load_labels()
    assert len(rows) == len(labels["ids"]) and {row["split"] for row in rows} == {"train"}
    for row, final in zip(rows, labels["final"], strict=True):
        wanted = {tiny_run.classes[i] for i in np.flatnonzero(final >= 0.5)}
        assert set(filter(None, row["labels"].split(";"))) == wanted
    assert not (out / "boxes.csv").exists()
    out = export_run(tiny_run, "csv", tmp_path / "val", split="val", boxes=False)
    assert {row["split"] for row in csv.DictReader((out / "labels.csv").open())} == {"val"}


@pytest.mark.parametrize("to", ["coco", "voc", "fiftyone", "label-studio", "cvat"])
def test_labels_without_boxes(to, tiny_run, tmp_path, expected):
    out = export_run(tiny_run, to, tmp_path / to, boxes=False, images="none")
    text = "".join(path.read_text() for path in out.rglob("*") if path.suffix in (".json", ".xml"))
    assert not any(word in text for word in ("bbox", "bndbox", "bounding_box", "RectangleLabels", "<box"))
    assert json.loads((out / "export.json").read_text())["images"] == len(expected)


def test_yolo_without_boxes_is_one_sentence(tiny_run, tmp_path):
    from ccd_core.errors import UserError

    with pytest.raises(UserError, match="made of boxes"):
        export_run(tiny_run, "yolo", tmp_path / "out", boxes=False)


def test_images_that_cannot_be_read_any_more_are_named(tiny_run, tiny_scenes, tmp_path):
    """The others are exported, from the place that --dataset names."""
    import shutil

    moved = tmp_path / "moved"
    shutil.copytree(tiny_scenes, moved)
    names = [str(name) for name in tiny_run.load_scores("val")["ids"][:2]]
    (moved / "JPEGImages" / f"{names[0]}.jpg").write_bytes(b"no picture")
    (moved / "JPEGImages" / f"{names[1]}.jpg").unlink()
    out = export_run(tiny_run, "coco", tmp_path / "out", dataset=f"demo:{moved}")
    record = json.loads((out / "export.json").read_text())
    assert set(record["left_out"]) == set(names) and record["images"] == 56 - 2
    content = json.loads((out / "annotations.json").read_text())
    assert content["info"]["images_below"] == str(moved / "JPEGImages")


def test_a_data_set_that_has_moved_is_one_sentence(copied_run, tmp_path):
    from ccd_core.errors import UserError

    run = copied_run()
    text = run.file("config.yaml").read_text()
    spec = run.config.data.spec
    run.file("config.yaml").write_text(text.replace(spec, f"voc:{tmp_path / 'gone'}"))
    moved = type(run).open(run.path)
    with pytest.raises(UserError, match="say where it is with --dataset"):
        export_run(moved, "coco", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_odd_names_stay_what_they_are(tiny_run, tiny_scenes, tmp_path):
    """Classes and images with marks of XML, JSON, YAML and Markdown, and an image whose name is not UTF-8."""
    import os
    import shutil

    from ccd_core.config import CCDConfig
    from ccd_core.files import write_arrays
    from ccd_core.runs.run import Run

    photos = tmp_path / "photos"
    (photos / "a & <b>").mkdir(parents=True)
    names = ['a & <b>/it\'s "1".jpg', "a & <b>/ü, ;.jpg", "caf\udce9.jpg", "a - b.jpg", "a_-_b.jpg"]
    source = min((tiny_scenes / "JPEGImages").glob("val*.jpg"))
    for name in names:
        shutil.copy(source, os.path.join(photos, name))
    classes = ("<b>&amp;", 'quote "1": {x}', "- 3", "naïve ☃")
    (photos / "classes.txt").write_text("".join(f"{name}\n" for name in classes), encoding="utf-8")
    run = Run.create(tmp_path / "run", CCDConfig.preset("demo", f"folder:{photos}"), classes)
    scores = np.eye(5, 4, dtype=np.float32)  # the last image has no label
    run.file("scores").mkdir()
    ids = np.array([as_text(name) for name in names])
    write_arrays(run.file("scores", "train.npz"), ids=ids, scores=scores)
    wanted = [{classes[i]} if i < 4 else set() for i in range(5)]
    for to in ("coco", "voc", "csv", "fiftyone", "label-studio", "cvat"):
        export_run(run, to, tmp_path / to, boxes=False)
    dataset = open_dataset(f"coco:{tmp_path / 'coco' / 'annotations.json'},{photos}")
    truth = dataset.ground_truth("train")
    found = dict(zip(truth.ids, truth.targets, strict=True))
    assert [{dataset.classes[i] for i in np.flatnonzero(found[as_text(name)])} for name in names] == wanted
    listed = list(csv.DictReader((tmp_path / "voc" / "images.csv").open(encoding="utf-8")))
    assert len({row["exported_as"].lower() for row in listed}) == 5
    for row, labels in zip(listed, wanted, strict=True):
        stem = Path(row["exported_as"]).stem
        root = ElementTree.parse(tmp_path / "voc" / "Annotations" / f"{stem}.xml").getroot()
        assert {one.findtext("name") for one in root.iter("object")} == labels
        assert (tmp_path / "voc" / "JPEGImages" / row["exported_as"]).is_file()
    root = ElementTree.parse(tmp_path / "cvat" / "annotations.xml").getroot()
    assert [{tag.get("label") for tag in image} for image in root.findall("image")] == wanted
    tasks = json.loads((tmp_path / "label-studio" / "tasks.json").read_text(encoding="utf-8"))
    assert [task["data"]["image_id"] for task in tasks] == ids.tolist()
    assert "caf%E9.jpg" in tasks[2]["data"]["image"]
