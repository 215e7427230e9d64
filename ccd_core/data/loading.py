"""Batches of decoded images, read by worker processes or from the cache of decoded images."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.profiler import record_function
from torch.utils.data import DataLoader, Dataset

from ccd_core.data import cache
from ccd_core.data.decoding.images import read_image, resize
from ccd_core.data.pace import MEASURED, Pace
from ccd_core.data.types import ImageList
from ccd_core.errors import ImageError, UserError
from ccd_core.files import replacing

# Fewer batches than this are read in this process: starting others takes longer.
FEW = 4
# What was measured in this process, by the images' size and the batch size: whoever takes such batches again
# is, as a rule, the same model.
_PACES: dict[tuple[int, int], Pace] = {}


class _SquareImages(Dataset):
    """Item i is (i, image i as uint8 [3, S, S]), or (i, the reason why the image cannot be read)."""

    def __init__(self, images: ImageList, size: int):
        self.images = images
        self.size = size
        self.bits = images.bits  # measured here, before there are worker processes

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[int, Tensor | str]:
        try:
            image = read_image(self.images.paths[index], at_least=self.size, bits=self.bits)
            pixels = resize(image, self.size, self.size)
        except ImageError as error:
            return index, str(error)
        return index, torch.from_numpy(np.array(pixels)).permute(2, 0, 1).contiguous()


def read_batches(
    images: ImageList,
    size: int,
    batch_size: int,
    indices: Sequence[int] | np.ndarray | None = None,
    workers: int = -1,
) -> Iterator[tuple[list[int], Tensor, dict[int, str]]]:
    """Yield (indices, pixels uint8 [B, 3, size, size], {index: reason} of unreadable images).

    Batches follow the order of `indices`, by default all images. workers: processes that read them; -1: as
    many as whoever takes the batches needs (`Pace`); with 0 the images are read in this process.
    """
    chosen = range(len(images)) if indices is None else indices
    return _read(images, size, in_batches(chosen, batch_size), workers)


def in_batches(indices: Sequence[Any] | np.ndarray, batch_size: int) -> list[Any]:
    """Consecutive slices of `indices`, each of `batch_size` entries except the last, which may be shorter.

    `indices` may be any sequence.
    """
    return [indices[begin : begin + batch_size] for begin in range(0, len(indices), batch_size)]


def _read(
    images: ImageList, size: int, batches: Sequence[Any], workers: int
) -> Iterator[tuple[list[int], Tensor, dict[int, str]]]:
    source = _SquareImages(images, size)
    coming = [[int(index) for index in batch] for batch in batches]
    if workers < 0 and len(coming) > FEW:
        pace = _PACES.setdefault((size, len(coming[0])), Pace())
        if pace.workers is None:

            def here(batch: list[int]) -> Any:
                return _collate([source[row] for row in batch])

            yield from pace.measure(here, coming[:MEASURED], size)
            coming = coming[MEASURED:]
        workers = pace.workers or 0
    yield from DataLoader(
        source,
        batch_sampler=coming,
        num_workers=workers if len(coming) > FEW else 0,
        # DataLoader draws a seed. From its own generator the draw does not change what the run computes
        # later, so results are the same whether images are read here or from the cache.
        generator=torch.Generator(),
        collate_fn=_collate,
    )


def read_usable(
    images: ImageList,
    size: int,
    batch_size: int,
    indices: Sequence[int] | np.ndarray | None = None,
    workers: int = -1,
) -> Iterator[tuple[list[int], Tensor]]:
    """Yield (indices, pixels) as `read_batches` does, for images that could be read before.

    Raises UserError if one of them cannot be read any more.
    """
    return _usable(read_batches(images, size, batch_size, indices, workers))


def _usable(
    batches: Iterator[tuple[list[int], Tensor, dict[int, str]]],
) -> Iterator[tuple[list[int], Tensor]]:
    for chosen, pixels, bad in batches:
        if bad:
            reason = next(iter(bad.values()))
            raise UserError(
                f"An image that could be read when the run began cannot be read now: {reason} "
                "Put it back and resume the run."
            )
        yield chosen, pixels


def _collate(items: list[tuple[int, Tensor | str]]) -> tuple[list[int], Tensor, dict[int, str]]:
    good = [(index, pixels) for index, pixels in items if isinstance(pixels, Tensor)]
    bad = {index: reason for index, reason in items if isinstance(reason, str)}
    indices = [index for index, _ in good]
    if not good:
        return indices, torch.empty(0, 3, 1, 1, dtype=torch.uint8), bad
    return indices, torch.stack([pixels for _, pixels in good]), bad


class DecodedImages:
    """The images of a split at one size, uint8 [3, S, S] each.

    They are cached on the disk in decoded form if they fit into `cache_gb` gigabytes. Call `check` before
    `batches`.
    """

    def __init__(self, images: ImageList, size: int, cache_gb: float, workers: int = -1):
        self.images = images
        self.size = size
        self.cache_gb = cache_gb
        self.workers = workers
        self._decoded: cache.DecodedFile | None = None

    def check(self, advance: Callable[[int], None], known: dict[str, str] | None = None) -> dict[str, str]:
        """Read every image once, and remove the unusable ones from `images`.

        `advance(done)` reports the number of images read so far. `known` is the result of an earlier check of
        the same images; they are then read again only if they still have to be cached. Returns {id: reason}
        of the unusable images.
        """
        path = cache.decoded_file(self.images, self.size, self.cache_gb)
        cached = cache.read_decoded(path, len(self.images), self.size) if path else None
        if cached:
            self._decoded, unusable = cached
        elif path is None and known is not None:
            unusable = known
        else:
            unusable = self._read_all(path, advance)
        advance(len(self.images))
        self.images = self.images.without(unusable)
        return unusable

    def _read_all(self, path: Path | None, advance: Callable[[int], None]) -> dict[str, str]:
        """Read every image and write it to `path` if given. Returns {id: reason} of the unusable images."""
        unusable: dict[str, str] = {}
        done = 0
        with replacing(path) if path else nullcontext(Path(os.devnull)) as target, open(target, "wb") as file:
            for indices, pixels, bad in read_batches(self.images, self.size, 32, workers=self.workers):
                unusable |= {self.images.ids[index]: reason for index, reason in bad.items()}
                done += len(indices) + len(bad)
                file.write(pixels.numpy().data if len(indices) else b"")
                advance(done)
        if path:
            self._decoded = cache.DecodedFile(path, self.size)
            cache.finish_decoded(path, unusable, self.cache_gb)
        return unusable

    def __len__(self) -> int:
        return len(self.images)

    @property
    def ids(self) -> tuple[str, ...]:
        return self.images.ids

    def batches(self, batches: Sequence[np.ndarray]) -> Iterator[tuple[np.ndarray, Tensor]]:
        """Yield (indices [B], pixels uint8 [B, 3, S, S]) for each of `batches`, which are arrays of indices.

        Raises UserError if an image cannot be read any more.
        """
        if self._decoded is not None:
            for chosen in batches:
                with record_function("DecodedFile"):  # `ccd run --profile` counts it as waiting for pictures
                    rows = self._decoded.rows(chosen)
                yield chosen, torch.from_numpy(rows)
        else:
            for indices, pixels in _usable(_read(self.images, self.size, batches, self.workers)):
                yield np.array(indices), pixels
