"""Start, watch, stop and resume runs outside the process that asks.

A job is `ccd run` in a session of its own. Closing the browser, stopping the app or logging out does not stop
it. All that is known of a job lies in the run's folder, so that any number of apps and terminals may look
after the same workspace.

    run = jobs.start(CCDConfig.preset("demo"), jobs.new_folder("runs", "first"))
    jobs.stop(run.path); jobs.resume(run.path)
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
    reap,
    this_process,
)
from ccd_core.runs.documents import RunState
from ccd_core.runs.heartbeat import GRACE_SECONDS
from ccd_core.runs.run import ACTIVE, Run, list_runs
from ccd_core.runs.slurm_state import waits_for

_started: list[subprocess.Popen[bytes]] = []  # jobs that this process started and that may still run


@dataclass(frozen=True)
class Job:
    """A run as a job.

    place: local or slurm; ahead: how many jobs it waits for; asked: when it was asked to stop, in seconds
    since 1970; reason: why it failed, or why it waits on a cluster.
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
        return self.status in ACTIVE


def new_folder(workspace: str | Path, name: str) -> Path:
    """Where a new run named `name` goes. Raises UserError for a name that is none, is taken, or leads out of
    the workspace.
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
    """A run that may wait for its device.

    Raises UserError, before anything is written, for a data set or a device that is not there. Which GPUs
    there are is asked of NVML, as torch is not loaded; where NVML knows of none, the run itself finds out.
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
    """Start a run in the background, here or on a SLURM cluster, with `cluster` as its job's options.

    Raises UserError, before anything is written, if it could not run.
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
    """Go on with a run that was stopped, failed or was never started, where it was. Raises UserError where
    somebody works on it.
    """
    run = Run.open(run_path)
    if (job := look(run)).active:
        raise UserError(f"Run {run.name} is {job.status} already; stop it first, or wait for it.")
    with run.claimed():  # two people may press Resume at the same moment
        if is_local(run.state):
            end_group(run.state)  # what a killed run left behind
        LAUNCHERS[run.state.get("place", "local")](run)


def launch_local(run: Run) -> None:
    """`ccd run` in a session of its own, with its place in the queue. The caller claims the run until both
    are written.
    """
    path = str(run.path.resolve())
    with open(run.file("job.log"), "ab") as output:
        process = subprocess.Popen(
            python_command("ccd_core.cli", "run", "--resume", "--queue", "--out", path),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=child_environment() | {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"},  # cuda:N is then NVML's N
        )
    _started.append(process)
    queue.take_ticket(run.path.resolve(), devices_of(run.config.device), process.pid)
    run.update_state(**_waiting(), **process_facts(process.pid))


def _reap_started() -> None:
    """Let go of the jobs started by this process that have ended, so that none stays as a zombie."""
    _started[:] = [process for process in _started if process.poll() is None]


def launch_slurm(run: Run) -> None:
    """Queue the run on the cluster, with the options it was started with."""
    slurm.submit(run)
    run.update_state(**_waiting())


# Where a job can be: name -> how a claimed run is set going there.
LAUNCHERS = {"local": launch_local, "slurm": launch_slurm}


def _waiting() -> dict[str, Any]:
    return {"status": "queued", "error": None, "eta_seconds": None, "launched": time.time()}


@contextmanager
def device_queue(run: Run, device: str) -> Iterator[None]:
    """Hold the run and its device for the block, waiting for older jobs on the device; the run shows as
    queued meanwhile.
    """
    with run.claimed():
        ticket = queue.take_ticket(run.path.resolve(), devices_of(device), os.getpid())
        run.update_state(**_waiting(), **this_process())
        beat = time.time()

        def waiting(ahead: int) -> None:
            nonlocal beat
            if run.stop_asked(this_process()):
                raise Stopped
            if time.time() - beat > 5:
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
                if run.state["status"] == "running":  # before its session began
                    run.update_state(status="failed", error=str(error) or type(error).__name__)
                raise


def stop(run_path: str | Path, wait: bool = True) -> None:
    """Ask a run to write its checkpoint and leave.

    wait: come back when it is gone, ending it after the grace; otherwise come back at once. Raises UserError
    where the run is not running.
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
        os.kill(job.state["pid"], signal.SIGTERM)
    until = time.time() + GRACE_SECONDS + 10
    while wait and time.time() < until:
        if not look(run).active:
            return
        time.sleep(0.1)


def is_local(state: RunState) -> bool:
    """Whether the process that `state` names is, or was, one of this machine and not SLURM's."""
    return (
        state.get("place") != "slurm"
        and state.get("host") == this_process()["host"]
        and bool(state.get("pid"))
    )


def look(run: Run, line: list[queue.Ticket] | None = None) -> Job:
    """The run as a job, now.

    Looking also acts: SLURM is asked about a job on a cluster, and what it says of one that is over is
    written. A process that was asked to stop and is still there after the grace is ended. line: the tickets
    of this machine, where they are known already.
    """
    _reap_started()
    state = run.state
    asked = run.stop_asked(state)
    local = is_local(state)
    if local and state.get("status") in ACTIVE:
        reap(state["pid"])
        is_overdue = asked is not None and time.time() - asked > GRACE_SECONDS
        if is_overdue and process_alive(state):
            end_group(state)
    place = state.get("place", "local")
    ahead = 0
    if place == "slurm":
        status, job = slurm.status_now(run)
        state = run.state
        reason = waits_for(state, job) if status == "queued" else why_failed(run, state, status)
    else:
        status = run.status
        reason = why_failed(run, state, status)
        if status == "queued" and local:
            ahead = len(queue.ahead_of(run.path.resolve(), line))
    return Job(run, status, state, place, ahead, asked if status in ACTIVE else None, reason)


def why_failed(run: Run, state: RunState, status: str) -> str | None:
    """What a failed run said, or what is known of how its process ended; None for any other run."""
    if status != "failed":
        return None
    if state.get("error"):
        return state["error"]
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
    """Every run directly below the workspace as a job, newest first."""
    line = queue.tickets()
    return [look(run, line) for run in list_runs(workspace)]


def output_tail(run: Run, lines: int = 40) -> list[str]:
    """The end of the run's log and of what its process printed, such as a traceback from before the log was
    open.
    """
    log = run.log_tail(lines)
    printed = _tail(run.file("job.log"), lines)
    if printed:
        log = [*log, "", "-- job.log --", *printed]
    return log[-2 * lines :]


def _tail(path: Path, lines: int, most: int = 64_000) -> list[str]:
    if not path.is_file():
        return []
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - most))
        return file.read().decode(errors="replace").splitlines()[-lines:]


def delete(run_path: str | Path) -> None:
    """Delete a run's folder for good. Raises UserError while somebody works on it."""
    run = Run.open(run_path)
    with run.claimed():
        shutil.rmtree(run.path)
