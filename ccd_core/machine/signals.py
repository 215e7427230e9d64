"""Stopping on a signal: at once or, where a step must not be cut short, at the end of the step."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ccd_core.errors import Stopped

# SIGHUP comes when a terminal is closed. SLURM sends SIGUSR2 when a job's time is nearly up.
STOPPING = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2)


@contextmanager
def stoppable() -> Iterator[bool]:
    """A request to stop raises `Stopped` at whatever place the block has reached.

    Yields whether a request can come. Signals reach the main thread of a process only.
    """

    def stop(signum: int, frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second request must not interrupt the clean-up
        raise Stopped

    with _handled(STOPPING, stop) as listening:
        yield listening


@contextmanager
def step_by_step() -> Iterator[Callable[[], bool]]:
    """A request to stop waits until the block is left.

    Yields `asked()`, which says whether there is a request; the block calls it between two steps. The first
    Ctrl-C is such a request. A second Ctrl-C raises KeyboardInterrupt at once.
    """
    requests: list[int] = []

    def note(signum: int, frame: object) -> None:
        if requests and signum == signal.SIGINT:
            raise KeyboardInterrupt
        requests.append(signum)

    try:
        with _handled((*STOPPING, signal.SIGINT), note):
            yield lambda: bool(requests)
    finally:
        if requests:
            signal.raise_signal(requests[0])  # for the handler that was there before the block


@contextmanager
def _handled(signals: tuple[int, ...], handler: Callable[[int, object], None]) -> Iterator[bool]:
    in_main_thread = threading.current_thread() is threading.main_thread()
    # A program that `nohup` started ignores SIGHUP, and goes on when the terminal is closed.
    is_kept = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    ours = [number for number in signals if number != signal.SIGHUP or not is_kept]
    previous = {number: signal.signal(number, handler) for number in ours} if in_main_thread else {}
    try:
        yield in_main_thread
    finally:
        for number, before in previous.items():
            signal.signal(number, before or signal.SIG_DFL)
