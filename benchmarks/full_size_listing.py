"""Read the public data sets at full size, without their images: counts, time and memory.

    python benchmarks/full_size_listing.py                        # all of them, in a temporary folder
    python benchmarks/full_size_listing.py voc2012 --folder /tmp/listings

It writes list and annotation files as large as the official ones. Every image is a hard link to one small
JPEG. Then it prints a table with two parts. The first is `ccd data check --quick`, with its counts. The
second is opening the data set and reading the ground truth of both splits, the first time and from the cache.
Each is measured in a process of its own. "peak" is the resident memory of that process, and "child" that of
the process that reads COCO's annotations. COCO needs 3 GB of disk.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from ccd_core.data.kinds import coco, nuswide, voc
from ccd_core.data.sources import SOURCES

LINKS_A_FILE = 30_000  # file systems allow about 65,000 links to one file
OPEN = """
import resource, sys, time
from ccd_core.data import open_dataset
began = time.perf_counter()
dataset = open_dataset(sys.argv[1])
opened = time.perf_counter()
truths = [dataset.ground_truth(split) for split in dataset.splits]
read = time.perf_counter()
peak = [resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(opened - began, read - opened, *peak)
"""
CHECK = """
import resource, sys, time
from ccd_core.cli import main
began = time.perf_counter()
sys.argv = ["ccd", "data", "check", sys.argv[1], "--quick", "--json"]
try:
    main()
except SystemExit as end:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(time.perf_counter() - began, peak, end.code, file=sys.stderr)
"""


class LinkedImages:
    """Any number of images, all of them hard links to one small JPEG."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.count = 0

    def link(self, path: Path) -> None:
        source = self.folder / f".image-{self.count // LINKS_A_FILE}.jpg"
        if self.count % LINKS_A_FILE == 0:
            Image.fromarray(np.full((48, 64, 3), 120, np.uint8)).save(source)
        os.link(source, path)
        self.count += 1


def write_voc(root: Path, year: int) -> None:
    base = root / "VOCdevkit" / f"VOC{year}"
    linked = LinkedImages(root)
    rng = np.random.default_rng(year)
    for folder in ("ImageSets/Main", "JPEGImages", "Annotations"):
        (base / folder).mkdir(parents=True)
    begin = 0
    for split, count in SOURCES[f"voc{year}"].counts.items():
        ids = [
            f"2008_{index:06d}" if year == 2012 else f"{index:06d}" for index in range(begin, begin + count)
        ]
        (base / "ImageSets" / "Main" / f"{voc.LISTS[year][split]}.txt").write_text("\n".join(ids) + "\n")
        for name in ids:
            linked.link(base / "JPEGImages" / f"{name}.jpg")
            (base / "Annotations" / f"{name}.xml").write_text(voc_annotation(name, rng))
        begin += count


def voc_annotation(name: str, rng: np.random.Generator) -> str:
    objects = "".join(
        f"\t<object>\n\t\t<name>{voc.CLASSES[rng.integers(20)].replace(' ', '')}</name>\n"
        "\t\t<pose>Unspecified</pose>\n\t\t<truncated>0</truncated>\n"
        f"\t\t<occluded>0</occluded>\n\t\t<difficult>{int(rng.random() < 0.1)}</difficult>\n"
        "\t\t<bndbox>\n\t\t\t<xmin>53</xmin>\n\t\t\t<ymin>87</ymin>\n"
        "\t\t\t<xmax>471</xmax>\n\t\t\t<ymax>420</ymax>\n\t\t</bndbox>\n\t</object>\n"
        for _ in range(rng.integers(1, 5))
    )
    return (
        f"<annotation>\n\t<folder>VOC2012</folder>\n\t<filename>{name}.jpg</filename>\n"
        "\t<source>\n\t\t<database>The VOC2008 Database</database>\n"
        "\t\t<annotation>PASCAL VOC2008</annotation>\n\t\t<image>flickr</image>\n\t</source>\n"
        "\t<size>\n\t\t<width>500</width>\n\t\t<height>442</height>\n"
        f"\t\t<depth>3</depth>\n\t</size>\n\t<segmented>0</segmented>\n{objects}</annotation>\n"
    )


# {split: (images, annotations)} of instances_train2014.json and instances_val2014.json
COCO_SIZES = {"train": (82783, 604907), "val": (40504, 291875)}


def write_coco(root: Path) -> None:
    (root / "annotations").mkdir(parents=True)
    linked = LinkedImages(root)
    rng = np.random.default_rng(2014)
    categories = [
        {"supercategory": "thing", "id": number + 1, "name": name} for number, name in enumerate(coco.CLASSES)
    ]
    outline = rng.uniform(0, 600, 60).round(2).tolist()  # COCO's outlines have about 60 numbers on average
    for split, (images, count) in COCO_SIZES.items():
        (root / f"{split}2014").mkdir()
        names = [f"COCO_{split}2014_{7 * number:012d}.jpg" for number in range(images)]
        for name in names:
            linked.link(root / f"{split}2014" / name)
        annotated = SOURCES["coco2014"].counts[split]
        of_image = np.concatenate(
            [np.arange(annotated), rng.integers(annotated, size=count - annotated)]
        ).tolist()
        of_category = rng.integers(1, 81, count).tolist()
        listed = [coco_image(name, 7 * number) for number, name in enumerate(names)]
        objects = (
            coco_annotation(outline, 7 * image, of_category[number], number)
            for number, image in enumerate(of_image)
        )
        with open(root / "annotations" / f"instances_{split}2014.json", "w") as file:
            file.write(f'{{"info": {{}}, "licenses": [], "categories": {json.dumps(categories)}, ')
            file.write(f'"images": [{", ".join(listed)}], "annotations": [')
            file.write(f"{', '.join(objects)}]}}")


def coco_image(name: str, number: int) -> str:
    return (
        f'{{"license": 5, "file_name": "{name}", "coco_url": "http://mscoco.org/images/57870", '
        '"height": 480, "width": 640, "date_captured": "2013-11-14 16:28:13", "flickr_url": '
        f'"http://farm4.staticflickr.com/3153/2970773875_164f0c0b83_z.jpg", "id": {number}}}'
    )


def coco_annotation(outline: list[float], image: int, category: int, number: int) -> str:
    return (
        f'{{"segmentation": [{outline}], "area": 702.1, "iscrowd": 0, "image_id": {image}, '
        f'"bbox": [116.95, 305.86, 285.3, 166.03], "category_id": {category}, "id": {number}}}'
    )


def nuswide_names(count: int, begin: int = 0) -> list[str]:
    return [
        f"concept{index % 704:03d}/{index:04d}_{2124494179 + index}.jpg"
        for index in range(begin, begin + count)
    ]


def write_nuswide(root: Path, sizes: dict[str, int], official: bool) -> None:
    linked = LinkedImages(root)
    rng = np.random.default_rng(81)
    begin = 0
    for folder in (
        *(f"Flickr/concept{number:03d}" for number in range(704)),
        "ImageList",
        "Groundtruth/TrainTestLabels",
    ):
        (root / folder).mkdir(parents=True)
    for split, count in sizes.items():
        names = nuswide_names(count, begin)
        labels = (rng.random((count, 81)) < 0.023).astype(np.uint8)
        begin += count
        for name in names:
            linked.link(root / "Flickr" / name)
        if official:
            part = nuswide.OFFICIAL[split]
            (root / "ImageList" / f"{part}Imagelist.txt").write_text(
                "\r\n".join(name.replace("/", "\\") for name in names) + "\r\n"
            )
            for column, concept in enumerate(nuswide.CLASSES):
                text = "\r\n".join(map(str, labels[:, column])) + "\r\n"
                (root / "Groundtruth" / "TrainTestLabels" / f"Labels_{concept}_{part}.txt").write_text(text)
        else:
            np.save(root / f"formatted_{split}_images.npy", np.array(names))
            np.save(root / f"formatted_{split}_labels.npy", labels.astype(np.float64))


LISTINGS = {
    "voc2007": lambda root: write_voc(root, 2007),
    "voc2012": lambda root: write_voc(root, 2012),
    "coco2014": write_coco,
    "nuswide": lambda root: write_nuswide(root, SOURCES["nuswide"].counts, official=False),
    "nuswide-official": lambda root: write_nuswide(root, {"train": 161789, "val": 107859}, official=True),
}


def run(program: str, spec: str, home: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", program, spec],
        env=os.environ | {"CCD_HOME": str(home)},
        capture_output=True,
        text=True,
    )


def numbers(result: subprocess.CompletedProcess, text: str) -> list[float]:
    if result.returncode:
        raise SystemExit(result.stderr)
    return [float(part) for part in text.split()]


def measure(name: str, folder: Path) -> str:
    root = folder / name
    home = folder / "home"
    if not root.is_dir():
        print(f"writing {name} ...", file=sys.stderr)
        LISTINGS[name](root)
    spec = f"{name.removesuffix('-official')}:{root}"
    for file in home.glob("ground_truth/*"):
        file.unlink()
    first = numbers(result := run(OPEN, spec, home), result.stdout)
    again = numbers(result := run(OPEN, spec, home), result.stdout)
    result = run(CHECK, spec, home)
    seconds, peak, code = numbers(result, result.stderr)
    splits = json.loads(result.stdout)["splits"]
    counts = " / ".join(f"{report['images']:,}" for report in splits.values())
    return (
        f"{name:17} {counts:>19} {'yes' if all(one['agrees'] for one in splits.values()) else 'no':>6}   "
        f"{seconds:6.1f} s {peak:6.0f} MB  exit {code:.0f}  "
        f"{first[0] + first[1]:6.1f} s {first[2]:6.0f} MB {first[3]:6.0f} MB   {again[0]:6.2f} + "
        f"{again[1]:.2f} s {again[2]:6.0f} MB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(LISTINGS)}; all without one")
    parser.add_argument("--folder", type=Path, help="where to write the listings, and leave them")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(LISTINGS):
        parser.error(f"there is no listing {', '.join(unknown)}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        print(
            f"{'':17} {'images':>19} agrees   {'data check --quick':26}  {'open + truth, first':21} child    "
            f"  again"
        )
        began = time.perf_counter()
        for name in arguments.names or LISTINGS:
            print(measure(name, folder), flush=True)
        print(f"{time.perf_counter() - began:.0f} s in all", file=sys.stderr)


if __name__ == "__main__":
    main()
