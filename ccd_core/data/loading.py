"""Decoded images in batches: in worker processes, or from a file of decoded pictures where a data set fits into one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ccd_core.data import cache
from ccd_core.data.images import read_image, resize
from ccd_core.data.types import ImageList
from ccd_core.errors import ImageError, UserError
from ccd_core.files import replacing


class _SquareImages(Dataset):
    """Image i of a list as [3, S, S] uint8, or the reason why it cannot be read."""

    def __init__(self, images: ImageList, size: int):
        self.images, self.size = images, size

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[int, Tensor | str]:
        try:
            pixels = resize(read_image(self.images.paths[index], at_least=self.size), self.size, self.size)
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
    """Yield (indices, pixels [B, 3, size, size] uint8, reasons of unreadable ones) in the order of `indices`."""
    return _read(
        images, size, in_batches(range(len(images)) if indices is None else indices, batch_size), workers
    )


def in_batches(indices: Sequence[int] | np.ndarray, batch_size: int) -> list[Any]:
    """Consecutive pieces of `indices`, of batch_size but for the last."""
    return [indices[begin : begin + batch_size] for begin in range(0, len(indices), batch_size)]


def _read(
    images: ImageList, size: int, batches: Sequence[Any], workers: int
) -> Iterator[tuple[list[int], Tensor, dict[int, str]]]:
    cores = (os.cpu_count() or 1) // int(
        os.environ.get("LOCAL_WORLD_SIZE", 1)
    )  # as many as torch's launcher started share them
    count = min(max(1, cores), 8) if workers < 0 else workers
    sampler = [[int(index) for index in batch] for batch in batches]
    yield from DataLoader(
        _SquareImages(images, size),
        batch_sampler=sampler,
        num_workers=count if len(sampler) > 4 else 0,
        collate_fn=_collate,
    )


def read_usable(
    images: ImageList,
    size: int,
    batch_size: int,
    indices: Sequence[int] | np.ndarray | None = None,
    workers: int = -1,
) -> Iterator[tuple[list[int], Tensor]]:
    """(indices, pixels) as `read_batches` of images that were readable before. Raises UserError where one is not any more."""
    return _usable(read_batches(images, size, batch_size, indices, workers))


def _usable(
    batches: Iterator[tuple[list[int], Tensor, dict[int, str]]],
) -> Iterator[tuple[list[int], Tensor]]:
    for chosen, pixels, bad in batches:
        if bad:
            raise UserError(
                f"An image could be read when the run began and cannot be now: {next(iter(bad.values()))} Put it back and resume."
            )
        yield chosen, pixels


def _collate(items: list[tuple[int, Tensor | str]]) -> tuple[list[int], Tensor, dict[int, str]]:
    good = [(index, pixels) for index, pixels in items if isinstance(pixels, Tensor)]
    bad = {index: reason for index, reason in items if isinstance(reason, str)}
    pixels = (
        torch.stack([pixels for _, pixels in good]) if good else torch.empty(0, 3, 1, 1, dtype=torch.uint8)
    )
    return [index for index, _ in good], pixels, bad


class DecodedImages:
    """The images of a split at one size, [3, S, S] uint8 each; kept decoded on disk where they fit into `cache_gb`.

    Reading them once at the start finds those that cannot be used.
    """

    def __init__(self, images: ImageList, size: int, cache_gb: float, workers: int = -1):
        self.images, self.size, self.workers, self.cache_gb = images, size, workers, cache_gb
        self._decoded: cache.Decoded | None = None

    def check(self, advance: Callable[[int], None], known: dict[str, str] | None = None) -> dict[str, str]:
        """Read every image; returns {id: reason} of the unusable ones and leaves them out from then on.

        `known`: what an earlier check of the same images found; they are not read again, unless to keep them decoded.
        """
        path = cache.decoded_file(self.images, self.size, self.cache_gb)
        kept = cache.read_decoded(path, len(self.images), self.size) if path else None
        if kept:
            self._decoded, reasons = kept
        elif path is None and known is not None:
            reasons = known
        else:
            reasons = self._read_all(path, advance)
        advance(len(self.images))
        self.images = self.images.without(reasons)
        return reasons

    def _read_all(self, path: Path | None, advance: Callable[[int], None]) -> dict[str, str]:
        reasons: dict[str, str] = {}
        done = 0
        with replacing(path) if path else nullcontext(Path(os.devnull)) as target, open(target, "wb") as file:
            for indices, pixels, bad in read_batches(self.images, self.size, 32, workers=self.workers):
                reasons |= {self.images.ids[index]: reason for index, reason in bad.items()}
                done += len(indices) + len(bad)
                file.write(pixels.numpy().data if len(indices) else b"")
                advance(done)
        if path:
            self._decoded = cache.Decoded(path, self.size)
            cache.store_decoded(path, reasons, self.cache_gb)
        return reasons

    def __len__(self) -> int:
        return len(self.images)

    @property
    def ids(self) -> tuple[str, ...]:
        return self.images.ids

    def batches(self, batches: Sequence[np.ndarray]) -> Iterator[tuple[np.ndarray, Tensor]]:
        """Yield (indices [B], pixels [B, 3, S, S] uint8) of each of `batches`. Raises UserError for an image that cannot be read any more."""
        if self._decoded is not None:
            for chosen in batches:
                yield chosen, torch.from_numpy(self._decoded.rows(chosen))
        else:
            for indices, pixels in _usable(_read(self.images, self.size, batches, self.workers)):
                yield np.array(indices), pixels
