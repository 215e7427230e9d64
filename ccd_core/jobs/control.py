"""Start, watch, stop and resume runs in processes of their own.

A job is `ccd run` in a session of its own. It goes on when the browser is closed, the app is stopped or its
user logs out. All that is known of a job lies in the run's folder, so any number of apps and terminals can
work with the same workspace.

    run = jobs.start(CCDConfig.preset("demo"), jobs.new_folder("runs", "first"))
    jobs.stop(run.path)
    jobs.resume(run.path)
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ccd_core.config import CCDConfig
from ccd_core.data import open_dataset
from ccd_core.errors import Stopped, UserError
from ccd_core.jobs import queue, slurm
from ccd_core.jobs.slurm import SlurmOptions
from ccd_core.machine.gpus import devices_of, gpus
from ccd_core.machine.processes import (
    child_environment,
    end_group,
    memory_kills,
    process_alive,
    process_facts,
    python_command,
    this_process,
)
from ccd_core.runs.files.documents import RunState
from ccd_core.runs.files.logs import log_file
from ccd_core.runs.heartbeat import GRACE_SECONDS
from ccd_core.runs.run import ACTIVE, Run, list_runs
from ccd_core.runs.slurm_state import waits_for

BEAT_SECONDS = 5  # between two signs of life of a run that waits
STOP_SECONDS = GRACE_SECONDS + 10  # how long `stop` waits

_started: list[subprocess.Popen[bytes]] = []  # jobs that this process started and that may still run


@dataclass(frozen=True)
class Job:
    """A run as a job.

    place: local or slurm. ahead: how many jobs it waits for. asked: when it was asked to stop, in seconds
    since 1970, or None. reason: why it failed, or what it waits for on a cluster.
    """

    run: Run
    status: str
    state: RunState
    place: str
    ahead: int
    asked: float | None
    reason: str | None

    @property
    def active(self) -> bool:
        """Whether it runs or waits."""
        return self.status in ACTIVE


def new_folder(workspace: str | Path, name: str) -> Path:
    """The folder of a new run named `name`.

    Raises UserError if the name is not allowed, is taken, or leads out of the workspace.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,80}", name or ""):
        raise UserError(
            "A run's name has 1 to 81 letters, digits, dots, hyphens and underscores, "
            "and begins with a letter or digit."
        )
    path = Path(workspace).resolve() / name
    if path.is_symlink() or path.resolve().parent != path.parent:
        raise UserError(f"{name} is a link that leads out of the workspace; choose another name.")
    if path.exists():
        raise UserError(f"There is something named {name} in the workspace already; choose another name.")
    return path


def create(config: CCDConfig, out: str | Path, place: str = "local") -> Run:
    """Make the folder of a run that has not started.

    Raises UserError, before anything is written, if its data set or its device is not there. The GPUs are
    those that NVML knows, because torch is not loaded. If NVML knows none, the run finds out when it starts.
    """
    dataset = open_dataset(config.data.spec, config.data.classes)
    wanted = devices_of(config.device)
    there = [gpu.device for gpu in gpus()]
    missing = [device for device in wanted if device.startswith("cuda") and device not in there]
    if place == "local" and there and missing:
        raise UserError(f"There is no device {missing[0]} here; this machine has {', '.join(there)}.")
    return Run.create(out, config, dataset.classes)


def start(
    config: CCDConfig, out: str | Path, place: str = "local", cluster: SlurmOptions | None = None
) -> Run:
    """Start a run in the background.

    place: local, or slurm with the options `cluster`. Raises UserError, before anything is written, if the
    run cannot be started.
    """
    out = Path(out)
    if (out / "config.yaml").exists():
        raise UserError(f"{out} already holds a run; choose another name, or resume that one.")
    run = create(config, out, place)
    options = {"slurm": {"options": cluster.model_dump()}} if cluster else {}
    run.update_state(status="created", place=place, **options)
    resume(out)
    return run


def resume(run_path: str | Path) -> None:
    """Go on with a run that was stopped, has failed or was never started, at the place of its last session.

    Raises UserError if a process works on it, or is about to.
    """
    run = Run.open(run_path)
    if (job := look(run)).active:
        raise UserError(f"Run {run.name} is {job.status} already; stop it first, or wait for it.")
    with run.claimed():  # two people may press Resume at the same moment
        state = run.state
        if is_local(state):
            end_group(state)  # what a killed run left behind
        LAUNCHERS[state.get("place", "local")](run)


def launch_local(run: Run) -> None:
    """Start `ccd run` in a session of its own, and take its place in the queue.

    The caller claims the run until both are written.
    """
    path = str(run.path.resolve())
    with open(log_file(run.path, "job.log"), "ab") as output:
        process = subprocess.Popen(
            python_command("ccd_core.cli", "run", "--resume", "--queue", "--out", path),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=child_environment() | {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"},  # cuda:N is then NVML's N
        )
    queue.take_ticket(run.path.resolve(), devices_of(run.config.device), process.pid)
    run.update_state(**_waiting(), **process_facts(process.pid))
    _started.append(process)


def reap_ended() -> None:
    """Forget the jobs of this process that have ended. Asking for its exit code lets a zombie go."""
    for process in list(_started):
        if process.poll() is not None:
            with suppress(ValueError):  # another thread was here
                _started.remove(process)


def launch_slurm(run: Run) -> None:
    """Queue the run on the cluster, with the options it was started with."""
    slurm.submit(run)
    run.update_state(**_waiting())


# Place -> function that starts a claimed run there.
LAUNCHERS = {"local": launch_local, "slurm": launch_slurm}


def _waiting() -> dict[str, Any]:
    return {"status": "queued", "error": None, "eta_seconds": None, "launched": time.time()}


@contextmanager
def device_queue(run: Run, device: str) -> Iterator[None]:
    """Claim the run, wait until older jobs have left its device, and hold the device for the block.

    The run is queued while it waits.
    """
    with run.claimed():
        ticket = queue.take_ticket(run.path.resolve(), devices_of(device), os.getpid())
        run.update_state(**_waiting(), **this_process())
        beat = time.time()

        def waiting(ahead: int) -> None:
            nonlocal beat
            if run.stop_asked(this_process()):
                raise Stopped
            if time.time() - beat > BEAT_SECONDS:
                beat = time.time()
                os.utime(run.file("state.json"))

        with queue.hold_devices(ticket, waiting):
            run.update_state(
                status="running",
                stage="starting",
                detail="loading PyTorch",
                done=0,
                total=0,
                began=time.time(),
                memory_kills=memory_kills(),
            )
            try:
                yield
            except Exception as error:
                if run.state.get("status") == "running":  # its session did not begin, so it wrote no status
                    run.update_state(status="failed", error=str(error) or type(error).__name__)
                raise


def stop(run_path: str | Path, wait: bool = True) -> None:
    """Ask a run to write its checkpoint and leave.

    wait: return when it has left; a run that has not left after GRACE_SECONDS is killed. Otherwise return at
    once. Raises UserError if the run neither runs nor waits.
    """
    run = Run.open(run_path)
    job = look(run)
    if not job.active:
        raise UserError(f"Run {run.name} is not running (status {job.status}).")
    if job.place == "slurm":
        slurm.cancel(run)
    elif run.stop_asked(job.state) is None:
        run.ask_to_stop()
    if is_local(job.state):
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(int(job.state["pid"] or 0), signal.SIGTERM)
    until = time.time() + STOP_SECONDS
    while wait and time.time() < until:
        if not look(run).active:
            return
        time.sleep(0.1)


def is_local(state: RunState) -> bool:
    """Whether `state` names a process, running or ended, that a job of this machine has, not one of SLURM."""
    is_here = state.get("place") != "slurm" and state.get("host") == socket.gethostname()
    return is_here and bool(state.get("pid")) and "pid_created" in state


def look(run: Run, line: list[queue.Ticket] | None = None) -> Job:
    """The run as a job, now.

    This does more than `Run.status`. SLURM is asked about a job on a cluster, and what it says of a job that
    is over is written. A process that has not left GRACE_SECONDS after it was asked to stop is killed.

    line: the tickets of this machine, if the caller has them already.
    """
    reap_ended()
    state = run.state
    asked = run.stop_asked(state)
    local = is_local(state)
    if local and state.get("status") in ACTIVE:
        is_overdue = asked is not None and time.time() - asked > GRACE_SECONDS
        if is_overdue and process_alive(state):
            end_group(state)
    place = state.get("place", "local")
    ahead = 0
    if place == "slurm":
        status, state, job = slurm.status_now(run)
        reason = waits_for(state, job) if status == "queued" else why_failed(run, state, status)
    else:
        status = run.status
        reason = why_failed(run, state, status)
        if status == "queued" and local:
            ahead = len(queue.ahead_of(run.path.resolve(), line))
    return Job(run, status, state, place, ahead, asked if status in ACTIVE else None, reason)


def why_failed(run: Run, state: RunState, status: str) -> str | None:
    """The message of a failed run, or what is known about the end of its process; None for other runs."""
    if status != "failed":
        return None
    if error := state.get("error"):
        return error
    here = this_process()
    where = f"in stage {state['stage']}" if state.get("stage") else "before its first stage"
    goes_on = "Resume goes on from the last checkpoint."
    same_boot = state.get("boot", here["boot"]) == here["boot"]
    kills = memory_kills()
    if "boot" in state and same_boot and kills > state.get("memory_kills", kills):
        return (
            f"The process was ended {where}, and since it began the system has ended processes "
            "because memory ran out. Try less data.cache_gb, fewer data.workers or a smaller batch_size "
            "in a new run. " + goes_on
        )
    if not same_boot and state.get("host") == here["host"]:
        return f"The machine was started anew while the run was {where}. {goes_on}"
    return f"The process ended {where} without a word, as one that was killed does. {goes_on}"


def list_jobs(workspace: str | Path) -> list[Job]:
    """The runs directly below the workspace as jobs, newest first, without those that cannot be read."""
    line = queue.tickets()
    return [look(run, line) for run in list_runs(workspace)]


def output_tail(run: Run, lines: int = 40) -> list[str]:
    """The end of the run's log, and of what its process printed, such as an error before the log began."""
    log = run.log_tail(lines)
    printed = _tail(run.file("job.log"), lines)
    if printed:
        log = [*log, "", "-- job.log --", *printed]
    return log[-2 * lines :]


def _tail(path: Path, lines: int, most: int = 64_000) -> list[str]:
    if path.is_symlink() or not path.is_file():  # a link may lead to any file of this machine
        return []
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - most))
        return file.read().decode(errors="replace").splitlines()[-lines:]


def delete(run_path: str | Path) -> None:
    """Delete a run's folder for good. Raises UserError while a process works on the run."""
    run = Run.open(run_path)
    look(run)  # SLURM may know that its job is over
    with run.claimed():
        shutil.rmtree(run.path)
