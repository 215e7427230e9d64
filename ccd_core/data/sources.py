"""The public data sets: archives with sizes, checksums and addresses, and the published counts of images.

Sizes and MD5s of VOC's archives are those of torchvision (torchvision/datasets/voc.py). COCO publishes no
checksums. Its MD5s are those that PaddleDetection's downloader checks. The MD5 of the annotations is also the
server's ETag.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Archive:
    """A file to download. Its addresses are tried in their order."""

    name: str
    bytes: int
    md5: str
    urls: tuple[str, ...]

    @property
    def size(self) -> str:
        return in_words(self.bytes)


@dataclass(frozen=True)
class Part:
    """A file or folder that a data set needs. It may have any of `names`."""

    names: tuple[str, ...]
    comes_with: str  # the archive that holds it


@dataclass(frozen=True)
class Source:
    """What is known about a public data set."""

    counts: dict[str, int]  # images of each split, as the paper counts them (4.1)
    places: tuple[str, ...]  # folders below ROOT in which it may be
    parts: tuple[Part, ...]
    archives: tuple[Archive, ...] = ()
    by_hand: str = ""  # instructions, if nothing can be downloaded without asking a person
    also: dict[str, int] | None = None  # other counts that are right
    why_also: str = ""


def in_words(count: int) -> str:
    """A number of bytes as people write it, for example 439 MB or 13.5 GB."""
    if count >= 1e9:
        return f"{count / 1e9:.1f} GB"
    if count >= 1e6:
        return f"{count / 1e6:.0f} MB"
    return f"{max(count / 1e3, 0.1):.1f} kB"


def _voc(name: str, size: int, md5: str, year: int) -> Archive:
    places = (
        f"https://thor.robots.ox.ac.uk/pascal/VOC/voc{year}/",
        f"http://host.robots.ox.ac.uk/pascal/VOC/voc{year}/",
        "https://data.pjreddie.com/files/",
    )
    return Archive(name, size, md5, tuple(place + name for place in places))


def _coco(folder: str, name: str, size: int, md5: str) -> Archive:
    places = ("http://images.cocodataset.org/", "https://s3.amazonaws.com/images.cocodataset.org/")
    return Archive(name, size, md5, tuple(f"{place}{folder}/{name}" for place in places))


NUSWIDE_PAGE = "https://lms.comp.nus.edu.sg/wp-content/uploads/2019/research/nuswide/NUS-WIDE.html"
BENCHMARK_FILES = "the benchmark's files, or ImageList.zip and Groundtruth.zip"
NUSWIDE_BY_HAND = f"""NUS-WIDE's images are given out on request only, so a person has to ask:
  1. Fill in the Agreement and Disclaimer Form on {NUSWIDE_PAGE}
     and mail it as the page says; the answer is a link to Flickr.zip.
  2. Unpack it, so that DIR/Flickr/actor/0001_2124494179.jpg and 703 more folders like actor are there.
  3. For the paper's split (150,000 training and 60,200 test images) put formatted_train_images.npy,
     formatted_train_labels.npy, formatted_val_images.npy and formatted_val_labels.npy beside Flickr. They are
     in the data of "Multi-Label Learning from Single Positive Labels"
     (https://caltech.box.com/v/single-positive-multi-label) and in the folder "metadata" of the authors' code
     (https://github.com/k0u-id/CCD). For the official split (161,789 / 107,859 images) unpack ImageList.zip
     and Groundtruth.zip of the first page there instead.
  4. Check the result: ccd data check nuswide:DIR"""

VOC_2007 = (
    _voc("VOCtrainval_06-Nov-2007.tar", 460032000, "c52e279531787c972589f7e41ab4ae64", 2007),
    _voc("VOCtest_06-Nov-2007.tar", 451020800, "b6e924de25625d8de591ea690078ad9f", 2007),
)
VOC_2012 = (_voc("VOCtrainval_11-May-2012.tar", 1999639040, "6cd6e144f989b92b3379bac3b3de84fd", 2012),)
COCO_2014 = (
    _coco("annotations", "annotations_trainval2014.zip", 252872794, "0a379cfc70b0e71301e0f377548639bd"),
    _coco("zips", "train2014.zip", 13510573713, "0da8c0bd3d6becc4dcb32757491aca88"),
    _coco("zips", "val2014.zip", 6645013297, "a3d79f5ed8d289b7a7554ce06a5782b3"),
)

SOURCES = {
    "voc2007": Source(
        counts={"train": 5011, "val": 4952},
        places=("VOCdevkit/VOC2007", "VOC2007", "."),
        parts=(
            Part(("ImageSets/Main/trainval.txt",), VOC_2007[0].name),
            Part(("ImageSets/Main/test.txt",), VOC_2007[1].name),
            Part(("JPEGImages",), f"{VOC_2007[0].name} and {VOC_2007[1].name}"),
            Part(("Annotations",), f"{VOC_2007[0].name} and {VOC_2007[1].name}"),
        ),
        archives=VOC_2007,
    ),
    "voc2012": Source(
        counts={"train": 5717, "val": 5823},
        places=("VOCdevkit/VOC2012", "VOC2012", "."),
        parts=tuple(
            Part((name,), VOC_2012[0].name)
            for name in ("ImageSets/Main/train.txt", "ImageSets/Main/val.txt", "JPEGImages", "Annotations")
        ),
        archives=VOC_2012,
    ),
    "coco2014": Source(
        counts={"train": 82081, "val": 40137},
        places=(".", "coco", "coco2014"),
        parts=(
            Part(("annotations/instances_train2014.json",), COCO_2014[0].name),
            Part(("annotations/instances_val2014.json",), COCO_2014[0].name),
            Part(("train2014", "images/train2014"), COCO_2014[1].name),
            Part(("val2014", "images/val2014"), COCO_2014[2].name),
        ),
        archives=COCO_2014,
    ),
    "nuswide": Source(
        counts={"train": 150000, "val": 60200},
        places=(".", "NUS-WIDE", "nuswide"),
        parts=(
            Part(("Flickr", "images", "Images"), "Flickr.zip"),
            Part(("formatted_train_images.npy", "ImageList/TrainImagelist.txt"), BENCHMARK_FILES),
            Part(("formatted_train_labels.npy", "Groundtruth/TrainTestLabels"), BENCHMARK_FILES),
            Part(("formatted_val_images.npy", "ImageList/TestImagelist.txt"), BENCHMARK_FILES),
            Part(("formatted_val_labels.npy", "Groundtruth/TrainTestLabels"), BENCHMARK_FILES),
        ),
        by_hand=NUSWIDE_BY_HAND,
        also={"train": 150000, "val": 60260},
        why_also="the benchmark's own files list 60,260 test images; the paper says 60,200",
    ),
}


def find_base(kind: str, root: Path, names: tuple[str, ...]) -> Path | None:
    """The first of the data set's usual folders below `root` that holds a file or folder with one of `names`.

    An earlier name counts more than an earlier folder. None if nothing is found.
    """
    for name in names:
        for place in SOURCES[kind].places:
            if (root / place / name).exists():
                return root / place
    return None


def fetch_command(kind: str, root: Path) -> str:
    """The command that fetches a data set to `root`, to be pasted into a terminal."""
    return f"`{shlex.join(['ccd', 'data', 'fetch', kind, str(root)])}`"


def archives_in_words(kind: str) -> str:
    """The names and sizes of a data set's archives, as a part of a sentence."""
    return in_a_row([f"{archive.name} ({archive.size})" for archive in SOURCES[kind].archives])


def in_a_row(things: list[str]) -> str:
    """The list as a part of a sentence: "a, b and c"."""
    *others, last = things
    return f"{', '.join(others)} and {last}" if others else last
