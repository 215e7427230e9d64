"""Start, stop and resume runs outside the process that asks (Sec. 9-10 of the design).

A job is `ccd run` in a session of its own: closing the browser, stopping the app or logging out does not stop it. The run's
folder is the only truth about it. Jobs for one device wait for each other on a file lock, which the system frees whatever happens.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from ccd_core.config import CCDConfig
from ccd_core.data import open_dataset
from ccd_core.errors import UserError
from ccd_core.runs import Run, process_alive, this_process

GRACE_SECONDS = 20


def start(config: CCDConfig, out: str | Path) -> None:
    """Start a run in the background. Raises UserError before anything is written if it could not run."""
    out = Path(out)
    if (out / "config.yaml").exists():
        raise UserError(f"{out} already holds a run; choose another name, or resume that one.")
    dataset = open_dataset(config.data.spec, config.data.classes)
    Run.create(out, config, dataset.classes)
    resume(out)


def resume(run_path: str | Path) -> None:
    """Go on with a run that was stopped, failed or was never started."""
    run = Run.open(run_path)
    if run.status in ("running", "queued"):
        raise UserError(f"Run {run.name} is {run.status} already.")
    with open(run.file("job.log"), "ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "ccd_core.cli", "run", "--resume", "--queue", "--out", str(run.path)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    created = psutil.Process(process.pid).create_time()
    run.update_state(status="queued", error=None, pid=process.pid, pid_created=created, host=this_process()["host"])


def stop(run_path: str | Path) -> None:
    """Ask a run to stop, and insist after a while; returns when its process is gone."""
    run = Run.open(run_path)
    state = run.state
    if not process_alive(state):
        raise UserError(f"Run {run.name} is not running (status {run.status}).")
    process = psutil.Process(state["pid"])
    os.kill(process.pid, signal.SIGTERM)
    if not _gone(process, GRACE_SECONDS):
        for child in [*process.children(recursive=True), process]:
            child.kill()
        _gone(process, 5)
    if run.state.get("status") in ("running", "queued"):
        run.update_state(status="stopped", eta_seconds=None)


def _gone(process: psutil.Process, seconds: float) -> bool:
    until = time.time() + seconds
    while time.time() < until:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(process.pid, os.WNOHANG)
                return True
        except (psutil.NoSuchProcess, ChildProcessError):
            return True
        time.sleep(0.1)
    return False


@contextmanager
def device_queue(run: Run, device: str) -> Iterator[None]:
    """Wait until no other job of this user holds the device; the run shows as queued meanwhile."""
    name = f"ccd-{os.getuid()}-{device.replace(':', '-')}.lock"
    lock = FileLock(Path(tempfile.gettempdir()) / name)
    while True:
        try:
            lock.acquire(timeout=1)
            break
        except Timeout:
            run.update_state(status="queued", **this_process())
    try:
        yield
    finally:
        lock.release()
