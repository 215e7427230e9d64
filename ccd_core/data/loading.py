"""Decoded images in batches: in worker processes, or from memory where a data set fits into it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ccd_core.data import ImageList
from ccd_core.data.images import read_image, resize
from ccd_core.errors import ImageError


class _Squares(Dataset):
    """Image i of a list as [3, S, S] uint8, or the reason why it cannot be read."""

    def __init__(self, images: ImageList, indices: Sequence[int], size: int):
        self.images, self.indices, self.size = images, indices, size

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> tuple[int, Tensor | str]:
        index = int(self.indices[position])
        try:
            pixels = resize(read_image(self.images.paths[index], at_least=self.size), self.size, self.size)
        except ImageError as error:
            return index, str(error)
        return index, torch.from_numpy(np.array(pixels)).permute(2, 0, 1).contiguous()


def read_batches(
    images: ImageList, size: int, batch_size: int, indices: Sequence[int] | None = None, workers: int = -1
) -> Iterator[tuple[list[int], Tensor, dict[int, str]]]:
    """Yield (indices, pixels [B, 3, size, size] uint8, reasons of unreadable ones) in the order of `indices`."""
    indices = range(len(images)) if indices is None else indices
    count = min(os.cpu_count() or 1, 8) if workers < 0 else workers
    loader = DataLoader(
        _Squares(images, indices, size),
        batch_size=batch_size,
        num_workers=count if len(indices) > 4 * batch_size else 0,
        collate_fn=_collate,
    )
    yield from loader


def _collate(items: list[tuple[int, Tensor | str]]) -> tuple[list[int], Tensor, dict[int, str]]:
    good = [(index, pixels) for index, pixels in items if isinstance(pixels, Tensor)]
    bad = {index: reason for index, reason in items if isinstance(reason, str)}
    pixels = torch.stack([pixels for _, pixels in good]) if good else torch.empty(0, 3, 1, 1, dtype=torch.uint8)
    return [index for index, _ in good], pixels, bad


class Pictures:
    """The images of a split at one size, [3, S, S] uint8 each; kept in memory where they fit into `cache_gb`.

    Reading them once at the start finds those that cannot be used.
    """

    def __init__(self, images: ImageList, size: int, cache_gb: float, workers: int = -1):
        self.images, self.size, self.workers = images, size, workers
        self.in_memory = len(images) * 3 * size * size <= cache_gb * 1e9
        self._pixels: Tensor | None = None

    def check(self, advance: Callable[[int], None]) -> dict[str, str]:
        """Read every image; returns {id: reason} of the unusable ones and leaves them out from then on."""
        reasons: dict[str, str] = {}
        kept, done = [], 0
        for indices, pixels, bad in read_batches(self.images, self.size, 32, workers=self.workers):
            reasons |= {self.images.ids[index]: reason for index, reason in bad.items()}
            done += len(indices) + len(bad)
            if self.in_memory and len(indices):
                kept.append(pixels)
            advance(done)
        self.images = self.images.without(reasons)
        self._pixels = torch.cat(kept) if kept else None
        return reasons

    def __len__(self) -> int:
        return len(self.images)

    def batches(self, batch_size: int, order: np.ndarray | None = None) -> Iterator[tuple[np.ndarray, Tensor]]:
        """Yield (indices [B], pixels [B, 3, S, S] uint8) in the given order."""
        order = np.arange(len(self)) if order is None else order
        if self._pixels is not None:
            for begin in range(0, len(order), batch_size):
                chosen = order[begin : begin + batch_size]
                yield chosen, self._pixels[torch.from_numpy(chosen)]
        else:
            for indices, pixels, _ in read_batches(self.images, self.size, batch_size, order.tolist(), self.workers):
                yield np.array(indices), pixels
