"""Pre-labels for Label Studio: tasks.json with predictions, and config.xml, the interface that they fit."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ccd_core.export.formats import Export
from ccd_core.export.labels.labelled_images import Image, labelled_images
from ccd_core.export.labels.xml_text import xml_text
from ccd_core.runs.provenance import own_version

TASKS = "tasks.json"
CONFIG = "config.xml"


def write(export: Export, folder: Path) -> None:
    """Write tasks.json, task by task, and config.xml.

    An image's address is that of Label Studio's local files: LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT is the
    folder that holds all images, which export.json names as images_below.
    """
    images = labelled_images(export)
    export.facts["images_below"] = str(images.base)
    version = f"ccd {own_version()}, run {export.run.name}"
    with open(folder / TASKS, "w", encoding="utf-8") as file:
        file.write("[")
        for number, image in enumerate(images):
            file.write(",\n" * (number > 0) + json.dumps(_task(image, version, export.boxes)))
        file.write("]\n")
    _config(export).write(folder / CONFIG, encoding="utf-8")


def _task(image: Image, version: str, boxes: bool) -> dict[str, Any]:
    data = {"image": f"/data/local-files/?d={quote(image.place, errors='surrogateescape')}"}
    data["image_id"] = image.id
    shape = {"original_width": image.width, "original_height": image.height, "image_rotation": 0}
    result: list[dict[str, Any]] = []
    for number, label in enumerate(image.labels if boxes else ()):
        x0, y0, x1, y1 = label.box or (0.0, 0.0, float(image.width), float(image.height))
        value = {
            "x": round(100 * x0 / image.width, 4),
            "y": round(100 * y0 / image.height, 4),
            "width": round(100 * (x1 - x0) / image.width, 4),
            "height": round(100 * (y1 - y0) / image.height, 4),
            "rotation": 0,
            "rectanglelabels": [label.name],
        }
        names = {"id": f"box{number}", "from_name": "box", "to_name": "image", "type": "rectanglelabels"}
        result.append({**names, **shape, "value": value, "score": label.score})
    if image.labels:
        names = {"id": "classes", "from_name": "classes", "to_name": "image", "type": "choices"}
        result.append({**names, **shape, "value": {"choices": [label.name for label in image.labels]}})
    mean = sum(label.score for label in image.labels) / max(len(image.labels), 1)
    prediction = {"model_version": version, "score": round(mean, 5), "result": result}
    return {"data": data, "predictions": [prediction]}


def _config(export: Export) -> ElementTree.ElementTree:
    """The labelling interface: boxes and classes, with the run's class names."""
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Image", name="image", value="$image")
    if export.boxes:
        boxes = ElementTree.SubElement(view, "RectangleLabels", name="box", toName="image")
        for name in export.run.classes:
            ElementTree.SubElement(boxes, "Label", value=xml_text(name))
    choices = ElementTree.SubElement(view, "Choices", name="classes", toName="image", choice="multiple")
    for name in export.run.classes:
        ElementTree.SubElement(choices, "Choice", value=xml_text(name))
    tree = ElementTree.ElementTree(view)
    ElementTree.indent(tree)
    return tree
