"""What a data set consists of: image lists, boxes and ground truth.

The stages that make labels and train receive an `ImageList`, which holds no labels. Only scoring, the study
and the app's pages call `Dataset.ground_truth`, which returns a `GroundTruth`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, overload

import numpy as np

from ccd_core.errors import UserError

if TYPE_CHECKING:
    from ccd_core.data.decoding.depth import Depth

# (x0, y0, x1, y1) in whole pixels, half-open: x1 and y1 are the first column and row outside the box.
Box = tuple[int, int, int, int]
UnitBox = tuple[float, float, float, float]  # x0, y0, x1, y1 as fractions of the image's sides
Progress = Callable[[int, int], None]  # called with (done, total)


class Paths(Sequence[Path]):
    """Files of one folder, stored as names. A `Path` is built only when an entry is read.

    150,000 `Path` objects would cost 60 MB and 1.5 seconds (measured).
    """

    def __init__(self, folder: Path, names: Sequence[str], suffix: str = ""):
        self.folder = folder
        self.names = names
        self.suffix = suffix

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> Path: ...
    @overload
    def __getitem__(self, index: slice) -> Paths: ...
    def __getitem__(self, index: int | slice) -> Path | Paths:
        if isinstance(index, slice):
            return Paths(self.folder, self.names[index], self.suffix)
        return self.folder / f"{self.names[index]}{self.suffix}"


@dataclass(frozen=True)
class ImageList:
    """Names and paths of N images. Label making and training see nothing else of a data set.

    `depth` tells how many bits the data set's pictures of 16 bits use. It is None where that is not measured.
    """

    ids: tuple[str, ...]
    paths: Sequence[Path]
    depth: Depth | None = None

    @property
    def bits(self) -> int | None:
        """The bits that pictures of 16 bits use, for `read_image`. None if there are no such pictures."""
        return None if self.depth is None else self.depth.bits

    def __len__(self) -> int:
        return len(self.ids)

    def without(self, ids: Collection[str]) -> ImageList:
        """The list without the images `ids`, for example those that cannot be read."""
        dropped = set(ids)
        rows = [row for row, name in enumerate(self.ids) if name not in dropped]
        remaining = tuple(self.ids[row] for row in rows)
        if not isinstance(self.paths, Paths):
            return replace(self, ids=remaining, paths=tuple(self.paths[row] for row in rows))
        if self.paths.names is self.ids:
            names = remaining  # the two tuples stay one object, which saves memory
        else:
            names = tuple(self.paths.names[row] for row in rows)
        return replace(self, ids=remaining, paths=Paths(self.paths.folder, names, self.paths.suffix))

    def path(self, image: str) -> Path | None:
        """The path of the image with this name, or None if the list does not have it."""
        row = self._row_of.get(image)
        return None if row is None else self.paths[row]

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.ids)}


class Boxes(Sequence[tuple[tuple[int, Box], ...]]):
    """The M objects of N images. Entry i is a tuple of (class index, `Box`), one for each object of image i.

    Three arrays hold the objects, because a million small tuples would need far more memory. The objects of
    image i are the rows `offsets[i]` to `offsets[i + 1]` of `classes` int16 [M] and `corners` int32 [M, 4];
    `offsets` is int64 [N + 1].
    """

    def __init__(self, offsets: np.ndarray, classes: np.ndarray, corners: np.ndarray):
        self.offsets = offsets
        self.classes = classes
        self.corners = corners

    @classmethod
    def of(cls, objects: Sequence[Sequence[tuple[int, Box]]]) -> Boxes:
        """Build the arrays from (class index, box) of every object of every image."""
        counts = [len(found) for found in objects]
        flat = [entry for found in objects for entry in found]
        corners = np.array([box for _, box in flat], np.int32).reshape(-1, 4)
        return cls(
            np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]),
            np.array([c for c, _ in flat], np.int16),
            corners,
        )

    @classmethod
    def none(cls, count: int) -> Boxes:
        """The boxes of a data set of `count` images that has none."""
        return cls.of(((),) * count)

    def reindexed(self, new_index: np.ndarray) -> Boxes:
        """The same objects with class `new_index[c]` in place of c, without those whose new class is -1."""
        classes = new_index[self.classes]
        known = classes >= 0
        offsets = np.concatenate([[0], np.cumsum(known)])[self.offsets]
        return Boxes(offsets, classes[known], self.corners[known])

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index):  # one image's objects, or those of a slice of images
        if isinstance(index, slice):
            return tuple(self[row] for row in range(*index.indices(len(self))))
        row = range(len(self))[index]  # also raises IndexError and accepts negative indices
        objects = slice(self.offsets[row], self.offsets[row + 1])
        return tuple(
            (int(c), tuple(box))
            for c, box in zip(self.classes[objects], self.corners[objects].tolist(), strict=True)
        )


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """The annotations of N images, for scoring, the study and the app's pages. Nothing is trained on them.

    `targets` is float32 [N, C] of 0 and 1. `boxes` has one tuple for each image, with (class index, `Box`) of
    every object in pixels of the image file. The tuples are empty if the data set has no boxes.
    """

    ids: tuple[str, ...]
    targets: np.ndarray
    boxes: Sequence[tuple[tuple[int, Box], ...]]

    @cached_property
    def row_of(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.ids)}

    def in_terms_of(self, classes: Sequence[str], names: Sequence[str]) -> GroundTruth:
        """The same ground truth with the classes of `classes`, in that order.

        `names` are the present classes, one for each column. Every name of `classes` must be among them.
        Columns and boxes of other classes are removed.
        """
        if tuple(classes) == tuple(names):
            return self
        new_index = np.full(len(names), -1, np.int16)
        columns = [names.index(name) for name in classes]
        new_index[columns] = range(len(classes))
        return GroundTruth(self.ids, self.targets[:, columns], self._boxes.reindexed(new_index))

    @property
    def _boxes(self) -> Boxes:
        return self.boxes if isinstance(self.boxes, Boxes) else Boxes.of(self.boxes)

    def rows(self, ids: Iterable[str]) -> np.ndarray:
        """Targets in the order of `ids`, float32 [len(ids), C]. Raises UserError if one has none."""
        try:
            return self.targets[[self.row_of[name] for name in ids]]
        except KeyError as error:
            raise UserError(f"There is no ground truth for image {error.args[0]!r}.") from None

    def matched(self, ids: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
        """The rows of `ids` that have ground truth, int [n], and their targets, float32 [n, C]."""
        found = [(row, self.row_of[name]) for row, name in enumerate(ids) if name in self.row_of]
        pairs = np.array(found, int).reshape(-1, 2)
        return pairs[:, 0], self.targets[pairs[:, 1]]


@dataclass(frozen=True)
class Dataset:
    """An open data set with its classes and its splits. There is always "train"; "val" may be missing.

    `notes` are sentences about what was understood or left out. `left_out` is {name: why} of all files that
    look like images and are not used.
    """

    spec: str
    classes: tuple[str, ...]
    splits: dict[str, ImageList]
    read_ground_truth: Callable[[str], GroundTruth | None]
    notes: tuple[str, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)

    def ground_truth(self, split: str) -> GroundTruth | None:
        """Read the annotations of `split`. Returns None if there is no such split, or if it has no labels."""
        return self.read_ground_truth(split) if split in self.splits else None

    def path(self, image: str) -> Path | None:
        """The path of an image, whichever split it belongs to, or None if the data set does not have it."""
        for images in self.splits.values():
            path = images.path(image)
            if path is not None:
                return path
        return None
