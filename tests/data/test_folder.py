"""Data sets and images of real formats: folders, VOC's official layout, and files that cannot be used."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ccd_core.data import open_dataset
from ccd_core.data.images import image_size, read_image
from ccd_core.errors import ImageError, UserError

PICTURE = np.zeros((40, 60, 3), np.uint8)
PICTURE[:, :30] = (200, 30, 30)


def red_on_the_left(pixels: np.ndarray) -> bool:
    return pixels.shape == (40, 60, 3) and pixels[20, 5, 0] > 150 and pixels[20, 55, 0] < 90


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.bmp", "a.tiff", "a.gif"])
def test_formats(tmp_path, name):
    Image.fromarray(PICTURE).save(tmp_path / name)
    assert red_on_the_left(read_image(tmp_path / name))


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "LA", "RGBA", "I;16"])
def test_modes(tmp_path, mode):
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    image = Image.fromarray(PICTURE)
    if mode == "I;16":
        image = Image.fromarray((np.asarray(image.convert("L")).astype(np.uint16)) * 256)
    else:
        image = image.convert(mode)
    image.save(path)
    pixels = read_image(path)
    assert pixels.shape == (40, 60, 3) and pixels.dtype == np.uint8
    assert pixels[20, 5].mean() > pixels[20, 55].mean() + 20


def test_transparent_is_white(tmp_path):
    Image.fromarray(np.zeros((10, 10, 4), np.uint8)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").min() == 255


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_come_upright(tmp_path, orientation):
    turned = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]  # what undoes the viewer's turn
    image = Image.fromarray(PICTURE)
    exif = Image.Exif()
    exif[0x0112] = orientation
    (image if turned is None else image.transpose(Image.Transpose(turned))).save(
        tmp_path / "a.jpg", exif=exif, quality=95
    )
    assert red_on_the_left(read_image(tmp_path / "a.jpg"))
    assert image_size(tmp_path / "a.jpg") == (60, 40)


def broken_files(folder: Path) -> list[Path]:
    """Twelve files that look like images and cannot be used, all that is in `folder` then."""
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (80, 80, 3), np.uint8)).save(
        folder / "whole.png"
    )
    Image.open(folder / "whole.png").save(folder / "whole.jpg")
    Image.open(folder / "whole.png").save(folder / "whole.webp")
    Image.open(folder / "whole.png").save(folder / "whole.tiff")

    def cut(name: str, source: str, share: float = 0.5) -> None:
        content = (folder / source).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * share)])

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    cut("cut.jpg", "whole.jpg")
    cut("cut.png", "whole.png")
    cut("cut.webp", "whole.webp", 0.3)
    cut("cut.tiff", "whole.tiff", 0.4)
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("these are words")
    (folder / "page.webp").write_text("<html><body>404</body></html>")
    (folder / "x.png").mkdir()
    header = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )
    (folder / "bomb.png").write_bytes(bomb)
    (folder / "gone.jpg").symlink_to(folder / "nowhere.jpg")
    Image.new("L", (1, 1)).save(folder / "dot.png")
    os.mkfifo(folder / "pipe.jpeg")
    for name in ("whole.png", "whole.jpg", "whole.webp", "whole.tiff"):
        (folder / name).unlink()
    return sorted(folder.iterdir())


def test_each_broken_file_is_one_sentence_that_names_it(tmp_path):
    files = broken_files(tmp_path)
    assert len(files) == 12
    for path in files:
        with pytest.raises(ImageError) as error:
            read_image(path)
        assert path.name in str(error.value) and "\n" not in str(error.value)


def photos(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(PICTURE).save(folder / name)


def test_a_folder_in_any_nesting(tmp_path):
    photos(tmp_path, "b.jpg", "deep/er/a.PNG", ".hidden/c.jpg", ".d.jpg")
    (tmp_path / "classes.txt").write_text("\ufeffcat\n# a comment\n\nbig dog\n", encoding="utf-8")
    dataset = open_dataset(f"folder:{tmp_path}")
    assert dataset.classes == ("cat", "big dog") and dataset.splits["train"].ids == ("b.jpg", "deep/er/a.PNG")
    assert "val" not in dataset.splits and dataset.ground_truth("train") is None


@pytest.mark.parametrize(
    "table", ["file,labels\nb.jpg,cat;dog\n./deep/a.jpg,\n", "file,cat,dog\nb.jpg,1,1\ndeep\\a.jpg,0,\n"]
)
def test_labels_csv_scores(tmp_path, table):
    photos(tmp_path, "b.jpg", "deep/a.jpg", "c.jpg")
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    (tmp_path / "labels.csv").write_text(table)
    dataset = open_dataset(f"folder:{tmp_path}")
    assert len(dataset.splits["train"]) == 3 and dataset.splits["val"].ids == ("b.jpg", "deep/a.jpg")
    np.testing.assert_array_equal(dataset.ground_truth("val").rows(["b.jpg", "deep/a.jpg"]), [[1, 1], [0, 0]])


@pytest.mark.parametrize("table", ["file,labels\na.jpg,\nb.jpg,\n", "file,labels,split\na.jpg,,val\n"])
def test_labels_csv_without_a_single_label_is_no_ground_truth(tmp_path, table):
    photos(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "classes.txt").write_text("cat\n")
    (tmp_path / "labels.csv").write_text(table)
    dataset = open_dataset(f"folder:{tmp_path}")
    assert "val" in dataset.splits and not any(dataset.ground_truth(split) for split in dataset.splits)


def test_a_split_column_holds_images_out(tmp_path):
    photos(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "classes.txt").write_text("cat\n")
    (tmp_path / "labels.csv").write_text("file,labels,split\na.jpg,cat,val\nb.jpg,,train\n")
    dataset = open_dataset(f"folder:{tmp_path}")
    assert dataset.splits["train"].ids == ("b.jpg",) and dataset.splits["val"].ids == ("a.jpg",)


@pytest.mark.parametrize(
    ("classes", "labels", "sentence"),
    [
        (None, None, "no list of class names"),
        ("", None, "has no class names"),
        ("cat\ncat\n", None, "more than once"),
        ("cat\n", "file,labels\na.jpg,dgo\n", "line 2: 'dgo' is no class"),
        ("cat\n", "file,labels\nz.jpg,cat\n", "line 2: there is no image 'z.jpg'"),
        ("cat\n", "file,cat\na.jpg,7\n", "line 2: the value of cat must be 0 or 1"),
        ("cat\n", "file,dog\na.jpg,1\n", "column 'dog' is no class"),
    ],
)
def test_a_folder_that_is_not_right(tmp_path, classes, labels, sentence):
    photos(tmp_path, "a.jpg")
    if classes is not None:
        (tmp_path / "classes.txt").write_text(classes)
    if labels:
        (tmp_path / "labels.csv").write_text(labels)
    with pytest.raises(UserError, match=sentence):
        open_dataset(f"folder:{tmp_path}")


def voc(root: Path, lists: dict[str, list[str]], objects: dict[str, list[tuple[str, int]]]) -> None:
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
    voc(tmp_path / place, {"train": ["000001", "000002"], "val": ["000003"]}, OBJECTS)
    dataset = open_dataset(f"voc2012:{tmp_path}")
    train, val = dataset.ground_truth("train"), dataset.ground_truth("val")
    assert len(dataset.classes) == 20 and dataset.classes[10] == "dining table"
    assert [dataset.classes[i] for i in np.flatnonzero(train.targets[0])] == [
        "tv monitor"
    ]  # the difficult person does not count
    assert [dataset.classes[i] for i in np.flatnonzero(train.targets[1])] == ["person"]
    assert val.targets.sum() == 0 and train.boxes[0] == ((19, (0, 1, 30, 40)),)


def test_voc_2007_without_the_test_archive(tmp_path):
    voc(tmp_path / "VOCdevkit" / "VOC2007", {"trainval": ["000001"]}, {"000001": OBJECTS["000001"]})
    dataset = open_dataset(f"voc2007:{tmp_path}")
    assert set(dataset.splits) == {"train"}


def test_ground_truth_is_read_only_when_asked_for(tmp_path):
    voc(tmp_path, {"train": ["000001"], "val": ["000002"]}, OBJECTS)
    (tmp_path / "Annotations" / "000001.xml").unlink()
    dataset = open_dataset(f"voc2012:{tmp_path}")
    with pytest.raises(UserError, match="000001.xml is missing"):
        dataset.ground_truth("train")
    assert dataset.ground_truth("val").targets.shape == (1, 20)


def test_toy_scenes_are_read_where_they_are_and_drawn_at_home_alone(tiny_scenes, tmp_path):
    assert len(open_dataset(f"demo:{tiny_scenes}").splits["train"]) == 40
    with pytest.raises(UserError, match="no toy scenes in"):
        open_dataset(f"demo:{tmp_path / 'elsewhere'}")
    assert not list(tmp_path.iterdir())
