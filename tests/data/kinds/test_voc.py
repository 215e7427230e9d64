"""PASCAL VOC in its official layout, with its oddities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ccd_core.data import open_dataset
from ccd_core.data.kinds import voc
from ccd_core.errors import UserError
from tests.make_datasets import (
    make_voc,
    photos,
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
            # VOC counts pixels from 1.
            assert [box for _, box in truth.boxes[row]] == [
                (x0 - 1, y0 - 1, x1, y1) for x0, y0, x1, y1 in corners
            ]
            assert {voc.CLASSES[c].replace(" ", "") for c, _ in truth.boxes[row]} == {
                one["name"] for one in objects
            }


def write_voc(root: Path, lists: dict[str, list[str]], objects: dict[str, list[tuple[str, int]]]) -> None:
    (root / "ImageSets" / "Main").mkdir(parents=True)
    (root / "Annotations").mkdir()
    for name, ids in lists.items():
        (root / "ImageSets" / "Main" / f"{name}.txt").write_text("\n".join(ids) + "\n")
    for image, entries in objects.items():
        photos(root, f"JPEGImages/{image}.jpg")
        body = "".join(
            f"<object><name>{name}</name><difficult>{difficult}</difficult>"
            "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox></object>"
            for name, difficult in entries
        )
        (root / "Annotations" / f"{image}.xml").write_text(f"<annotation>{body}</annotation>")


OBJECTS = {
    "000001": [("tvmonitor", 0), ("person", 1)],
    "000002": [("person", 0), ("person", 1)],
    "000003": [("diningtable", 1)],
}


@pytest.mark.parametrize("place", ["VOCdevkit/VOC2012", "VOC2012", "."])
def test_voc_2012(tmp_path, place):
    write_voc(tmp_path / place, {"train": ["000001", "000002"], "val": ["000003"]}, OBJECTS)
    dataset = open_dataset(f"voc2012:{tmp_path}")
    train, val = dataset.ground_truth("train"), dataset.ground_truth("val")
    assert len(dataset.classes) == 20 and dataset.classes[10] == "dining table"
    # The difficult person does not count.
    assert [dataset.classes[i] for i in np.flatnonzero(train.targets[0])] == ["tv monitor"]
    assert [dataset.classes[i] for i in np.flatnonzero(train.targets[1])] == ["person"]
    assert val.targets.sum() == 0 and train.boxes[0] == ((19, (0, 1, 30, 40)),)


def test_voc_2007_without_the_test_archive(tmp_path):
    write_voc(tmp_path / "VOCdevkit" / "VOC2007", {"trainval": ["000001"]}, {"000001": OBJECTS["000001"]})
    dataset = open_dataset(f"voc2007:{tmp_path}")
    assert set(dataset.splits) == {"train"}


def test_ground_truth_is_read_only_when_asked_for(tmp_path):
    write_voc(tmp_path, {"train": ["000001"], "val": ["000002"]}, OBJECTS)
    (tmp_path / "Annotations" / "000001.xml").unlink()
    dataset = open_dataset(f"voc2012:{tmp_path}")
    with pytest.raises(UserError, match="000001.xml is missing"):
        dataset.ground_truth("train")
    assert dataset.ground_truth("val").targets.shape == (1, 20)
