"""What a data set is made of: lists of images, boxes, ground truth.

Label making and training are given an `ImageList`, which has no labels. Scoring and the app's pages ask
`Dataset.ground_truth` for a `GroundTruth`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import overload

import numpy as np

from ccd_core.errors import UserError

Box = tuple[int, int, int, int]
Progress = Callable[[int, int], None]  # done, total


class Paths(Sequence[Path]):
    """Files of one folder, kept as the names they have anyway and made into paths when asked for.

    150,000 `Path` objects cost 60 MB and 1.5 seconds, measured.
    """

    def __init__(self, folder: Path, names: Sequence[str], suffix: str = ""):
        self.folder, self.names, self.suffix = folder, names, suffix

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
    """Names and places of images: all that label making and training ever see of a data set."""

    ids: tuple[str, ...]
    paths: Sequence[Path]

    def __len__(self) -> int:
        return len(self.ids)

    def without(self, ids: Collection[str]) -> ImageList:
        """The same list less the images named, such as those that cannot be read."""
        dropped = set(ids)
        rows = [row for row, name in enumerate(self.ids) if name not in dropped]
        kept = tuple(self.ids[row] for row in rows)
        if not isinstance(self.paths, Paths):
            return ImageList(kept, tuple(self.paths[row] for row in rows))
        names = kept if self.paths.names is self.ids else tuple(self.paths.names[row] for row in rows)
        return ImageList(kept, Paths(self.paths.folder, names, self.paths.suffix))

    def path(self, image: str) -> Path | None:
        """Where one image is, by its name; None where the list does not have it."""
        row = self._row_of.get(image)
        return None if row is None else self.paths[row]

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.ids)}


class Boxes(Sequence[tuple[tuple[int, Box], ...]]):
    """Per image, (class index, (x0, y0, x1, y1)) of its objects, from three arrays instead of a million small tuples.

    `offsets` int64 [N + 1] says where an image's objects begin in `classes` int16 [M] and `corners` int32 [M, 4].
    """

    def __init__(self, offsets: np.ndarray, classes: np.ndarray, corners: np.ndarray):
        self.offsets, self.classes, self.corners = offsets, classes, corners

    @classmethod
    def of(cls, objects: Sequence[Sequence[tuple[int, Box]]]) -> Boxes:
        """From (class index, box) of every object of every image."""
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
        """For a data set of `count` images that has no boxes."""
        return cls.of(((),) * count)

    def reindexed(self, new_index: np.ndarray) -> Boxes:
        """The same with class `new_index[c]` for c; objects of a class that gets -1 are left out."""
        classes = new_index[self.classes]
        kept = classes >= 0
        return Boxes(np.concatenate([[0], np.cumsum(kept)])[self.offsets], classes[kept], self.corners[kept])

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index):  # an image's objects, or those of a slice of images
        if isinstance(index, slice):
            return tuple(self[row] for row in range(*index.indices(len(self))))
        first, last = self.offsets[range(len(self))[index]], self.offsets[range(len(self))[index] + 1]
        return tuple(
            (int(c), tuple(box))
            for c, box in zip(self.classes[first:last], self.corners[first:last].tolist(), strict=True)
        )


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """What is truly in the images, for scoring and for the app's pages only.

    `targets` is float32 [N, C], 0 or 1. `boxes` has, per image, (class index, (x0, y0, x1, y1)) in half-open
    pixels of the image file; the tuple of an image is empty where the data set has no boxes.
    """

    ids: tuple[str, ...]
    targets: np.ndarray
    boxes: Sequence[tuple[tuple[int, Box], ...]]

    @cached_property
    def row_of(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.ids)}

    def in_terms_of(self, classes: Sequence[str], names: Sequence[str]) -> GroundTruth:
        """The same with the columns and box classes of `classes`, by name, where they are those of `names` now; other names are left out."""
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
        """float32 [len(ids), C]: targets in the order of `ids`. Raises UserError for an image without ground truth."""
        try:
            return self.targets[[self.row_of[name] for name in ids]]
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

    def path(self, image: str) -> Path | None:
        """Where an image is, in whichever split it is; None where the data set does not have it."""
        return next(
            (path for images in self.splits.values() if (path := images.path(image)) is not None), None
        )
