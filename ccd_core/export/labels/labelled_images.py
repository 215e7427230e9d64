"""The images of a run with the labels that it gives them, and a CAM box for each label.

All formats of labelled images are made from this. An image without labels has its place in it, too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ccd_core.data import WITH_CLASSES, open_dataset
from ccd_core.data.decoding.images import image_size
from ccd_core.data.listing.names import count_of, shown
from ccd_core.data.types import Dataset, ImageList
from ccd_core.errors import ImageError, UserError
from ccd_core.export.formats import Export

SPLITS = ("train", "val")
PSEUDO_LABEL = 0.5  # a final label from this value on says that the class is there
BATCH = 32  # images of which class maps are computed at once
LOOKED_AT = 512  # images whose sizes are read between two reports


@dataclass(frozen=True)
class Label:
    """A class that an image is given. box: x0, y0, x1, y1 in pixels of the image, or None without boxes."""

    index: int  # of the class
    name: str
    score: float
    box: tuple[float, float, float, float] | None


@dataclass(frozen=True)
class Image:
    """An image with its labels, the surest first. width and height are in pixels, 0 where not looked at."""

    id: str  # the run's name of the image
    path: Path
    place: str  # `path` below `LabelledImages.base`, with / between folders
    split: str
    width: int
    height: int
    labels: tuple[Label, ...]


@dataclass(frozen=True)
class LabelledImages:
    """N images with M labels, as arrays. Iteration gives an `Image` each.

    splits [N]; sizes int32 [N, 2], width and height; owner [M], the row of the image of a label, rising;
    index [M], its class; score float32 [M]; box float32 [M, 4], corners in pixels, or None.
    """

    classes: tuple[str, ...]
    images: ImageList
    splits: Sequence[str]
    sizes: np.ndarray
    owner: np.ndarray
    index: np.ndarray
    score: np.ndarray
    box: np.ndarray | None

    @cached_property
    def base(self) -> Path:
        """The folder that holds all images."""
        return Path(os.path.commonpath([os.path.abspath(path.parent) for path in self.images.paths]))

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.searchsorted(self.owner, np.arange(len(self) + 1))

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[Image]:
        for row, (name, path) in enumerate(zip(self.images.ids, self.images.paths, strict=True)):
            width, height = self.sizes[row].tolist()
            labels = tuple(self._label(at) for at in range(self._starts[row], self._starts[row + 1]))
            place = os.path.relpath(os.path.abspath(path), self.base).replace(os.sep, "/")
            yield Image(name, path, place, self.splits[row], width, height, labels)

    def _label(self, at: int) -> Label:
        index = int(self.index[at])
        box = None
        if self.box is not None:
            x0, y0, x1, y1 = self.box[at].astype(float).round(2).tolist()
            box = (x0, y0, x1, y1)
        return Label(index, self.classes[index], round(float(self.score[at]), 5), box)


def labelled_images(export: Export, with_sizes: bool = True) -> LabelledImages:
    """The images of the splits asked for, with labels, boxes and sizes.

    with_sizes: without them, and without boxes, no image file is opened. Images that cannot be read any more
    are left out and named in `export.facts`. Raises UserError where the run has no scores, or its data set is
    not where it was.
    """
    ids, values, splits = _scores(export)
    dataset = _data_set(export)
    found = [dataset.path(name) for name in ids]
    paths = [path for path in found if path is not None]
    if not paths:
        raise UserError(
            f"The data set {dataset.spec} has none of the {count_of(len(ids), 'image')} of run "
            f"{export.run.name}, such as {shown(ids[0])!r}; name the right one with --dataset."
        )
    left_out = {
        name: "it is not in the data set any more"
        for name, path in zip(ids, found, strict=True)
        if path is None
    }
    rows = np.flatnonzero([path is not None for path in found])
    sizes = np.zeros((len(rows), 2), np.int32)
    if with_sizes or export.boxes:
        sizes, unreadable = _sizes(export, paths)
        left_out |= {ids[rows[place]]: why for place, why in unreadable.items()}
        kept = np.delete(np.arange(len(rows)), list(unreadable))
        if not len(kept):
            raise UserError(
                f"None of the images of run {export.run.name} can be read: {next(iter(unreadable.values()))}"
            )
        rows, sizes, paths = rows[kept], sizes[kept], [paths[place] for place in kept]
    images = ImageList(tuple(ids[row] for row in rows), paths, dataset.splits["train"].depth)
    owner, index = np.nonzero(values[rows] >= _limits(export))
    score = values[rows[owner], index]
    order = np.lexsort((-score, owner))
    owner, index, score = owner[order], index[order], score[order]
    export.facts.update(
        images=len(rows),
        labels_given=len(owner),
        images_without_labels=len(rows) - len(np.unique(owner)),
        left_out=left_out,
    )
    box = _boxes(export, images, sizes, owner, index) if export.boxes else None
    return LabelledImages(
        export.run.classes, images, [splits[row] for row in rows], sizes, owner, index, score, box
    )


def _scores(export: Export) -> tuple[list[str], np.ndarray, list[str]]:
    """ids [N], scores or pseudo-labels float32 [N, C] and splits [N]. No image is there twice."""
    run = export.run
    wanted = SPLITS if export.split == "all" else (export.split,)
    if export.labels == "final":
        if export.split == "val":
            raise UserError(
                "Only training images have pseudo-labels; leave --split val or --labels final out."
            )
        found = run.load_labels()
        parts = {"train": (found["ids"], found["final"])}
    else:
        parts = {
            split: (scores["ids"], scores["scores"])
            for split in wanted
            if run.has("scores", f"{split}.npz")
            for scores in [run.load_scores(split)]
        }
    if not parts:
        raise UserError(
            f"Run {run.name} has no scores{'' if export.split == 'all' else f' of split {export.split}'} yet "
            f"(status {run.status}); let it finish, or resume it."
        )
    ids = [str(name) for of_split, _ in parts.values() for name in of_split]
    splits = [split for split, (of_split, _) in parts.items() for _ in of_split]
    values = np.concatenate([values for _, values in parts.values()]).astype(np.float32, copy=False)
    first: dict[str, int] = {}
    for row, name in enumerate(ids):
        first.setdefault(name, row)
    rows = list(first.values())
    return list(first), values[rows], [splits[row] for row in rows]


def _limits(export: Export) -> np.ndarray:
    """[C] float32, from which value on a class is a label."""
    if export.labels == "final":
        return np.full(len(export.run.classes), PSEUDO_LABEL, np.float32)
    return export.thresholds.array(export.run.classes).astype(np.float32)


def _data_set(export: Export) -> Dataset:
    """The run's data set, or the one that is named in its place."""
    settings = export.run.config.data
    classes = settings.classes if settings.classes and Path(settings.classes).is_file() else None
    spec = export.dataset or settings.spec
    try:
        return open_dataset(spec, classes if spec.partition(":")[0] in WITH_CLASSES else None)
    except UserError as error:
        if export.dataset:
            raise
        raise UserError(
            f"The data set {spec} of run {export.run.name} cannot be opened "
            f"({str(error).rstrip('.')}); if it has moved, say where it is with --dataset."
        ) from None


def _sizes(export: Export, paths: Sequence[Path]) -> tuple[np.ndarray, dict[int, str]]:
    """Widths and heights in pixels, int32 [N, 2], and {place: reason} of the images that cannot be read."""
    sizes = np.zeros((len(paths), 2), np.int32)
    unreadable: dict[int, str] = {}

    def look(path: Path) -> tuple[int, int] | str:
        try:
            return image_size(path)
        except ImageError as error:
            return str(error)

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
        for begin in range(0, len(paths), LOOKED_AT):
            for place, size in enumerate(threads.map(look, paths[begin : begin + LOOKED_AT]), begin):
                if isinstance(size, str):
                    unreadable[place] = size
                else:
                    sizes[place] = size
            export.report("sizes", min(begin + LOOKED_AT, len(paths)), len(paths), "")
    return sizes, unreadable


def _boxes(
    export: Export, images: ImageList, sizes: np.ndarray, owner: np.ndarray, index: np.ndarray
) -> np.ndarray:
    """The CAM box of each label, float32 [M, 4] corners in pixels of the image.

    A box holds the part of the classifier's map above `SHOWN_THRESHOLD` of its range, as on the page Predict.
    A label has the whole image as its box where the map is constant or the image cannot be decoded.
    """
    import torch

    from ccd_core.data.loading import read_batches
    from ccd_core.method.local_views import class_maps_of
    from ccd_core.method.views import AxisMaxima
    from ccd_core.predict.predictor import SHOWN_THRESHOLD, Predictor

    box = np.zeros((len(owner), 4), np.float32)
    box[:, 2:] = sizes[owner]
    predictor = Predictor(export.run, export.device)
    settings = export.run.config
    frame = settings.views.frame
    starts = np.searchsorted(owner, np.arange(len(images) + 1))
    labelled = np.unique(owner)
    done = 0
    workers = settings.data.workers
    for rows, pixels, bad in read_batches(images, settings.classifier.cam_size, BATCH, labelled, workers):
        done += len(rows) + len(bad)
        if rows:
            with torch.inference_mode():
                _, maps = class_maps_of(
                    predictor.model, pixels, settings.classifier.cam_size, predictor.accelerator
                )
                at = np.concatenate([np.arange(starts[row], starts[row + 1]) for row in rows])
                place = np.repeat(np.arange(len(rows)), [starts[row + 1] - starts[row] for row in rows])
                extents = AxisMaxima(maps[place, index[at]], (frame, frame)).extents(SHOWN_THRESHOLD)
            has_box = extents[:, 0] >= 0
            box[at[has_box]] = (extents / frame * np.tile(sizes[owner[at]], 2))[has_box]
        export.report("boxes", done, len(labelled), "")
    return box
