"""Read annotation files in VOC's form, as PASCAL VOC and many labelling tools write them.

Understood are other encodings, name spaces and capital letters of tags, blanks around names, `difficult` as a
word, objects with an outline and no box, and boxes that leave the image.
"""

from __future__ import annotations

import re

# torchvision's VOCDetection could parse the annotations too, but it needs torch, and the app runs without
# torch.
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from ccd_core.data.listing.boxes import numbers, pixel_box
from ccd_core.data.listing.names import shown
from ccd_core.data.listing.text_files import clean, read_bytes
from ccd_core.data.types import Box
from ccd_core.errors import UserError

LARGEST_BYTES = 50_000_000
SIDES = ("xmin", "ymin", "xmax", "ymax")
DECLARATION = re.compile(r"^\s*<\?xml[^>]*?(?:encoding\s*=\s*[\"']([^\"']*)[\"'])?[^>]*\?>", re.IGNORECASE)
# Words that tools write for encodings, and what they mean.
ENCODINGS = {"ansi": "cp1252", "gb2312": "gb18030", "gbk": "gb18030", "unicode": "utf-16"}
YES = ("1", "1.0", "true", "yes")


@dataclass(frozen=True)
class VocObject:
    """An object that is not difficult. `box` is None if the file gives none that can be used."""

    name: str
    box: Box | None


def read_objects(path: Path) -> list[VocObject]:
    """The objects of an annotation file without the difficult ones. Raises UserError if it cannot be read."""
    root = _parsed(path)
    found = root.iter("object")
    objects = [_object(entry) for entry in found if not _is_difficult(entry)]
    nameless = [one for one in objects if not one.name]
    if nameless:
        raise UserError(f"The annotation {shown(path)} is damaged: it has an object without a name.")
    return objects


def _parsed(path: Path) -> ElementTree.Element:
    try:
        content = read_bytes(path, LARGEST_BYTES)
    except UserError as error:
        if not path.exists():
            raise UserError(
                f"The annotation {shown(path)} is missing; unpack the Annotations folder of the data set too."
            ) from None
        raise UserError(f"The annotation cannot be read: {error}") from None
    try:
        root = ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError, LookupError):  # the last two for encodings
        root = _parsed_as_text(content, path)
    if root.find("object") is None:
        _make_plain(root)
    if root.tag != "annotation" and root.find(".//annotation") is None and root.find("object") is None:
        raise UserError(
            f"The annotation {shown(path)} is no annotation in VOC's form: it begins with "
            f"<{shown(root.tag)}>."
        )
    return root


def _parsed_as_text(content: bytes, path: Path) -> ElementTree.Element:
    """Parse a file whose encoding the parser does not know, or whose encoding is not the declared one."""
    declared = DECLARATION.match(content[:200].decode("latin-1"))
    name = (declared[1] or "") if declared else ""
    for encoding in (ENCODINGS.get(name.strip().lower(), name), "utf-8-sig", "cp1252"):
        try:
            text = DECLARATION.sub("", content.decode(encoding or "utf-8"), count=1)
            return ElementTree.fromstring(text.lstrip("\ufeff \r\n\t"))
        except (LookupError, ValueError, ElementTree.ParseError):
            continue
    raise UserError(f"The annotation {shown(path)} is damaged.")


def _make_plain(root: ElementTree.Element) -> None:
    """Take name spaces and capital letters off the tags."""
    for entry in root.iter():
        if isinstance(entry.tag, str):
            entry.tag = entry.tag.rpartition("}")[2].lower()


def _is_difficult(entry: ElementTree.Element) -> bool:
    return entry.findtext("difficult", "0").strip().lower() in YES


def _object(entry: ElementTree.Element) -> VocObject:
    name = clean(entry.findtext("name") or "")
    corners = numbers([entry.findtext(f"bndbox/{side}") for side in SIDES], 4) or _around(entry)
    if corners is None:
        return VocObject(name, None)
    # VOC counts pixels from 1, and the last pixel belongs to the box.
    x0, y0, x1, y1 = (int(min(max(side, -(10**9)), 10**9)) for side in corners)
    x0, x1 = sorted((x0, x1))
    y0, y1 = sorted((y0, y1))
    return VocObject(name, pixel_box((x0 - 1, y0 - 1, x1, y1)))


def _around(entry: ElementTree.Element) -> list[float] | None:
    """The box around an outline: x1, y1, x2, ... of Roboflow, or points with x and y of LabelMe."""
    outline = entry.find("polygon")
    if outline is None:
        return None
    points = [(one.tag, one.text) for one in outline.iter()]
    across = numbers([text for tag, text in points if re.fullmatch(r"x\d*", tag)])
    down = numbers([text for tag, text in points if re.fullmatch(r"y\d*", tag)])
    if not across or not down:
        return None
    return [min(across), min(down), max(across), max(down)]
