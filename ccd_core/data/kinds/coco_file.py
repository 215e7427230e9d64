"""Read an annotation file in COCO's form, as COCO and many other programs write it.

Understood are numbers written as text, a mark at the file's beginning, boxes that are inside out or leave the
image, and categories that nothing uses. What cannot be right, such as two images with one id, raises
UserError.

A large file is parsed in a process of its own:

    python -m ccd_core.data.kinds.coco_file ANNOTATIONS.json OUT.npz
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ccd_core.data.listing.boxes import numbers, pixel_box
from ccd_core.data.listing.names import as_text, count_of, shown, some
from ccd_core.data.listing.text_files import clean, read_bytes
from ccd_core.data.truth_cache import load, load_facts, save
from ccd_core.data.types import Box, Boxes, GroundTruth
from ccd_core.errors import UserError
from ccd_core.paths import ROOT

log = logging.getLogger("ccd")
LARGEST_BYTES = 8_000_000_000
EDITION = "2"  # of the parser; cached results of another edition are not used


@dataclass
class CocoFile:
    """What an annotation file says.

    `truth` has all images, in the order of their numbers. Its ids are file names.
    """

    truth: GroundTruth
    classes: tuple[str, ...]
    annotated: np.ndarray  # bool [N]: whether an image has an annotation
    notes: list[str] = field(default_factory=list)

    @property
    def facts(self) -> dict[str, Any]:
        """What `truth` does not hold, for the cache."""
        return {"classes": self.classes, "annotated": self.annotated.tolist(), "notes": self.notes}

    @classmethod
    def of(cls, truth: GroundTruth, facts: dict[str, Any]) -> CocoFile:
        """The opposite of `facts`."""
        return cls(truth, tuple(facts["classes"]), np.array(facts["annotated"], bool), list(facts["notes"]))


def read_coco(path: Path, in_process: bool = False) -> CocoFile:
    """Parse an annotation file, with `in_process` in a process of its own.

    Raises UserError if it is damaged.
    """
    if in_process:
        return _read_in_process(path)
    return _Reader(path, _parsed(path)).read()


def _parsed(path: Path) -> dict[str, Any]:
    content = read_bytes(path, LARGEST_BYTES)
    try:
        try:
            value = json.loads(content, object_pairs_hook=_without_outlines)  # finds out UTF-8 and UTF-16
        except UnicodeDecodeError:
            value = json.loads(content.decode("cp1252"), object_pairs_hook=_without_outlines)
    except RecursionError:
        raise _damaged(path, "its brackets are nested too deeply") from None
    except ValueError as error:
        raise _damaged(path, f"{error!s:.80}") from None
    if isinstance(value, list):
        raise _damaged(
            path, "it is a list, as a file of results is, and no object with images and annotations"
        )
    if not isinstance(value, dict):
        raise _damaged(path, "it holds no object with images and annotations")
    return value


def _damaged(path: Path, why: str) -> UserError:
    return UserError(f"The annotations {shown(path)} are damaged or no instances file of COCO: {why}.")


def _without_outlines(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object without its outlines, which are nine tenths of the file's numbers and are not used."""
    return {key: value for key, value in pairs if key != "segmentation"}


class _Reader:
    def __init__(self, path: Path, content: dict[str, Any]):
        self.path = path
        self.images = self._objects(content, "images")
        self.annotations = self._objects(content, "annotations")
        self.categories = self._objects(content, "categories")
        self.notes: list[str] = []
        self.same_image: dict[Hashable, Hashable] = {}
        self.first_of_name: dict[str, Hashable] = {}  # an image that is listed under two ids is one image
        self.unusable_boxes = 0
        self.outside_boxes = 0

    def _objects(self, content: dict[str, Any], key: str) -> list[dict[str, Any]]:
        value = content.get(key, [])
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise _damaged(self.path, f"its {key} are no list of objects")
        return value

    def read(self) -> CocoFile:
        class_of, classes = self._read_categories()
        images = self._read_images()
        api = self._indexed(images, class_of)
        numbers_of_images = sorted(images, key=lambda key: (isinstance(key, str), key))
        targets = np.zeros((len(images), len(classes)), np.float32)
        annotated = np.zeros(len(images), bool)
        objects = []
        for row, number in enumerate(numbers_of_images):
            found = api.imgToAnns.get(number, [])
            annotated[row] = bool(found)
            targets[row, [class_of[one["category_id"]] for one in found]] = 1
            objects.append(self._boxes(found, images[number], class_of))
        used = {one["category_id"] for found in api.imgToAnns.values() for one in found}
        self._write_notes()
        names = tuple(images[number]["file_name"] for number in numbers_of_images)
        truth = GroundTruth(names, targets, Boxes.of(objects))
        return self._without_unused_roots(truth, classes, {class_of[one] for one in used}, annotated)

    def _read_categories(self) -> tuple[dict[Hashable, int], list[str]]:
        """{category id: index of the class} and the classes, in the order of the ids."""
        names: dict[Hashable, str] = {}
        for category in self.categories:
            number = self._id(category.get("id"), "category")
            name = category.get("name")
            if not isinstance(name, (str, int)) or not clean(str(name)):
                raise _damaged(self.path, f"the category {number!r} has no name")
            name = clean(str(name))
            if names.setdefault(number, name) != name:
                raise _damaged(
                    self.path, f"the category id {number!r} stands for {names[number]!r} and for {name!r}"
                )
        ordered = sorted(names, key=lambda key: (isinstance(key, str), key))
        classes = list(dict.fromkeys(names[number] for number in ordered))
        if len(classes) < len(names):
            self.notes.append(
                f"{shown(self.path)} has several categories of one name, which count as one class."
            )
        index = {name: row for row, name in enumerate(classes)}
        return {number: index[names[number]] for number in ordered}, classes

    def _read_images(self) -> dict[Hashable, dict[str, Any]]:
        """{image id: the image with a file name of this machine's kind}."""
        found: dict[Hashable, dict[str, Any]] = {}
        repeated: list[str] = []
        for image in self.images:
            number = self._id(image.get("id"), "image")
            name = image.get("file_name") or image.get("coco_url") or image.get("path")
            if not isinstance(name, str) or not name.strip():
                raise _damaged(self.path, f"the image {number!r} has no file_name")
            image = image | {"id": number, "file_name": as_text(file_name(name))}
            earlier = found.setdefault(number, image)
            if earlier["file_name"] != image["file_name"]:
                raise _damaged(
                    self.path,
                    f"the image id {number!r} stands for {shown(earlier['file_name'])!r} and for "
                    f"{shown(image['file_name'])!r}, so it is not known whose the annotations are; give "
                    "every image an id of its own",
                )
            first = self.first_of_name.setdefault(image["file_name"], number)
            if first != number:
                repeated.append(image["file_name"])
                self.same_image[number] = first
                del found[number]
        if repeated:
            self.notes.append(
                f"{shown(self.path)} lists {count_of(len(repeated), 'image')} under more than one id "
                f"({some(dict.fromkeys(repeated))}); their annotations were put together."
            )
        return found

    def _indexed(self, images: dict[Hashable, dict[str, Any]], class_of: dict[Hashable, int]) -> Any:
        """pycocotools' index of the annotations whose image is known."""
        from pycocotools.coco import COCO

        kept = []
        strangers = []
        unknown: list[str] = []
        for place, one in enumerate(self.annotations):
            number = self._id(one.get("image_id"), "annotation's image", place)
            number = self.same_image.get(number, number)
            category = self._id(one.get("category_id"), "annotation's category", place)
            if category not in class_of:
                unknown.append(str(category))
            if number not in images:
                strangers.append(str(number))
            else:
                one["image_id"] = number  # in place, because a copy of each would double the memory
                one["category_id"] = category
                one["id"] = place
                kept.append(one)
        if unknown:
            raise _damaged(
                self.path,
                f"{count_of(len(unknown), 'annotation')} use category ids that its categories do not have "
                f"({some(dict.fromkeys(unknown), quoted=False)})",
            )
        if strangers:
            self.notes.append(
                f"{shown(self.path)} has {count_of(len(strangers), 'annotation')} of images that it does not "
                f"list (ids {some(dict.fromkeys(strangers), quoted=False)}); they are left out."
            )
        api = COCO()
        api.dataset = {"images": list(images.values()), "annotations": kept, "categories": []}
        with contextlib.redirect_stdout(io.StringIO()):
            api.createIndex()
        return api

    def _boxes(
        self, found: list[dict[str, Any]], image: dict[str, Any], class_of: dict[Hashable, int]
    ) -> list[tuple[int, Box]]:
        """(class index, box) of each object that is no crowd."""
        objects = []
        sides = numbers([image.get("width"), image.get("height")], 2) or [0.0, 0.0]
        for one in found:
            if _is_crowd(one.get("iscrowd")):
                continue
            bbox = numbers(one.get("bbox"), 4)
            if bbox is None:
                self.unusable_boxes += 1
                continue
            x, y, width, height = bbox
            box = pixel_box((x, y, x + width, y + height), *sides)
            if box is None:
                self.outside_boxes += 1
            else:
                objects.append((class_of[one["category_id"]], box))
        return objects

    def _id(self, value: Any, what: str, place: int | None = None) -> Hashable:
        """An id as a whole number if it is one, also if it is written as text or with a point."""
        if type(value) is int:
            return value
        if isinstance(value, str):
            text = value.strip()
            return int(text) if text.isdecimal() and len(text) < 19 else text
        if isinstance(value, float) and value.is_integer():
            return int(value)
        where = "" if place is None else f" (annotation {place + 1} of the file)"
        raise _damaged(self.path, f"the id of an {what} is {value!r:.40}{where}")

    def _write_notes(self) -> None:
        if self.unusable_boxes:
            self.notes.append(
                f"{shown(self.path)} has {count_of(self.unusable_boxes, 'object')} without a usable box; "
                "their classes count all the same."
            )
        if self.outside_boxes:
            self.notes.append(
                f"{shown(self.path)} has {count_of(self.outside_boxes, 'box', 'boxes')} outside of the "
                "image; the classes count all the same."
            )

    def _without_unused_roots(
        self, truth: GroundTruth, classes: list[str], used: set[int], annotated: np.ndarray
    ) -> CocoFile:
        """Leave out a category that no object has and that only stands above the others, as Roboflow adds."""
        above = {clean(str(category.get("supercategory") or "")) for category in self.categories}
        kept = [name for row, name in enumerate(classes) if row in used or name not in above]
        if len(kept) < len(classes):
            truth = truth.in_terms_of(kept, classes)
        return CocoFile(truth, tuple(kept), annotated, self.notes)


def _is_crowd(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lower() not in ("", "0", "0.0", "false", "no", "none")
    return bool(value)


def file_name(text: str) -> str:
    """A file name of any machine, or a web address, as a relative path of this one."""
    from ccd_core.data.listing.image_finder import path_of_address

    name = text.strip().replace("\\", "/")
    address = path_of_address(name)
    if address != name:
        return address.rsplit("/", 1)[-1]
    parts = [part for part in name.split("/") if part not in ("", ".", "..")]
    return "/".join(parts[1:] if parts and parts[0].endswith(":") else parts)


def _read_in_process(path: Path) -> CocoFile:
    """Parse `path` in another process, which gives its memory back when it ends."""
    log.info("Reading %s; the result is cached.", shown(path))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "truth.npz"
        # With -P, modules in the current folder do not take the place of Python's own.
        command = [sys.executable, "-P", "-m", __name__, str(path), str(out)]
        modules = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            env=os.environ | {"PYTHONPATH": modules},
        )
        if done.returncode:
            output = done.stderr.strip().splitlines()
            if done.returncode == 2 and output:  # the process printed the sentence of its UserError
                raise UserError(output[-1])
            raise UserError(f"The annotations {shown(path)} could not be read: {output[-1:]}")
        return CocoFile.of(load(out), load_facts(out))


if __name__ == "__main__":
    try:
        parsed = read_coco(Path(sys.argv[1]))
        save(Path(sys.argv[2]), parsed.truth, parsed.facts)
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
