"""Pre-labels for CVAT: annotations.xml in the form "CVAT for images 1.1", and labels.json for the project."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from ccd_core.export.formats import Export
from ccd_core.export.labels.labelled_images import Image, labelled_images
from ccd_core.export.labels.xml_text import xml_text

FILE = "annotations.xml"


def write(export: Export, folder: Path) -> None:
    """Write annotations.xml, image by image, and labels.json, which CVAT's field of raw labels takes."""
    images = labelled_images(export)
    export.facts["images_below"] = str(images.base)
    kind = "rectangle" if export.boxes else "tag"
    with open(folder / FILE, "w", encoding="utf-8") as file:
        file.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n')
        file.write(_text(_meta(export, len(images), kind)))
        for number, image in enumerate(images):
            file.write(_text(_image(number, image)))
        file.write("</annotations>\n")
    labels = [{"name": xml_text(name), "type": kind, "attributes": []} for name in images.classes]
    (folder / "labels.json").write_text(json.dumps(labels, indent=1) + "\n", encoding="utf-8")


def _text(element: ElementTree.Element) -> str:
    ElementTree.indent(element)
    return ElementTree.tostring(element, encoding="unicode") + "\n"


def _meta(export: Export, size: int, kind: str) -> ElementTree.Element:
    meta = ElementTree.Element("meta")
    task = ElementTree.SubElement(meta, "task")
    ElementTree.SubElement(task, "name").text = xml_text(export.run.name)
    ElementTree.SubElement(task, "size").text = str(size)
    ElementTree.SubElement(task, "mode").text = "annotation"
    labels = ElementTree.SubElement(task, "labels")
    for name in export.run.classes:
        label = ElementTree.SubElement(labels, "label")
        ElementTree.SubElement(label, "name").text = xml_text(name)
        ElementTree.SubElement(label, "type").text = kind
        ElementTree.SubElement(label, "attributes")
    return meta


def _image(number: int, image: Image) -> ElementTree.Element:
    entry = ElementTree.Element(
        "image",
        id=str(number),
        name=xml_text(image.place),
        width=str(image.width),
        height=str(image.height),
    )
    for label in image.labels:
        name = xml_text(label.name)
        if label.box is None:
            ElementTree.SubElement(entry, "tag", label=name, source="auto")
            continue
        corners = {
            key: f"{side:.2f}" for key, side in zip(("xtl", "ytl", "xbr", "ybr"), label.box, strict=True)
        }
        common = {"label": name, "source": "auto", "occluded": "0", "z_order": "0"}
        ElementTree.SubElement(entry, "box", common | corners)
    return entry
