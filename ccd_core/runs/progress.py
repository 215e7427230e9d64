"""How far a run is: its stages, and the file and the listener that are told."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, get_args

from ccd_core.runs.run import Run

log = logging.getLogger("ccd")
Stage = Literal["images", "global", "warm-up", "views", "training", "scores", "done"]
STAGES: tuple[Stage, ...] = get_args(Stage)  # in their order; state.json names the stage that is at work
Phase = Literal["warm-up", "main"]  # of training; the main phase is the stage "training"
Reporter = Callable[[str, int, int, str], None]  # stage, done, total, detail
Advance = Callable[[int], None]  # items done so far
HEARTBEAT_SECONDS = 0.5


class Progress:
    """How far a stage is, for the run's state.json and for a listener such as the terminal's bars.

    run: whose state is written, at most twice a second; None for a measurement without a run.
    reporter(stage, done, total, detail) is called as work proceeds.
    """

    def __init__(self, run: Run | None = None, reporter: Reporter | None = None):
        self.run = run
        self.reporter = reporter
        self.written = 0.0

    def preparing(self, what: str) -> None:
        """Say what must be done before a stage can begin. Loading a model takes seconds, or minutes where it
        is fetched first.
        """
        self._write(stage="starting", detail=what, done=0, total=0, eta_seconds=None)

    @contextmanager
    def stage(self, name: str, total: int, detail: str = "", begin: int = 0) -> Iterator[Advance]:
        """Yields `advance(done)`, to be called with the number of items done so far.

        begin: how many of `total` an earlier session has done.
        """
        began = time.time()
        speed_since: tuple[float, int] | None = None  # what an earlier session did is not this one's speed
        timings = self.run.state.get("seconds", {}) if self.run else {}

        def advance(done: int) -> None:
            nonlocal speed_since
            now = time.time()
            speed_since = speed_since or (now, done)
            since, before = speed_since
            eta = (now - since) / (done - before) * (total - done) if done > before else None
            if self.reporter:
                self.reporter(name, done, total, detail)
            if now - self.written > HEARTBEAT_SECONDS or done >= total:
                self.written = now
                self._write(stage=name, detail=detail, done=int(done), total=int(total), eta_seconds=eta)

        log.debug("stage %s: %d to do", name, total)
        advance(begin)
        yield advance
        self._write(seconds=timings | {name: round(timings.get(name, 0) + time.time() - began, 2)})

    def _write(self, **changes: object) -> None:
        if self.run:
            self.run.update_state(**changes)


class Silent(Progress):
    """The progress of a process that is not the first of its run: it tells nobody."""

    def __init__(self) -> None:
        super().__init__(None, None)
