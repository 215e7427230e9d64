"""Memory of the device: copies to it that nobody waits for, and going on with less where it runs out."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import torch

log = logging.getLogger("ccd")
Result = TypeVar("Result")
SAY_FULL = (
    "CUDA error: out of memory",  # of what torch does not allocate itself, such as pinned memory
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "DefaultCPUAllocator: can't allocate memory",
)


class Pass:
    """How many items one pass takes. It is halved whenever the device runs out of memory.

    what: the items in the log, such as "images in one pass of CLIP". size: how many to begin with, by
    default all.
    """

    def __init__(self, what: str, size: int = sys.maxsize):
        self.what = what
        self.size = size

    def run(self, count: int, work: Callable[[slice], Result]) -> list[Result]:
        """`work(part)` for parts of `count` items, in order, each of at most `size` items.

        Finished parts are kept where a later one runs out of memory. Raises torch's OutOfMemoryError where
        even one item is too much.
        """

        def one_pass(begin: int) -> tuple[int, Result]:
            end = min(begin + self.size, count)
            return end, work(slice(begin, end))

        done: list[Result] = []
        begin = 0
        while begin < count:
            begin, result = self.fitting(count - begin, partial(one_pass, begin))
            done.append(result)
        return done

    def fitting(self, count: int, work: Callable[[], Result]) -> Result:
        """What `work()` returns. It is called again, with a smaller `size`, until its memory suffices.

        count: the items of the work. It must see to it that each of its passes has at most `size` of them,
        and that it can be called again. Raises torch's OutOfMemoryError where even one item is too much.
        """
        while True:
            try:
                return work()
            except RuntimeError as error:
                tried = min(self.size, count)
                if not is_out_of_memory(error):
                    raise
                if tried == 1:
                    raise torch.OutOfMemoryError(str(error)) from None
            # Outside of `except`, because the error holds the tensors of the pass that failed.
            self.size = tried // 2
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            log.warning("the device ran out of memory; from now on there are %d %s", self.size, self.what)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether a device had too little memory. Libraries below torch say so in errors of their own."""
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in SAY_FULL)


def to_device(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """`values` on the device. From the CPU to a GPU they go by pinned memory, and nobody waits for them."""
    if device.type == "cuda" and values.device.type == "cpu":
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)
