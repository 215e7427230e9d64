"""Which images and classes a data set has: `open_dataset("voc2012:/data")`.

One interface for every data set. Label making and training are given an `ImageList`, which has no labels;
scoring and the app's pages ask `Dataset.ground_truth` for a `GroundTruth`. A new data set is a small module
with one function that returns a `Dataset`, and one line in `KINDS`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ccd_core.errors import UserError

Box = tuple[int, int, int, int]
Progress = Callable[[int, int], None]  # done, total


@dataclass(frozen=True)
class ImageList:
    """Names and places of images: all that label making and training ever see of a data set."""

    ids: tuple[str, ...]
    paths: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def without(self, ids: Collection[str]) -> ImageList:
        """The same list less the images named, such as those that cannot be read."""
        dropped = set(ids)
        kept = [(name, path) for name, path in zip(self.ids, self.paths, strict=True) if name not in dropped]
        return ImageList(tuple(name for name, _ in kept), tuple(path for _, path in kept))


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """What is truly in the images, for scoring and for the app's pages only.

    `targets` is float32 [N, C], 0 or 1. `boxes` has, per image, (class index, (x0, y0, x1, y1)) in half-open
    pixels of the image file; the tuple of an image is empty where the data set has no boxes.
    """

    ids: tuple[str, ...]
    targets: np.ndarray
    boxes: tuple[tuple[tuple[int, Box], ...], ...]

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.ids)}

    def rows(self, ids: Iterable[str]) -> np.ndarray:
        """float32 [len(ids), C]: targets in the order of `ids`. Raises UserError for an image without ground truth."""
        try:
            return self.targets[[self._row_of[name] for name in ids]]
        except KeyError as error:
            raise UserError(f"There is no ground truth for image {error.args[0]!r}.") from None


@dataclass(frozen=True)
class Dataset:
    """A data set as opened: its classes and its splits, "train" and, where there is one, "val"."""

    spec: str
    classes: tuple[str, ...]
    splits: dict[str, ImageList]
    read_ground_truth: Callable[[str], GroundTruth | None]

    def ground_truth(self, split: str) -> GroundTruth | None:
        """What is known of a split, read when asked for; None where nothing is."""
        return self.read_ground_truth(split) if split in self.splits else None


def open_dataset(spec: str, classes: Path | None = None, progress: Progress | None = None) -> Dataset:
    """Open the data set that `spec` names: `demo`, `folder:DIR`, `voc2007:ROOT` or `voc2012:ROOT`.

    `classes` is a file of class names, for `folder:DIR` alone. `progress(done, total)` is called while the
    demo's images are drawn on first use. Raises UserError for what cannot be opened.
    """
    kind, _, place = spec.partition(":")
    if kind not in KINDS:
        hint = f"; for your own images write folder:{spec}" if Path(spec).is_dir() else ""
        raise UserError(f"There is no data set {spec!r}; write {_in_words(KIND_FORMS)}{hint}.")
    if classes is not None and kind != "folder":
        raise UserError(f"A file of classes goes with folder:DIR; the data set {kind} has its own classes.")
    if not place and kind != "demo":
        raise UserError(f"The data set {spec!r} does not say where it is; write {KIND_FORMS[kind]}.")
    dataset = KINDS[kind](spec, Path(place).expanduser() if place else demo_root(), classes, progress)
    for split, images in dataset.splits.items():
        if not images:
            raise UserError(f"The data set {spec} has no images in its split {split}.")
    return dataset


def home() -> Path:
    """Where the project keeps what can be made again: $CCD_HOME, or ~/.cache/ccd."""
    return Path(os.environ.get("CCD_HOME") or "~/.cache/ccd").expanduser()


def demo_root() -> Path:
    """Where the demo's images are drawn."""
    return home() / "toy-scenes-v2"


# An opener takes the spec, its place, a file of classes or None, and a progress callback or None. Each imports
# its module when called: those modules import this one, and nobody has to load what they do not open.
Opener = Callable[[str, Path, Path | None, Progress | None], Dataset]


def _open_demo(spec: str, root: Path, classes: Path | None, progress: Progress | None) -> Dataset:
    from ccd_core.data import demo

    return demo.open_demo(spec, root, progress)


def _open_folder(spec: str, root: Path, classes: Path | None, progress: Progress | None) -> Dataset:
    from ccd_core.data import folder

    return folder.open_folder(spec, root, classes)


def _open_voc(year: int) -> Opener:
    def opener(spec: str, root: Path, classes: Path | None, progress: Progress | None) -> Dataset:
        from ccd_core.data import voc

        return voc.open_voc(spec, root, year)

    return opener


KINDS: dict[str, Opener] = {"demo": _open_demo, "folder": _open_folder, "voc2007": _open_voc(2007), "voc2012": _open_voc(2012)}
KIND_FORMS = {"demo": "demo", "folder": "folder:DIR", "voc2007": "voc2007:ROOT", "voc2012": "voc2012:ROOT"}


def _in_words(forms: dict[str, str]) -> str:
    *others, last = forms.values()
    return f"{', '.join(others)} or {last}"
