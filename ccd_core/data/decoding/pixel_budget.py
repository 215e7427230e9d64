"""How many pixels are decoded at the same time in one process.

Several threads decode images. Eight ordinary photos beside each other are quick; eight images of 200 million
pixels take several gigabytes, and a file of a few kilobytes can be one. So a thread waits until there is room
for its image. An image larger than the whole budget is decoded alone.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

MOST_AT_ONCE = 100_000_000  # pixels; while they are decoded, each takes about ten bytes


class PixelBudget:
    """Room for `most` pixels, shared by the threads of a process."""

    def __init__(self, most: int):
        self.most = most
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def room_for(self, pixels: int) -> Iterator[None]:
        """Wait until there is room for so many pixels, and hold it while the block runs."""
        with self._changed:
            self._changed.wait_for(lambda: self._taken == 0 or self._taken + pixels <= self.most)
            self._taken += pixels
        try:
            yield
        finally:
            with self._changed:
                self._taken -= pixels
                self._changed.notify_all()

    def reset(self) -> None:
        """Begin anew: in a forked process, the threads that held room are gone."""
        self._taken = 0
        self._changed = threading.Condition()


DECODING = PixelBudget(MOST_AT_ONCE)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=DECODING.reset)
