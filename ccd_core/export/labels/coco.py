"""Labelled images as COCO JSON: annotations.json, which pycocotools, CVAT and FiftyOne read.

Every label is an annotation with a score. Images without labels are listed like all others.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ccd_core.export.formats import Export
from ccd_core.export.labels.labelled_images import Image, labelled_images

FILE = "annotations.json"


def write(export: Export, folder: Path) -> None:
    """Write annotations.json, image by image."""
    images = labelled_images(export)
    export.facts["images_below"] = str(images.base)
    with open(folder / FILE, "w", encoding="utf-8") as file:
        info = {
            "description": f"Labels of run {export.run.name} (ccd), made without annotators",
            "images_below": str(images.base),
        }
        categories = [
            {"id": number, "name": name, "supercategory": ""} for number, name in enumerate(images.classes, 1)
        ]
        file.write(
            f'{{"info": {json.dumps(info)},\n"licenses": [],\n"categories": {json.dumps(categories)},\n'
        )
        file.write('"images": [')
        for number, image in enumerate(images, 1):
            file.write(",\n" * (number > 1) + json.dumps(_image(number, image)))
        file.write('],\n"annotations": [')
        count = 0
        for number, image in enumerate(images, 1):
            for annotation in _annotations(number, image):
                count += 1
                file.write(",\n" * (count > 1) + json.dumps({"id": count, **annotation}))
        file.write("]}\n")


def _image(number: int, image: Image) -> dict[str, Any]:
    size = {"width": image.width, "height": image.height}
    return {"id": number, "file_name": image.place, "split": image.split, **size}


def _annotations(number: int, image: Image) -> list[dict[str, Any]]:
    """One annotation for each label; a box is x, y, width, height in pixels."""
    found = []
    for label in image.labels:
        annotation: dict[str, Any] = {
            "image_id": number,
            "category_id": label.index + 1,
            "score": label.score,
            "iscrowd": 0,
        }
        if label.box:
            x0, y0, x1, y1 = label.box
            width, height = round(x1 - x0, 2), round(y1 - y0, 2)
            annotation |= {"bbox": [x0, y0, width, height], "area": round(width * height, 2)}
        found.append(annotation)
    return found
