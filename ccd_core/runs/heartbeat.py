"""While a run works: a sign of life every few seconds, and a look for a request to stop.

Whether a run is alive must not depend on its progress. A request to stop is a file, because a signal does not
reach another host.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from ccd_core.machine.processes import end_group, this_process
from ccd_core.runs.run import Run

BEAT_SECONDS = 5
LISTEN_SECONDS = 1
GRACE_SECONDS = 20  # from being asked to stop until a process is ended


@contextmanager
def meanwhile(work: Callable[[threading.Event], None], name: str) -> Iterator[None]:
    """`work(over)` in a thread of its own while the block runs; it ends when the event `over` is set."""
    over = threading.Event()
    thread = threading.Thread(target=work, args=(over,), name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def heartbeat(run: Run, stoppable: bool = True) -> AbstractContextManager[None]:
    """Touch state.json while the block runs.

    stoppable: a request to stop becomes SIGTERM for this process and, after the grace, SIGKILL for all that
    it started.
    """

    def beat(over: threading.Event) -> None:
        asked = waited = 0.0
        while not over.wait(LISTEN_SECONDS):
            waited += LISTEN_SECONDS
            if waited >= BEAT_SECONDS:
                waited = 0.0
                with contextlib.suppress(OSError):  # the folder may be gone; another thread reports that
                    os.utime(run.file("state.json"))
            if stoppable and (asked or run.stop_asked(this_process()) is not None):
                if not asked:
                    os.kill(os.getpid(), signal.SIGTERM)
                asked += LISTEN_SECONDS
                if asked > GRACE_SECONDS:
                    end_group(this_process())

    return meanwhile(beat, "heartbeat")
