"""Labelled images in the layout of YOLO: images/SPLIT, labels/SPLIT and data.yaml, as Ultralytics reads it.

An image without labels has an empty text file, which says that nothing is in it.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from ccd_core.errors import UserError
from ccd_core.export.formats import Export
from ccd_core.export.labels.image_files import LIST, PlainNames, place_image, write_list
from ccd_core.export.labels.labelled_images import Image, labelled_images


def write(export: Export, folder: Path) -> None:
    """Write a text file an image, data.yaml, images.csv, and the images."""
    if not export.boxes:
        raise UserError("YOLO's files are made of boxes; leave --no-boxes out, or choose csv or coco.")
    images = labelled_images(export)
    names = PlainNames()
    placed = []
    for image in images:
        stem, suffix = names.name(image)
        labels = folder / "labels" / image.split / f"{stem}.txt"
        labels.parent.mkdir(parents=True, exist_ok=True)
        labels.write_text("".join(_lines(image)))
        place_image(image, folder / "images" / image.split / f"{stem}{suffix}", export.images)
        placed.append((f"{image.split}/{stem}{suffix}", image))
    splits = sorted({image.split for _, image in placed})
    settings: dict[str, object] = {split: f"images/{split}" for split in splits}
    if "train" in splits:
        settings.setdefault("val", "images/train")  # Ultralytics insists on both
    settings["names"] = dict(enumerate(images.classes))
    (folder / "data.yaml").write_text(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True), "utf-8")
    write_list(folder / LIST, placed)


def _lines(image: Image) -> list[str]:
    """Class number, centre, width and height in fractions of the image, a line a label."""
    lines = []
    for label in image.labels:
        x0, y0, x1, y1 = label.box or (0.0, 0.0, float(image.width), float(image.height))
        across = (x0 + x1) / 2 / image.width, (y0 + y1) / 2 / image.height
        sides = (x1 - x0) / image.width, (y1 - y0) / image.height
        lines.append(f"{label.index} {' '.join(f'{value:.6f}' for value in (*across, *sides))}\n")
    return lines
