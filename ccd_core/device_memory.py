"""Memory of the device: copies to it that nobody waits for, and going on with less where it runs out."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Callable
from typing import TypeVar

import torch

log = logging.getLogger("ccd")
Result = TypeVar("Result")


class Pass:
    """How many items one pass takes. It is halved whenever the device runs out of memory.

    what: the items in the log, such as "images in one pass of CLIP". size: how many to begin with, by
    default all.
    """

    def __init__(self, what: str, size: int = sys.maxsize):
        self.what = what
        self.size = size

    def run(
        self, count: int, work: Callable[[slice], Result], undo: Callable[[], None] | None = None
    ) -> list[Result]:
        """`work(part)` for parts of `count` items, in order, each of at most `size` items.

        undo: called before all parts are done again with a smaller size; without it, finished parts are kept.
        Raises torch's OutOfMemoryError where even one item is too much.
        """
        done: list[Result] = []
        begin = 0
        while begin < count:
            part = slice(begin, min(begin + self.size, count))
            try:
                done.append(work(part))
            except torch.OutOfMemoryError:
                if part.stop - begin == 1:
                    raise
                self.size = max(1, (part.stop - begin) // 2)
            else:
                begin = part.stop
                continue
            # Outside of `except`, because the error holds the tensors of the pass that failed.
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            log.warning("the device ran out of memory; from now on there are %d %s", self.size, self.what)
            if undo:
                undo()
                done = []
                begin = 0
        return done


def to_device(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """`values` on the device. From the CPU to a GPU they go by pinned memory, and nobody waits for them."""
    if device.type == "cuda" and values.device.type == "cpu":
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)
