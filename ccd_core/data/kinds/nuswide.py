"""NUS-WIDE with its 81 concepts, in either of its two forms.

The benchmark's form has 150,000 / 60,260 images, listed in formatted_{train,val}_{images,labels}.npy beside
the folder Flickr. The lists come from Cole et al., "Multi-Label Learning from Single Positive Labels" (CVPR
2021; data/README.md of their code), who downloaded again what was still on Flickr and split it anew. The
authors of CCD read the same lists (datasets.py). The paper (4.1) counts 150,000 / 60,200.

The official form has 161,789 / 107,859 images, listed in ImageList/{Train,Test}Imagelist.txt, with labels in
Groundtruth/TrainTestLabels/Labels_CONCEPT_{Train,Test}.txt.

If both forms are there, the benchmark's is used. A fifth of the images show none of the concepts ("none
images" in 4.2 and in Sec. 8 of the supplement). They stay in both splits, with targets that are all zero.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ccd_core.data.listing.names import as_name, as_text
from ccd_core.data.listing.text_files import clean, read_bytes, read_text
from ccd_core.data.sources import fetch_command, find_base
from ccd_core.data.truth_cache import cached_truth
from ccd_core.data.types import Boxes, Dataset, GroundTruth, ImageList, Paths
from ccd_core.errors import UserError

CLASSES = (  # in the order of ConceptsList/Concepts81.txt, which is also the order of the labels' columns
    "airport", "animal", "beach", "bear", "birds", "boats", "book", "bridge", "buildings", "cars", "castle",
    "cat", "cityscape", "clouds", "computer", "coral", "cow", "dancing", "dog", "earthquake", "elk", "fire",
    "fish", "flags", "flowers", "food", "fox", "frost", "garden", "glacier", "grass", "harbor", "horses",
    "house", "lake", "leaf", "map", "military", "moon", "mountain", "nighttime", "ocean", "person", "plane",
    "plants", "police", "protest", "railroad", "rainbow", "reflection", "road", "rocks", "running", "sand",
    "sign", "sky", "snow", "soccer", "sports", "statue", "street", "sun", "sunset", "surf", "swimmers",
    "tattoo", "temple", "tiger", "tower", "town", "toy", "train", "tree", "valley", "vehicle", "water",
    "waterfall", "wedding", "whales", "window", "zebra",
)  # fmt: skip
OFFICIAL = {"train": "Train", "val": "Test"}
IMAGE_FOLDERS = ("Flickr", "images", "Images")


def open_nuswide(spec: str, root: Path) -> Dataset:
    """Open NUS-WIDE in `root`, which holds the folder Flickr and the lists of one of the two forms.

    There is no split val if there is no list of test images. Raises UserError if the images or the lists are
    missing.
    """
    base = find_lists(root)
    folder = next((base / name for name in IMAGE_FOLDERS if (base / name).is_dir()), None)
    if folder is None:
        raise UserError(
            f"The folder of images {base / 'Flickr'} is missing; "
            f"{fetch_command('nuswide', base)} says whom to ask for it."
        )
    read_ids = _benchmark_ids if _is_benchmark(base) else _official_ids
    read_targets = _benchmark_targets if _is_benchmark(base) else _official_targets
    _check_concepts(base)
    splits = {}
    for split in OFFICIAL:
        ids = read_ids(base, split)
        if ids is not None:
            names = tuple(map(as_name, ids))
            splits[split] = ImageList(ids, Paths(folder, ids if names == ids else names))

    def read(split: str) -> GroundTruth:
        ids = splits[split].ids

        def parse() -> GroundTruth:
            return GroundTruth(ids, read_targets(base, split, len(ids)), Boxes.none(len(ids)))

        return cached_truth([list_file(base, split), *label_files(base, split)], "nuswide 2", parse)

    return Dataset(spec, CLASSES, splits, read)


def find_lists(root: Path) -> Path:
    """The folder with the benchmark's lists, or else the official ones. Raises UserError if there is none."""
    base = find_base("nuswide", root, ("formatted_train_images.npy", "ImageList/TrainImagelist.txt"))
    if base is not None:
        return base
    raise UserError(
        f"There is no NUS-WIDE in {root}: neither formatted_train_images.npy (the paper's split) nor "
        "ImageList/TrainImagelist.txt (the official one) is there; "
        f"{fetch_command('nuswide', root)} says where to get them."
    )


def _is_benchmark(base: Path) -> bool:
    return (base / "formatted_train_images.npy").is_file()


def list_file(base: Path, split: str) -> Path:
    if _is_benchmark(base):
        return base / f"formatted_{split}_images.npy"
    return base / "ImageList" / f"{OFFICIAL[split]}Imagelist.txt"


def label_files(base: Path, split: str) -> list[Path]:
    if _is_benchmark(base):
        return [base / f"formatted_{split}_labels.npy"]
    folder = base / "Groundtruth" / "TrainTestLabels"
    return [folder / f"Labels_{name}_{OFFICIAL[split]}.txt" for name in CLASSES]


def _benchmark_ids(base: Path, split: str) -> tuple[str, ...] | None:
    path = list_file(base, split)
    if not path.is_file():
        return None
    names = _load_array(path)
    if names.ndim != 1 or names.dtype.kind not in "US":
        raise UserError(
            f"{path} must hold one list of file names, but holds {names.dtype} {list(names.shape)}."
        )
    if names.dtype.kind == "S":
        names = np.char.decode(names, "utf-8", "surrogateescape")
    return tuple(as_text(below_flickr(name)) for name in names.tolist())


def _benchmark_targets(base: Path, split: str, count: int) -> np.ndarray:
    path = label_files(base, split)[0]
    labels = _load_array(path)
    if labels.shape != (count, len(CLASSES)):
        raise UserError(
            f"{path} holds labels of shape {list(labels.shape)}, but {count} images are listed and there are "
            f"{len(CLASSES)} concepts."
        )
    if labels.dtype.kind not in "biuf":
        raise UserError(f"{path} must hold numbers, but holds {labels.dtype}.")
    return (labels > 0).astype(np.float32)


def _load_array(path: Path) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise UserError(f"{path} is missing; it belongs to the benchmark's files for NUS-WIDE.") from None
    except (OSError, ValueError, EOFError) as error:
        if "objects" in str(error) or "Object arrays" in str(error):
            raise UserError(
                f"{path} is no array file of numpy that can be read: it holds Python objects, and reading "
                "these can run code; save the names as text with np.save(FILE, np.array(names, str))."
            ) from None
        raise UserError(f"{path} is no array file of numpy, or is damaged.") from None
    if not isinstance(array, np.ndarray):
        raise UserError(f"{path} holds several arrays (.npz); save one array with np.save.")
    return array


def _official_ids(base: Path, split: str) -> tuple[str, ...] | None:
    path = list_file(base, split)
    if not path.is_file():
        return None
    lines = read_text(path)[0].split("\n")
    return tuple(below_flickr(line) for line in map(clean, lines) if line)


def _official_targets(base: Path, split: str, count: int) -> np.ndarray:
    """float32 [count, C] of 0 and 1. In the files, 0 and -1 both mean that the concept is absent."""
    targets = np.zeros((count, len(CLASSES)), np.float32)
    for column, path in enumerate(label_files(base, split)):
        if not path.exists():
            raise UserError(f"{path} is missing; unpack Groundtruth.zip of NUS-WIDE.")
        labels = _labels(path)
        if len(labels) != count:
            raise UserError(
                f"{path} has {len(labels)} labels, and {list_file(base, split).name} lists {count} images; "
                "use the lists that belong together."
            )
        targets[:, column] = labels
    return targets


def _labels(path: Path) -> np.ndarray:
    """bool [N]: the labels in a file, one a line."""
    content = np.frombuffer(read_bytes(path), np.uint8)
    if np.isin(content, np.frombuffer(b"01 \r\n\t", np.uint8)).all():  # as NUS-WIDE is published
        return content[(content == ord("0")) | (content == ord("1"))] == ord("1")
    words = read_text(path)[0].split()
    strange = set(words) - {"0", "1", "-1", "+1", "0.0", "1.0"}
    if strange:
        raise UserError(f"{path} has the label {min(strange)!r}; labels are 0 or 1.")
    return np.array([float(word) > 0 for word in words], bool)


def below_flickr(text: str) -> str:
    """An image's path below the folder of images, from a line of a list that any machine may have written.

    Both actor/1.jpg and C:\\ImageData\\Flickr\\actor\\1.jpg give actor/1.jpg.
    """
    parts = text.strip().replace("\\", "/").split("/")
    for name in IMAGE_FOLDERS:
        if name in parts[:-1]:
            return "/".join(parts[parts.index(name) + 1 :])
    is_absolute = not parts[0] or parts[0].endswith(":")
    return "/".join(parts[-2:] if is_absolute else [part for part in parts if part not in (".", "..")])


def _check_concepts(base: Path) -> None:
    """Raise UserError if there is a list of concepts and it is not the one expected."""
    for path in (base / "ConceptsList" / "Concepts81.txt", base / "Concepts81.txt"):
        if not path.is_file():
            continue
        names = [name for name in map(clean, read_text(path)[0].split("\n")) if name]
        for expected, name in zip(CLASSES, names):
            if name != expected:
                raise UserError(
                    f"{path} is not NUS-WIDE's list of 81 concepts: {expected!r} is expected and {name!r} is "
                    "there."
                )
        if len(names) != len(CLASSES):
            raise UserError(f"{path} is not NUS-WIDE's list of 81 concepts: it has {len(names)} names.")
        return
