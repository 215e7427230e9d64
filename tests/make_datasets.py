"""Small data sets in exactly the official layouts, with what the real ones have and readers trip over."""

from __future__ import annotations

import json
import os
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from ccd_core.data.kinds import coco, nuswide, voc

WIDTH, HEIGHT = 60, 40


def picture(path: Path, seed: int = 0) -> Path:
    """A JPEG of 60x40 pixels, its colour told by `seed`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = np.random.default_rng(seed).integers(30, 225, 3, np.uint8)
    Image.fromarray(np.broadcast_to(colour, (HEIGHT, WIDTH, 3)).copy()).save(path)
    return path


def voc_objects(index: int) -> list[tuple[str, int]]:
    """(name, difficult) of the objects of image `index`. Image 3 has difficult objects only."""
    names = [name.replace(" ", "") for name in voc.CLASSES]
    if index == 3:
        return [(names[3], 1)]
    return [(names[index % 20], 0), (names[(index + 7) % 20], 0), (names[(index + 1) % 20], 1)]


def write_voc_annotation(path: Path, objects: list[tuple[str, int]]) -> None:
    body = "".join(
        f"<object><name>{name}</name><pose>Left</pose><truncated>0</truncated><difficult>{difficult}</difficult>"
        f"<bndbox><xmin>{1 + place}</xmin><ymin>2</ymin><xmax>{30 + place}</xmax><ymax>40</ymax></bndbox>"
        "<part><name>head</name><bndbox><xmin>5</xmin><ymin>5</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></part></object>"
        for place, (name, difficult) in enumerate(objects)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"<annotation><folder>VOC</folder><filename>{path.stem}.jpg</filename>{body}</annotation>"
    )


def make_voc(root: Path, year: int = 2012, n: int = 6, crlf: bool = False) -> Path:
    """`n` training and n // 2 validation images under root/VOCdevkit/VOC<year>; returns that folder."""
    base = root / "VOCdevkit" / f"VOC{year}"
    (base / "ImageSets" / "Main").mkdir(parents=True)
    for split, begin, count in (("train", 0, n), ("val", n, n // 2)):
        ids = [
            f"{2007 + index % 5}_{index:06d}" if year == 2012 else f"{index:06d}"
            for index in range(begin, begin + count)
        ]
        text = ("\r\n" if crlf else "\n").join([*ids, ""])
        (base / "ImageSets" / "Main" / f"{voc.LISTS[year][split]}.txt").write_bytes(text.encode())
        for index, name in enumerate(ids, begin):
            picture(base / "JPEGImages" / f"{name}.jpg", index)
            write_voc_annotation(base / "Annotations" / f"{name}.xml", voc_objects(index))
    return base


def coco_category_ids() -> list[int]:
    """The numbers of COCO's 80 categories: 1 to 90 with ten left out."""
    return [number for number in range(1, 91) if number not in (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)]


def coco_annotations(split: str, n: int) -> dict:
    """An instances file of `n` images: two objects of one class, only a crowd, ..., none in the last."""
    numbers, categories = [9 + 16 * index for index in range(n)], coco_category_ids()
    annotations = []

    def add(image: int, category: int, bbox: list[float], crowd: int = 0) -> None:
        outline = {"counts": [0, 10], "size": [HEIGHT, WIDTH]} if crowd else [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]
        number = len(annotations) + 1
        annotations.append(
            {
                "segmentation": outline,
                "area": 9.5,
                "iscrowd": crowd,
                "image_id": numbers[image],
                "bbox": bbox,
                "category_id": category,
                "id": number,
            }
        )

    add(0, 1, [3.25, 4.5, 10.5, 20.0])
    add(0, 1, [30.0, 4.5, 29.99, 35.5])
    add(1, 90, [0.0, 0.0, 60.0, 40.0], crowd=1)
    for image in range(2, n - 1):
        add(image, categories[image % 80], [1.0, 2.0, 20.0, 30.0])
    images = [
        {"file_name": coco_name(split, number), "height": HEIGHT, "width": WIDTH, "id": number, "license": 1}
        for number in numbers
    ]
    kinds = [
        {"supercategory": "thing", "id": number, "name": name}
        for number, name in zip(categories, coco.CLASSES, strict=True)
    ]
    return {
        "info": {"year": 2014},
        "licenses": [],
        "images": images[::-1],
        "annotations": annotations,
        "categories": kinds,
    }


def coco_name(split: str, number: int) -> str:
    return f"COCO_{split}2014_{number:012d}.jpg"


def make_coco(root: Path, n: int = 6) -> Path:
    """`n` training and n // 2 + 2 validation images, one of each without annotations; returns root."""
    (root / "annotations").mkdir(parents=True)
    for split, count in (("train", n), ("val", n // 2 + 2)):
        content = coco_annotations(split, count)
        (root / "annotations" / f"instances_{split}2014.json").write_text(json.dumps(content))
        for image in content["images"]:
            picture(root / f"{split}2014" / image["file_name"], image["id"])
    return root


def nuswide_name(index: int) -> str:
    return f"{('actor', 'zoo', 'beach')[index % 3]}/{index:04d}_2124494179.jpg"


def nuswide_labels(begin: int, count: int) -> np.ndarray:
    """uint8 [count, 81]: two concepts an image, and none in every fifth."""
    labels = np.zeros((count, 81), np.uint8)
    for row in range(count):
        if (begin + row) % 5:
            labels[row, [(begin + row) % 81, (3 * (begin + row) + 1) % 81]] = 1
    return labels


def make_nuswide(root: Path, n: int = 10, layout: str = "official") -> Path:
    """`n` training and n // 2 test images; returns root.

    layout: "official", with lists that were written on Windows, or "benchmark".
    """
    root.mkdir(parents=True, exist_ok=True)
    for split, begin, count in (("train", 0, n), ("val", n, n // 2)):
        names, labels = (
            [nuswide_name(index) for index in range(begin, begin + count)],
            nuswide_labels(begin, count),
        )
        for index, name in enumerate(names, begin):
            picture(root / "Flickr" / name, index)
        if layout == "benchmark":
            np.save(root / f"formatted_{split}_images.npy", np.array(names))
            np.save(root / f"formatted_{split}_labels.npy", labels.astype(np.float64))
            continue
        part = nuswide.OFFICIAL[split]
        for folder in ("ImageList", "ConceptsList", "Groundtruth/TrainTestLabels"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        windows = [name.replace("/", "\\") for name in names]
        windows[0] = f"C:\\ImageData\\Flickr\\{windows[0]}"
        (root / "ImageList" / f"{part}Imagelist.txt").write_bytes("\r\n".join([*windows, ""]).encode())
        (root / "ConceptsList" / "Concepts81.txt").write_bytes("\r\n".join([*nuswide.CLASSES, ""]).encode())
        for column, concept in enumerate(nuswide.CLASSES):
            text = "\r\n".join([*map(str, labels[:, column]), ""])
            (root / "Groundtruth" / "TrainTestLabels" / f"Labels_{concept}_{part}.txt").write_bytes(
                text.encode()
            )
    return root


PICTURE = np.zeros((40, 60, 3), np.uint8)
PICTURE[:, :30] = (200, 30, 30)


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


def photos(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(PICTURE).save(folder / name)
