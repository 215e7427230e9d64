"""The processes that work on one run together, one a device: what is whose, waiting for all, adding up.

A run on one device is a team of one, for which all of this does nothing. This module needs no torch.
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
    """rank: this process's number of `size`; wait() returns when all have called it; add_up(x) is the sum of everybody's x, to all."""

    rank: int = 0
    size: int = 1
    wait: Callable[[], None] = lambda: None
    add_up: Callable[[np.ndarray], np.ndarray] = lambda values: values

    @property
    def first(self) -> bool:
        """Whether this is the process that writes the run's files."""
        return self.rank == 0

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """Every size-th item is this process's."""
        return items[self.rank :: self.size]

    def part(self, count: int) -> slice:
        """This process's part of a batch of `count`; all of it where there is not one for each, so that nobody has none."""
        if count < self.size:
            return slice(0, count)
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def agree(self, answer: bool) -> bool:
        """The first process's answer, to all; what others see of the same files may be of another moment."""
        return bool(self.add_up(np.array([answer and self.first], np.float32))[0])

    @contextmanager
    def first_before_others(self) -> Iterator[None]:
        """The first process does the block alone; the others do it when it is through and find what it made."""
        if not self.first:
            self.wait()
        yield
        if self.first:
            self.wait()


ALONE = Team()


def leave_with(launcher: int) -> None:
    """End this process when the one that started it, `launcher`, is gone: a run must not go on where nobody can see or stop it."""

    def watch() -> None:
        while os.getppid() == launcher:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="launcher", daemon=True).start()
