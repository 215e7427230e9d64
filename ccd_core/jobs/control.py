"""Start, watch, stop and resume runs outside the process that asks (Sec. 9-10 of the design).

A job is `ccd run` in a session of its own: closing the browser, stopping the app or logging out does not stop it. The run's
folder is the only truth about it, so that any number of apps and terminals may look after the same workspace.

    run = jobs.start(CCDConfig.preset("demo"), jobs.new_folder("runs", "first"))
    jobs.stop(run.path); jobs.resume(run.path)
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ccd_core.config import CCDConfig
from ccd_core.data import open_dataset
from ccd_core.errors import Stopped, UserError
from ccd_core.jobs import queue as job_queue
from ccd_core.jobs import slurm
from ccd_core.jobs.slurm import SlurmOptions
from ccd_core.machine import gpus as gpu_facts
from ccd_core.machine.processes import (
    end_group,
    memory_kills,
    process_alive,
    process_facts,
    reap,
    this_process,
)
from ccd_core.runs.heartbeat import GRACE_SECONDS
from ccd_core.runs.run import Run, list_runs

ACTIVE = ("running", "queued")


@dataclass(frozen=True)
class Job:
    """A run as a job. `ahead`: how many jobs it waits for; `asked`: when it was asked to stop; `reason`: why it failed, or waits on a cluster."""

    run: Run
    status: str
    state: dict[str, Any]
    place: str
    ahead: int
    asked: float | None
    reason: str | None

    @property
    def active(self) -> bool:
        return self.status in ACTIVE


def new_folder(workspace: str | Path, name: str) -> Path:
    """Where a new run named `name` goes. Raises UserError for a name that is none, is taken, or leads out of the workspace."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,80}", name or ""):
        raise UserError(
            "A run's name has 1 to 81 letters, digits, dots, hyphens and underscores, and begins with a letter or digit."
        )
    path = Path(workspace).resolve() / name
    if path.is_symlink() or path.resolve().parent != path.parent:
        raise UserError(f"{name} is a link that leads out of the workspace; choose another name.")
    if path.exists():
        raise UserError(f"There is something named {name} in the workspace already; choose another name.")
    return path


def create(config: CCDConfig, out: str | Path, place: str = "local") -> Run:
    """A run that may wait for its device. Raises UserError, before anything is written, for a data set or a device that is not there.

    Whether a GPU is there is asked of NVML, as torch is not loaded; where it knows of none, the run itself finds out.
    """
    dataset = open_dataset(config.data.spec, config.data.classes)
    wanted, there = gpu_facts.devices_of(config.device), [gpu.device for gpu in gpu_facts.gpus()]
    if (
        place == "local"
        and there
        and (missing := [device for device in wanted if device.startswith("cuda") and device not in there])
    ):
        raise UserError(f"There is no device {missing[0]} here; this machine has {', '.join(there)}.")
    return Run.create(out, config, dataset.classes)


def start(
    config: CCDConfig, out: str | Path, place: str = "local", cluster: SlurmOptions | None = None
) -> Run:
    """Start a run in the background, here or on a SLURM cluster with `cluster` as its job's options.

    Raises UserError, before anything is written, if it could not run.
    """
    out = Path(out)
    if (out / "config.yaml").exists():
        raise UserError(f"{out} already holds a run; choose another name, or resume that one.")
    run = create(config, out, place)
    run.update_state(
        status="created", place=place, **({"slurm": {"options": cluster.model_dump()}} if cluster else {})
    )
    resume(out)
    return run


def resume(run_path: str | Path) -> None:
    """Go on with a run that was stopped, failed or was never started, where it was. Raises UserError where somebody works on it."""
    run = Run.open(run_path)
    with run.claimed():  # two people may press Resume at the same moment
        if is_local(run.state):
            end_group(run.state)  # what a killed run left behind
        LAUNCHERS[run.state.get("place", "local")](run)


def launch_local(run: Run) -> None:
    """`ccd run` in a session of its own, with its place in the queue; the caller holds the claim on the run until both are written."""
    with open(run.file("job.log"), "ab") as output:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "ccd_core.cli",
                "run",
                "--resume",
                "--queue",
                "--out",
                str(run.path.resolve()),
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=os.environ | {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"},  # cuda:N is then NVML's N
        )
    job_queue.take_ticket(run.path.resolve(), gpu_facts.devices_of(run.config.device), process.pid)
    run.update_state(**_waiting(), **process_facts(process.pid))


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
    """Hold the run and its device for the block, waiting for older jobs on the device; the run shows as queued meanwhile."""
    with run.claimed():
        ticket = job_queue.take_ticket(run.path.resolve(), gpu_facts.devices_of(device), os.getpid())
        run.update_state(**_waiting(), **this_process())
        beat = time.time()

        def waiting(ahead: int) -> None:
            nonlocal beat
            if run.stop_asked(this_process()):
                raise Stopped
            if time.time() - beat > 5:
                beat = time.time()
                os.utime(run.file("state.json"))

        with job_queue.hold_devices(ticket, waiting):
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
    """Ask a run to write its checkpoint and leave. wait: come back when it is gone, insisting after the grace; otherwise at once."""
    run = Run.open(run_path)
    state = run.state
    if run.status not in ACTIVE:
        raise UserError(f"Run {run.name} is not running (status {run.status}).")
    if state.get("place") == "slurm":
        slurm.cancel(run)
    elif run.stop_asked(state) is None:
        run.ask_to_stop()
    if is_local(state):
        os.kill(state["pid"], signal.SIGTERM)
    until = time.time() + GRACE_SECONDS + 10
    while wait and time.time() < until:
        if look(run).status not in ACTIVE:
            return
        time.sleep(0.1)


def is_local(state: dict[str, Any]) -> bool:
    """Whether the process that `state` names is, or was, one of this machine, and ours to look after rather than SLURM's."""
    return state.get("place") != "slurm" and state.get("host") == this_process()["host"] and "pid" in state


def look(run: Run, line: list[job_queue.Ticket] | None = None) -> Job:
    """The run as a job, now. Whoever looks also insists: a process that was asked to stop and is still there after the grace is ended."""
    state, asked = run.state, run.stop_asked()
    here = is_local(state)
    if here and state.get("status") in ACTIVE:
        reap(state["pid"])
        if asked is not None and time.time() - asked > GRACE_SECONDS and process_alive(state):
            end_group(state)
    status, place = run.status, state.get("place", "local")
    state = run.state if place == "slurm" else state  # asking for the status may have put it right
    ahead = len(job_queue.ahead_of(run.path.resolve(), line)) if status == "queued" and here else 0
    reason = (
        slurm.waits_for(state) if status == "queued" and place == "slurm" else why_failed(run, state, status)
    )
    return Job(run, status, state, place, ahead, asked if status in ACTIVE else None, reason)


def why_failed(run: Run, state: dict[str, Any], status: str) -> str | None:
    """What a failed run said, or what is known of how its process ended."""
    if status != "failed":
        return None
    if state.get("error"):
        return state["error"]
    where = f"in stage {state['stage']}" if state.get("stage") else "before its first stage"
    if state.get("boot") == this_process()["boot"] and memory_kills() > state.get(
        "memory_kills", memory_kills()
    ):
        return (
            f"The process was ended {where}, and since it began the system has ended processes because memory ran out. "
            "Try less data.cache_gb, fewer data.workers or a smaller batch_size in a new run; Resume goes on from the last checkpoint."
        )
    if (
        state.get("boot", this_process()["boot"]) != this_process()["boot"]
        and state.get("host") == this_process()["host"]
    ):
        return f"The machine was started anew while the run was {where}; Resume goes on from the last checkpoint."
    return f"The process ended {where} without a word, as one that was killed does; Resume goes on from the last checkpoint."


def list_jobs(workspace: str | Path) -> list[Job]:
    """Every run directly below the workspace as a job, newest first."""
    line = job_queue.tickets()
    return [look(run, line) for run in list_runs(workspace)]


def output_tail(run: Run, lines: int = 40) -> list[str]:
    """The end of what the run logged and of what its process printed (a traceback, say, that never came to the log)."""
    log, printed = run.log_tail(lines), _tail(run.file("job.log"), lines)
    return ([*log, "", "-- job.log --", *printed] if printed else log)[-2 * lines :]


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
