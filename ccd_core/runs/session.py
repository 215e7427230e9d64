"""A run's time in one process: its claim, state and log file, signs of life, and how it ends."""

from __future__ import annotations

import contextlib
import errno
import logging
import shlex
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from ccd_core.errors import Stopped, UserError
from ccd_core.machine.processes import this_process
from ccd_core.machine.signals import stoppable
from ccd_core.runs.files.digests import remove_digests, write_digests
from ccd_core.runs.files.logs import log_file
from ccd_core.runs.heartbeat import heartbeat
from ccd_core.runs.run import Run

log = logging.getLogger("ccd")


@contextmanager
def session(run: Run, notes: Iterable[str] = ()) -> Iterator[None]:
    """Claim the run, log to its folder and keep its state; SIGTERM and Ctrl-C stop it without loss.

    notes: sentences for the log. Raises UserError if a result of an earlier session was changed since, or is
    of another run.
    """
    with run.claimed(), logged(run), stoppable() as listening:
        for name in remove_digests(run.path):
            log.warning(
                "%s is gone, which this run wrote; it is made again, and what rests on it may change", name
            )
        if run.lost:
            log.warning(
                "config.yaml of this run lacks %s; the values are those of the preset %s",
                ", ".join(run.lost),
                run.config.preset_name,
            )
        for note in notes:
            log.info("%s", note)
        run.works_here = True
        run.update_state(status="running", error=None, **this_process())
        try:
            with heartbeat(run, stoppable=listening):
                yield
            run.update_state()  # raises if the folder is gone: a finished run is no folder without settings
            write_digests(run.path)
            run.update_state(status="finished", stage="done", eta_seconds=0)
            log.info("finished")
        except (Stopped, KeyboardInterrupt):
            with contextlib.suppress(OSError, UserError):  # the next session then has nothing to compare
                write_digests(run.path)
            run.update_state(status="stopped", eta_seconds=None)
            log.info("stopped; `ccd run --resume --out %s` goes on", shlex.quote(str(run.path)))
            raise
        except BaseException as error:
            error = _as_user_error(error, run)
            with contextlib.suppress(OSError, UserError):  # a disk that is full takes no state either
                run.update_state(status="failed", error=str(error), eta_seconds=None)
            log.error("failed: %s", error, exc_info=not isinstance(error, UserError))
            raise error from None if isinstance(error, UserError) else error.__cause__


@contextmanager
def logged(run: Run, level: int = logging.INFO) -> Iterator[None]:
    """What the block logs, from `level` on, goes to the run's log.txt.

    Raises UserError where something else than an ordinary file stands in its place.
    """
    handler = logging.FileHandler(log_file(run.path, "log.txt"))
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(level)
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()


def _as_user_error(error: BaseException, run: Run) -> BaseException:
    """A sentence for running out of memory or disk, which a user can put right; others as they are."""
    if type(error).__name__ == "OutOfMemoryError":  # torch's; this module does without torch
        stage = run.state.get("stage", "start")
        trains = stage in ("warm-up", "training", "scores")
        settings = "classifier.image_size or training.batch_size" if trains else "clip.size or clip.model"
        return UserError(
            f"The GPU ran out of memory in stage {stage}, even with one image at a time; try a smaller "
            f"{settings} in a new run."
        )
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError(f"The disk that holds {run.path} is full; free some space and resume.")
    if isinstance(error, OSError) and error.errno in (errno.EROFS, errno.EACCES):
        return UserError(
            f"{error.filename or run.path} may not be written to; change its permissions and resume."
        )
    return error
