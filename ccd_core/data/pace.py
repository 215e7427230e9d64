"""How many processes decode images: as many as keep up with what is done with the images, measured once.

The first batches are decoded by the process that asks for them. The time that it takes to decode one, beside
the time until the next is asked for, says how many processes are needed.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

log = logging.getLogger("ccd")
MEASURED = 3  # batches; the first prepares caches and kernels, so it does not count
SPARE = 1.25  # so many times the processes that are needed on average, because images differ
MOST = 8
Batch = TypeVar("Batch")


class Pace:
    """How fast batches of one kind are decoded and used. workers: how many processes keep up, once known."""

    workers: int | None = None

    def measure(
        self, decode: Callable[[list[int]], Batch], batches: Sequence[list[int]], size: int
    ) -> Iterator[Batch]:
        """Yield what `decode` gives for each of `batches`, and measure meanwhile."""
        decoding = using = 0.0
        for number, batch in enumerate(batches):
            began = time.perf_counter()
            decoded = decode(batch)
            done = time.perf_counter()
            yield decoded
            if number > 0:
                decoding += done - began
                using += time.perf_counter() - done
        self.workers = enough_workers(decoding, using)
        images = sum(map(len, batches[1:]))
        log.info(
            "data.workers: %d, as an image of %d pixels takes %.1f ms to decode and %.1f ms in what follows",
            *(self.workers, size, 1e3 * decoding / images, 1e3 * using / images),
        )


def enough_workers(decoding: float, using: float) -> int:
    """Processes that decode as fast as the images are used, from the seconds that both took here.

    At least one, and at most one for each core that this process has, or eight.
    """
    # torch's launcher sets LOCAL_WORLD_SIZE to the number of processes that share this machine's cores.
    cores = (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    needed = math.ceil(SPARE * decoding / max(using, 1e-9))
    return max(1, min(needed, cores, MOST))
