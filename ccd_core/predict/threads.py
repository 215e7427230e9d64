"""Threads that work on a batch of images while the batch before it is waited for.

On a CPU a thread takes images from their files to their answers, because threads that share one image's
arithmetic wait for each other. For a GPU threads decode, and one asks the GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch

from ccd_core.data.loading import in_batches

AT_ONCE = 8  # images of a thread at a time on a CPU; more are no quicker and take more memory

Decoded = TypeVar("Decoded")
Answer = TypeVar("Answer")


@contextmanager
def side_by_side(count: int) -> Iterator[Executor]:
    """`count` threads. They share the threads that torch computes with, so that all can compute at once."""
    before = torch.get_num_threads()
    each = max(1, before // count)
    threads = ThreadPoolExecutor(count, initializer=partial(torch.set_num_threads, each))
    try:
        yield threads
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        torch.set_num_threads(before)  # new threads follow whoever has set it last


def answered_by_threads(
    threads: Executor, count: int, batch: list[Path], answer: Callable[[list[Path]], list[Answer]]
) -> Callable[[], list[Answer]]:
    """Give a batch of files to `count` threads. Returns a function that waits for their answers, in order."""
    size = min(AT_ONCE, -(-len(batch) // count))
    futures = [threads.submit(answer, part) for part in in_batches(batch, size)]
    return lambda: [one for future in futures for one in future.result()]


def decoded_by_threads(
    threads: Executor,
    batch: list[Path],
    decode: Callable[[Path], Decoded],
    answer: Callable[[list[Path], list[Decoded]], list[Answer]],
) -> Callable[[], list[Answer]]:
    """Have a batch of files decoded. Returns a function that waits for the images, and answers."""
    futures = [threads.submit(decode, path) for path in batch]
    return lambda: answer(batch, [future.result() for future in futures])
