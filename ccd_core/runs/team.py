"""The process group of one run: the processes that work on it together, one a device.

A run on one device has a team of one process, for which all of this does nothing. This module needs no torch.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")


@dataclass(frozen=True)
class Team:
    """rank: this process's number, of `size`; wait() returns when all processes have called it.

    all_reduce(x) is the sum of every process's x, given to all of them.
    """

    rank: int = 0
    size: int = 1
    wait: Callable[[], None] = lambda: None
    all_reduce: Callable[[np.ndarray], np.ndarray] = lambda values: values

    @property
    def first(self) -> bool:
        """Whether this is the process that writes the run's files."""
        return self.rank == 0

    def shard(self, items: Sequence[Item]) -> Sequence[Item]:
        """This process's items: every size-th one."""
        return items[self.rank :: self.size]

    def batch_slice(self, count: int) -> slice:
        """This process's part of a batch of `count` images; the whole batch if it has fewer images than there
        are processes.
        """
        if count < self.size:
            return slice(0, count)
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def broadcast_flag(self, answer: bool) -> bool:
        """The first process's answer, to all: other processes may see the files at a different time."""
        return bool(self.all_reduce(np.array([answer and self.first], np.float32))[0])

    @contextmanager
    def main_process_first(self) -> Iterator[None]:
        """The first process runs the block alone; the others run it afterwards and find what the first one
        made.
        """
        if not self.first:
            self.wait()
        yield
        if self.first:
            self.wait()


ALONE = Team()


def end_with_launcher(launcher: int) -> None:
    """End this process when the one that started it, `launcher`, is gone: a run must not go on where it
    cannot be stopped.
    """

    def watch() -> None:
        while os.getppid() == launcher:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="launcher", daemon=True).start()
