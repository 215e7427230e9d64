"""Labelled images in the layout of Pascal VOC: Annotations, ImageSets/Main and JPEGImages.

Image names in this layout have neither folders nor blanks; images.csv says which image of the run is which.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from ccd_core.export.formats import Export
from ccd_core.export.labels.image_files import LIST, PlainNames, place_image, write_list
from ccd_core.export.labels.labelled_images import Image, labelled_images
from ccd_core.export.labels.xml_text import xml_text


def write(export: Export, folder: Path) -> None:
    """Write one XML file an image, a list of each split, classes.txt, images.csv, and the images."""
    images = labelled_images(export)
    names = PlainNames()
    (folder / "Annotations").mkdir()
    lists: dict[str, list[str]] = {}
    placed = []
    for image in images:
        stem, suffix = names.name(image)
        tree = ElementTree.ElementTree(_annotation(image, stem + suffix))
        ElementTree.indent(tree)
        tree.write(folder / "Annotations" / f"{stem}.xml", encoding="utf-8", xml_declaration=True)
        place_image(image, folder / "JPEGImages" / f"{stem}{suffix}", export.images)
        lists.setdefault(image.split, []).append(stem)
        placed.append((stem + suffix, image))
    (folder / "ImageSets" / "Main").mkdir(parents=True)
    for split, stems in lists.items():
        (folder / "ImageSets" / "Main" / f"{split}.txt").write_text("".join(f"{stem}\n" for stem in stems))
    write_list(folder / LIST, placed)
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in images.classes), encoding="utf-8")


def _annotation(image: Image, name: str) -> ElementTree.Element:
    root = ElementTree.Element("annotation")
    _add(root, "folder", "JPEGImages")
    _add(root, "filename", name)
    _add(root, "path", xml_text(image.id))
    size = ElementTree.SubElement(root, "size")
    for tag, value in (("width", image.width), ("height", image.height), ("depth", 3)):
        _add(size, tag, value)
    _add(root, "segmented", 0)
    for label in image.labels:
        entry = ElementTree.SubElement(root, "object")
        _add(entry, "name", xml_text(label.name))
        _add(entry, "pose", "Unspecified")
        _add(entry, "truncated", 0)
        _add(entry, "difficult", 0)
        _add(entry, "score", label.score)
        if label.box:
            _add_box(entry, label.box, image)
    return root


def _add_box(entry: ElementTree.Element, box: tuple[float, float, float, float], image: Image) -> None:
    """VOC counts pixels from 1, and xmax and ymax are the last pixels of the box."""
    x0, y0, x1, y1 = box
    left = min(int(x0), image.width - 1)
    top = min(int(y0), image.height - 1)
    sides = {
        "xmin": left + 1,
        "ymin": top + 1,
        "xmax": max(round(x1), left + 1),
        "ymax": max(round(y1), top + 1),
    }
    corners = ElementTree.SubElement(entry, "bndbox")
    for tag, value in sides.items():
        _add(corners, tag, value)


def _add(parent: ElementTree.Element, tag: str, value: object) -> None:
    ElementTree.SubElement(parent, tag).text = str(value)
