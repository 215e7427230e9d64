"""Runs on a SLURM cluster: submitted through submitit, followed and stopped through SLURM's own commands.

The job is `ccd run --resume --out RUN`, so all that a job does and keeps is in the run's folder, which must lie on a disk that the
login node and the compute nodes share. A job that SLURM preempts, or whose time is up, leaves its checkpoint and is queued again.
submitit keeps the path of the run in a pickle in RUN/slurm; the job that was submitted with it is the only one that reads it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import Field, field_validator

from ccd_core.config import Section
from ccd_core.errors import UserError
from ccd_core.machine.processes import process_alive

if TYPE_CHECKING:
    from ccd_core.runs.run import Run

LOOK_SECONDS = 2  # SLURM is asked about a job at most this often
REQUEUES = 1000  # times that a job whose time is up is queued again
OURS = (
    "chdir",
    "error",
    "input",
    "open-mode",
    "output",
    "wrap",
)  # options of sbatch that say where a run is and what it does
LEAVE_SECONDS = 60  # a run writes what it has within this, then the job is queued again

WAITING = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD")
WORKING = ("RUNNING", "CONFIGURING", "SUSPENDED", "SIGNALING", "STAGE_OUT", "STOPPED", "RESIZING")
FAILED = {
    "TIMEOUT": "the job's time was up before the run could leave",
    "OUT_OF_MEMORY": "the job used more memory than it had asked for; give it more, or choose a smaller batch",
    "NODE_FAIL": "the node failed",
    "BOOT_FAIL": "the node did not boot",
    "DEADLINE": "the job's deadline passed",
    "PREEMPTED": "the job had to make room and SLURM did not queue it again",
    "FAILED": "the job failed",
    "COMPLETED": "the job is over but the run is not",
}


class SlurmOptions(Section):
    """What a job asks the cluster for; empty means the cluster's default."""

    partition: str = Field("", pattern=r"^[\w.,-]*$", description="Partition, or several: gpu,spare.")
    gpus: int = Field(1, ge=0, le=64, description="GPUs on one node; with several, the run uses all of them.")
    cpus: int = Field(8, ge=1, le=1024, description="CPU cores; they decode images.")
    memory_gb: int = Field(0, ge=0, description="Memory in GB; 0: the cluster's default.")
    hours: float = Field(
        24, gt=0, description="Time limit in hours; a run that needs longer is queued again and goes on."
    )
    more: dict[str, str] = Field(
        default_factory=dict, description="Further options of sbatch, e.g. account: vision."
    )

    @field_validator("more")
    @classmethod
    def _options_of_sbatch(cls, more: dict[str, str]) -> dict[str, str]:
        for key, value in more.items():
            if not re.fullmatch(r"[a-z][a-z-]*", key) or not re.fullmatch(r"[\w.,:=@/+%-]*", value):
                raise ValueError(f"{key}={value} is no option of sbatch such as account=vision")
            if key in OURS:
                raise ValueError(f"{key} is set for every run, so that it can be followed; leave it out")
        return more


def parse_more(words: list[str]) -> dict[str, str]:
    """account=vision -> {"account": "vision"}. Raises UserError for a word without =."""
    for word in words:
        if "=" not in word:
            raise UserError(
                f"Further options of sbatch are written KEY=VALUE, for example account=vision, and {word!r} is not."
            )
    return dict(word.split("=", 1) for word in words)


class JobState(NamedTuple):
    """What SLURM says of a job: PENDING, RUNNING, ...; why it waits; when it will start at the latest, if it knows."""

    name: str
    reason: str = ""
    starts: str = ""


def is_this_job(state: dict[str, Any]) -> bool:
    """Whether this process is part of the job that the run's state names."""
    return "job" in state.get("slurm", {}) and os.environ.get("SLURM_JOB_ID") == state["slurm"]["job"]


def available() -> bool:
    """Whether this machine can submit jobs to a cluster."""
    return shutil.which("sbatch") is not None


class RunJob:
    """What the job does on its node."""

    def __init__(self, path: str, device: str | None):
        self.path, self.device = path, device
        self.process: subprocess.Popen[bytes] | None = None

    def __call__(self) -> None:
        command = [
            sys.executable,
            "-m",
            "ccd_core.cli",
            "run",
            "--resume",
            "--out",
            self.path,
            *(["--device", self.device] if self.device else []),
        ]
        with open(Path(self.path) / "job.log", "ab") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
            if self.process.wait() != 0:
                raise RuntimeError(
                    f"the run ended with exit code {self.process.returncode}; see {output.name}"
                )

    def checkpoint(self) -> Any:
        """Called by submitit shortly before the job's time is up: the run leaves, the job is queued again. The folder is the checkpoint."""
        from submitit.helpers import DelayedSubmission

        if self.process is not None:
            self.process.terminate()
            self.process.wait(LEAVE_SECONDS)
        return DelayedSubmission(RunJob(self.path, self.device))


def submit(run: Run) -> None:
    """Queue the run with the options in its state. Raises UserError where SLURM does not take it."""
    if not available():
        raise UserError("There is no sbatch on this machine; submit from a login node of the cluster.")
    try:
        from submitit import SlurmExecutor
        from submitit.core.utils import FailedJobError, FailedSubmissionError
    except ImportError:
        raise UserError("Submitting to SLURM needs submitit: pip install submitit.") from None
    options = SlurmOptions.model_validate(run.state.get("slurm", {}).get("options", {}))
    path = run.path.resolve()
    executor = SlurmExecutor(path / "slurm", max_num_timeout=REQUEUES)
    given: dict[str, Any] = {"partition": options.partition, "gpus_per_node": options.gpus}
    given |= {"mem": f"{options.memory_gb}GB" if options.memory_gb else None}
    executor.update_parameters(
        job_name=f"ccd-{run.name}",
        time=max(1, round(options.hours * 60)),
        cpus_per_task=options.cpus,
        srun_args=[f"--cpus-per-task={options.cpus}"],  # srun does not take this over from sbatch any more
        signal_delay_s=LEAVE_SECONDS + 30,
        additional_parameters={"requeue": True, "chdir": str(Path.cwd())} | options.more,
        **{key: value for key, value in given.items() if value},
    )
    try:
        job = executor.submit(RunJob(str(path), "cuda:all" if options.gpus > 1 else None))
    except (FailedJobError, FailedSubmissionError, OSError, subprocess.SubprocessError) as error:
        said = next(
            (line for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__
        )
        raise UserError(f"SLURM did not take the job: {said.strip()}") from None
    run.update_state(slurm={"job": job.job_id, "options": options.model_dump()}, pid=None, host=None)


def cancel(run: Run) -> None:
    """SLURM sends SIGTERM, waits for the run to leave, then SIGKILL. Raises UserError where it says no."""
    done = subprocess.run(["scancel", run.state["slurm"]["job"]], capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise UserError(f"SLURM did not cancel job {run.state['slurm']['job']}: {done.stderr.strip()}")


def ask(job: str) -> JobState | None:
    """What SLURM says of the job; JobState("") where it has forgotten it, None where it cannot be asked from here."""
    return _ask(job, int(time.time() / LOOK_SECONDS))


@lru_cache(maxsize=256)
def _ask(job: str, moment: int) -> JobState | None:
    try:
        told = subprocess.run(
            ["squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%T|%r|%S"],
            capture_output=True,
            text=True,
            timeout=20,
        )
        if told.returncode == 0 and told.stdout.strip():
            return JobState(*told.stdout.strip().splitlines()[0].split("|"))
        if told.returncode and "Invalid job id" not in told.stderr:
            return None
        told = subprocess.run(
            ["sacct", "-n", "-P", "-X", "-j", job, "-o", "State"], capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return JobState(told.stdout.split()[0] if told.returncode == 0 and told.stdout.strip() else "")


def status_of(run: Run, state: dict[str, Any]) -> str:
    """Run.status of a run on a cluster: what its folder says, put right by what SLURM says.

    What SLURM says of a job that is over is written into the state, so that nobody has to ask again.
    """
    status, slurm = state.get("status", "created"), state.get("slurm", {})
    if status in ("created", "finished", "failed") or "job" not in slurm or slurm.get("over"):
        return status
    job = ask(slurm["job"])
    if job is None:
        return (
            status
            if status != "running" or process_alive(state | {"heartbeat": run.heartbeat, "host": None})
            else "failed"
        )
    if job.name in WAITING:
        return "queued"
    if job.name in WORKING:
        return "running" if status == "running" else "queued"
    if job.name == "COMPLETING":
        return status if status == "stopped" else "running"
    final, error = (
        ("stopped", None)
        if status == "stopped" or job.name.startswith("CANCELLED")
        else ("failed", _why(slurm["job"], job.name, state))
    )
    if (
        run.state.get("status") == status
    ):  # its last word may have come between our reading and SLURM's answer
        run.update_state(
            status=final, error=error, eta_seconds=None, slurm=slurm | {"over": job.name or "forgotten"}
        )
    return run.state["status"]


def _why(job: str, name: str, state: dict[str, Any]) -> str:
    how = FAILED.get(name, f"the job ended as {name}" if name else "SLURM no longer knows the job")
    return f"SLURM job {job}, in stage {state.get('stage', 'start')}: {how}. Resume submits the run again; it goes on from its last checkpoint."


def waits_for(state: dict[str, Any]) -> str:
    """Why a queued job is not running yet, in SLURM's words."""
    slurm = state.get("slurm", {})
    job = ask(slurm["job"]) if "job" in slurm else None
    if job is None or job.name not in WAITING:
        return f"SLURM job {slurm.get('job')} is starting"
    when = (
        f", starts {job.starts.replace('T', ' ')} at the latest" if job.starts and job.starts != "N/A" else ""
    )
    return f"SLURM job {slurm['job']} waits: {job.reason}{when}"
