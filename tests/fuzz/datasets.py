"""Data sets as people have them: `ccd data check` must count right, or say what it did not understand.

The truth is known, because each case writes it in another form: class names, labels, annotations.
"""

from __future__ import annotations

import csv
import io
import json
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.fuzz.mutations import damaged, with_odd_leaf
from tests.fuzz.outcomes import Case, Refused, Silent, command

CLASSES = ["cat", "dog", "traffic light"]
TRUTH = {"a.jpg": ["cat"], "b.jpg": ["cat", "dog"], "c.jpg": [], "d.jpg": ["traffic light"], "e.jpg": ["dog"]}
COUNTS = Counter(name for names in TRUTH.values() for name in names)
FORMATS = {".jpg": "JPEG", ".png": "PNG", ".tif": "TIFF", ".webp": "WEBP", ".bmp": "BMP", ".gif": "GIF"}


def picture(path: Path, chance: random.Random, mode: str = "RGB") -> None:
    pixels = np.random.default_rng(chance.randrange(2**32)).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path, FORMATS[path.suffix])


def pictures(folder: Path, chance: random.Random) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in TRUTH:
        picture(folder / name, chance)
    (folder / "classes.txt").write_text("\n".join(CLASSES) + "\n")


def examined(spec: str, *options: str) -> dict[str, Any]:
    """What `ccd data check` found. Raises Refused with the problem it named."""
    try:
        text = command(["data", "check", "--json", *options, "--", spec])
    except Refused as error:
        found = str(error)
        if not found.startswith("{"):
            raise
        text = found
    report: dict[str, Any] = json.loads(text)
    if report.get("problem"):
        raise Refused(report["problem"])
    return report


# -- pictures --------------------------------------------------------------------------------------------


def odd_pictures(folder: Path, chance: random.Random) -> Callable[[], None]:
    """Some files are damaged or odd; every one is counted as used, broken or left out."""
    pictures(folder, chance)
    names = [f"x{n}{chance.choice(list(FORMATS))}" for n in range(6)]
    for name in names:
        picture(folder / name, chance, "L" if chance.random() < 0.3 else "RGB")
        if chance.random() < 0.7:
            (folder / name).write_bytes(damaged((folder / name).read_bytes(), chance))
    odd = chance.choice(["pipe", "link", "folder", "empty", "name", "suffix"])
    extra = {"name": os.fsdecode(b"caf\xe9 [b]\n.jpg"), "suffix": "y.jfif"}.get(odd, "y.jpg")
    if odd == "pipe":
        os.mkfifo(folder / extra)
    elif odd == "link":
        (folder / extra).symlink_to("not there")
    elif odd == "folder":
        (folder / extra).mkdir()
    else:
        (folder / extra).write_bytes(b"" if odd == "empty" else (folder / "a.jpg").read_bytes())
    least = len(TRUTH) + len(names)

    def look() -> None:
        report = examined("folder:p")
        listed = report["splits"]["train"]["images"] + len(report.get("left_out", {}))
        if listed < least:
            raise Silent(f"{least} files are there, and {listed} are counted")

    return look


# -- labels.csv and classes.txt -----------------------------------------------------------------------------


def label_rows(chance: random.Random) -> tuple[list[list[str]], str]:
    """Rows of a table with the labels of TRUTH, in one of the forms that people write, and its name."""
    form = chance.choice(["joined", "one-hot", "long", "quoted", "numbers", "words"])
    joiner = chance.choice([";", "|"])
    if form in ("joined", "quoted"):
        joiner = ", " if form == "quoted" else joiner
        return [["file", "labels"], *([name, joiner.join(names)] for name, names in TRUTH.items())], form
    if form == "long":
        rows = [[name, label] for name, names in TRUTH.items() for label in names or [""]]
        return [["file", "label"], *rows], form
    yes, no = {"one-hot": ("1", "0"), "numbers": ("1.0", "0.0"), "words": ("True", "False")}[form]
    rows = [[name, *(yes if label in names else no for label in CLASSES)] for name, names in TRUTH.items()]
    return [["file", *CLASSES], *rows], form


def odd_tables(folder: Path, chance: random.Random) -> Callable[[], None]:
    pictures(folder, chance)
    rows, form = label_rows(chance)
    change = chance.choice(
        ["none", "none", "shuffle", "gone", "suffix", "path", "columns", "longer", "case", "blank"]
    )
    body = rows[1:]
    if change == "shuffle":
        chance.shuffle(body)
    elif change == "gone":
        body.append(["zzz.jpg", *body[0][1:]])
    elif change == "suffix":
        body = [[row[0].removesuffix(".jpg"), *row[1:]] for row in body]
    elif change == "path":
        body = [[chance.choice(["/data/set/", "C:\\set\\"]) + row[0], *row[1:]] for row in body]
    elif change == "columns":
        rows[0].append("width")
        body = [[*row, "32"] for row in body]
    elif change == "longer":
        body[1] = [*body[1], "bird"]
    elif change == "case":
        rows[0] = [cell.title() for cell in rows[0]]
    elif change == "blank":
        body.insert(2, [""] * len(rows[0]))
    delimiter = chance.choice([",", ",", ";", "\t"])
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=chance.choice(["\n", "\r\n"])).writerows(
        [rows[0], *body]
    )
    content = text.getvalue().encode(chance.choice(["utf-8", "utf-8-sig", "utf-16", "latin-1"]))
    if chance.random() < 0.15:
        content = damaged(content, chance)
        form = "damaged"
    (folder / "labels.csv").write_bytes(content)

    def look() -> None:
        report = examined("folder:p")
        found = counts_of(report)
        said = " ".join([*report.get("notes", []), *report.get("advice", []), *map(str, report.values())])
        if form != "damaged" and change != "longer" and found != COUNTS:
            raise Silent(f"{form}, {change}: {dict(found)}, and the file says {dict(COUNTS)}: {said[:150]}")

    return look


def odd_classes(folder: Path, chance: random.Random) -> Callable[[], None]:
    pictures(folder, chance)
    form = chance.choice(
        ["lines", "comma", "numbered", "json", "tabs", "quotes", "bullets", "blank", "case", "twice", "bad"]
    )
    text = {
        "lines": "\n".join(CLASSES),
        "comma": ", ".join(CLASSES),
        "json": json.dumps(CLASSES),
        "numbered": "\n".join(
            f"{number}{chance.choice([' ', ': ', '. '])}{name}" for number, name in enumerate(CLASSES)
        ),
        "tabs": "\n".join(f"{name}\t{number * 7 + 5}" for number, name in enumerate(CLASSES)),
        "quotes": "\n".join(f'"{name}"' for name in CLASSES),
        "bullets": "\n".join(f"- {name}" for name in CLASSES),
        "blank": "\n\n".join(f" {name}\u200b " for name in CLASSES),
        "case": "\n".join([*CLASSES, "Dog"]),
        "twice": "\n".join([*CLASSES, "dog"]),
        "bad": "\0".join(CLASSES),
    }[form]
    content = text.encode(chance.choice(["utf-8", "utf-8-sig", "utf-16"]))
    if chance.random() < 0.2:
        content = damaged(content, chance)
        form = "damaged"
    (folder / "classes.txt").write_bytes(content)

    def look() -> None:
        found = examined("folder:p")["classes"]
        found = [name if isinstance(name, str) else name["name"] for name in found]
        if form in ("case", "twice"):
            raise Silent(f"{form}: {found} was accepted")
        if form not in ("damaged", "bad") and found != CLASSES:
            raise Silent(f"{form}: {found}")

    return look


# -- COCO and VOC ----------------------------------------------------------------------------------------


def coco_file() -> dict[str, Any]:
    boxes = [(number, name) for number, names in enumerate(TRUTH.values()) for name in names]
    return {
        "images": [{"id": n, "file_name": name, "width": 32, "height": 24} for n, name in enumerate(TRUTH)],
        "categories": [{"id": n + 1, "name": name} for n, name in enumerate(CLASSES)],
        "annotations": [
            {
                "id": n,
                "image_id": image,
                "category_id": CLASSES.index(name) + 1,
                "bbox": [2, 3, 10, 12],
                "iscrowd": 0,
            }
            for n, (image, name) in enumerate(boxes)
        ],
    }


def odd_coco(folder: Path, chance: random.Random) -> Callable[[], None]:
    pictures(folder, chance)
    value = coco_file()
    change = chance.choice(["leaf", "leaf", "leaf", "bytes", "windows", "crowd", "bom", "none"])
    if change == "leaf":
        value = with_odd_leaf(value, chance)
    elif change == "windows":
        for image in value["images"]:
            image["file_name"] = "C:\\x\\" + image["file_name"]
    elif change == "crowd":
        for entry in value["annotations"]:
            entry["iscrowd"] = "0"
    content = json.dumps(value).encode("utf-8-sig" if change == "bom" else "utf-8")
    (folder / "a.json").write_bytes(damaged(content, chance) if change == "bytes" else content)

    def look() -> None:
        report = examined("coco:p/a.json,p")
        found = counts_of(report)
        if change not in ("leaf", "bytes") and found != COUNTS:
            raise Silent(f"{change}: {dict(found)}")

    return look


def odd_voc(folder: Path, chance: random.Random) -> Callable[[], None]:
    for part in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (folder / part).mkdir(parents=True)
    change = chance.choice(["bytes", "list", "none", "bom", "crlf", "suffix", "inf", "encoding", "space"])
    for name, labels in TRUTH.items():
        picture(folder / "JPEGImages" / name, chance)
        corner = "inf" if change == "inf" else "12"
        objects = "".join(
            f"<object><name>{' ' * (change == 'space')}{label}</name><bndbox><xmin>2</xmin><ymin>3</ymin>"
            f"<xmax>{corner}</xmax><ymax>15</ymax></bndbox></object>\n"
            for label in labels
        )
        head = '<?xml version="1.0" encoding="ANSI"?>' if change == "encoding" else ""
        text = f"{head}<annotation><filename>{name}</filename>{objects}</annotation>".encode()
        if change == "bytes" and chance.random() < 0.4:
            text = damaged(text, chance)
        (folder / "Annotations" / f"{Path(name).stem}.xml").write_bytes(text)
    ids = [name if change == "suffix" else Path(name).stem for name in TRUTH]
    listed = (
        ("\r\n" if change == "crlf" else "\n").join(ids).encode("utf-8-sig" if change == "bom" else "utf-8")
    )
    (folder / "ImageSets" / "Main" / "train.txt").write_bytes(
        damaged(listed, chance) if change == "list" else listed
    )

    def look() -> None:
        found = counts_of(examined("voc:p"))
        if change in ("none", "bom", "crlf", "suffix", "space") and found != COUNTS:
            raise Silent(f"{change}: {dict(found)}")

    return look


def counts_of(report: dict[str, Any]) -> Counter[str]:
    """How many training images show each class. Raises Refused if the labels could not be read."""
    train = report["splits"]["train"]
    if train["label_problem"]:
        raise Refused(train["label_problem"])
    return Counter({name: count for name, count in train["class_counts"].items() if count})


WAYS = [odd_pictures, odd_tables, odd_tables, odd_classes, odd_coco, odd_voc]


def cases(count: int, folder: Path) -> Iterator[Case]:
    """`count` data sets."""
    for number in range(count):
        way = WAYS[number % len(WAYS)]

        def make(place: Path, way: Any = way, number: int = number) -> None:
            global look
            look = way(place / "p", random.Random(number))

        yield Case(f"data {number}: {way.__name__}", make, {"check": lambda _: look()})


look: Callable[[], None]
