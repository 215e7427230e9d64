"""Runs on a SLURM cluster: submitted through submitit, followed and stopped through SLURM's own commands.

The job is `ccd run --resume --out RUN`. All that it does and keeps is in the run's folder, which must lie on
a disk that the login node and the compute nodes share. A job that SLURM preempts, or whose time is up, writes
a checkpoint and is queued again. submitit keeps a pickle with the path of the run in RUN/slurm. Only the job
that was submitted with it reads it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator

from ccd_core.errors import UserError
from ccd_core.machine.processes import child_environment, is_recent, python_command
from ccd_core.runs.files.documents import RunState
from ccd_core.runs.files.logs import log_file
from ccd_core.runs.run import Run
from ccd_core.runs.slurm_state import JobState, job_number, needs_slurm, settle
from ccd_core.settings.sections import Section

LOOK_SECONDS = 2  # SLURM is asked about a job at most this often
REQUEUES = 1000  # times that a job whose time is up is queued again
# Options of sbatch that say where a run is and what it does.
OURS = ("chdir", "error", "input", "open-mode", "output", "wrap")
LEAVE_SECONDS = 60  # a run writes what it has within this, then the job is queued again


class SlurmOptions(Section):
    """What a job asks the cluster for. An empty option means the cluster's default."""

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
    """["account=vision"] -> {"account": "vision"}. Raises UserError for a word without "="."""
    for word in words:
        if "=" not in word:
            raise UserError(
                "Further options of sbatch are written KEY=VALUE, for example account=vision, "
                f"and {word!r} is not."
            )
    return dict(word.split("=", 1) for word in words)


def available() -> bool:
    """Whether this machine can submit jobs to a cluster."""
    return shutil.which("sbatch") is not None


class RunJob:
    """What the job does on its node. submitit pickles it."""

    def __init__(self, path: str, device: str | None):
        self.path = path
        self.device = device
        self.process: subprocess.Popen[bytes] | None = None

    def __call__(self) -> None:
        device = ["--device", self.device] if self.device else []
        command = python_command("ccd_core.cli", "run", "--resume", "--out", self.path, *device)
        with open(log_file(Path(self.path), "job.log"), "ab") as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=child_environment(),
            )
            if self.process.wait() != 0:
                raise RuntimeError(
                    f"the run ended with exit code {self.process.returncode}; see {output.name}"
                )

    def checkpoint(self) -> Any:
        """Stop the run, and queue the job again. submitit calls this shortly before the job's time is up.

        The run's folder is the checkpoint.
        """
        from submitit.helpers import DelayedSubmission

        if self.process is not None:
            self.process.terminate()
            self.process.wait(LEAVE_SECONDS)
        return DelayedSubmission(RunJob(self.path, self.device))


class CommandJob:
    """What one task of an array does: a command that goes on where it was. submitit pickles it."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None

    def __call__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=child_environment())
        if self.process.wait() != 0:
            raise RuntimeError(f"the command ended with exit code {self.process.returncode}")

    def checkpoint(self, command: list[str]) -> Any:
        """End the command, and queue the task again. submitit calls this shortly before its time is up."""
        from submitit.helpers import DelayedSubmission

        if self.process is not None:
            self.process.terminate()
            self.process.wait(LEAVE_SECONDS)
        return DelayedSubmission(CommandJob(), command)


def submit(run: Run) -> None:
    """Queue the run with the options in its state. Raises UserError if SLURM does not accept the job."""
    options = _options_of(run)
    path = run.path.resolve()
    with _sentences():
        executor = _executor(path / "slurm", f"ccd-{run.name}", options)
        job = executor.submit(RunJob(str(path), "cuda:all" if options.gpus > 1 else None))
    run.update_state(slurm={"job": job.job_id, "options": options.model_dump()}, pid=None, host=None)


def submit_array(folder: Path, name: str, commands: list[list[str]], options: SlurmOptions) -> str:
    """Queue commands as one array of tasks, each with these options. Returns the number of SLURM's job.

    A command is started again if its task is queued again, so it must go on where it was. What the tasks
    print lies in `folder`. Raises UserError if SLURM does not accept the array.
    """
    with _sentences():
        executor = _executor(folder, name, options)
        executor.update_parameters(array_parallelism=len(commands))
        jobs = executor.map_array(CommandJob(), commands)
    return str(jobs[0].job_id).partition("_")[0]


def is_at_work(job: str) -> bool:
    """Whether SLURM has tasks of a job, by its number, that wait or run."""
    if not job.isdigit():
        return False
    asked = ["squeue", "--noheader", f"--jobs={job}", "--format=%T"]
    try:
        answer = subprocess.run(asked, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and bool(answer.stdout.strip())


@contextmanager
def _sentences() -> Iterator[None]:
    """Raise UserError where SLURM is not here or does not take what is submitted."""
    if not available():
        raise UserError("There is no sbatch on this machine; submit from a login node of the cluster.")
    try:
        from submitit.core.utils import FailedJobError, FailedSubmissionError
    except ImportError:
        raise UserError("Submitting to SLURM needs submitit: pip install submitit.") from None
    try:
        yield
    except (FailedJobError, FailedSubmissionError, OSError, subprocess.SubprocessError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        said = lines[-1] if lines else type(error).__name__
        raise UserError(f"SLURM did not take the job: {said}") from None


def _executor(folder: Path, name: str, options: SlurmOptions) -> Any:
    """submitit's executor, which keeps its files in `folder`."""
    from submitit import SlurmExecutor

    executor = SlurmExecutor(folder, max_num_timeout=REQUEUES)
    given: dict[str, Any] = {"partition": options.partition, "gpus_per_node": options.gpus}
    given |= {"mem": f"{options.memory_gb}GB" if options.memory_gb else None}
    executor.update_parameters(
        job_name=name,
        time=max(1, round(options.hours * 60)),
        cpus_per_task=options.cpus,
        srun_args=[f"--cpus-per-task={options.cpus}"],  # srun no longer inherits this from sbatch
        signal_delay_s=LEAVE_SECONDS + 30,
        additional_parameters={"requeue": True, "chdir": str(Path.cwd())} | options.more,
        **{key: value for key, value in given.items() if value},
    )
    return executor


def _options_of(run: Run) -> SlurmOptions:
    try:
        return SlurmOptions.model_validate(run.state.get("slurm", {}).get("options", {}))
    except ValidationError as error:
        raise UserError(
            f"The state of run {run.name} has SLURM options that are none: {first_mistake(error)}."
        ) from None


def first_mistake(error: ValidationError) -> str:
    """The option that is wrong, and why, from what pydantic says of SlurmOptions."""
    first = error.errors()[0]
    why = first["msg"].removeprefix("Value error, ")
    return f"{first['loc'][0]}: {why}" if first["loc"] else why


def cancel(run: Run) -> None:
    """Let SLURM send SIGTERM, wait for the run to leave, and then send SIGKILL.

    Raises UserError if SLURM refuses.
    """
    job = job_number(run.state)
    if job is None:
        raise UserError(f"The state of run {run.name} names no SLURM job, so there is none to cancel.")
    done = subprocess.run(["scancel", job], capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise UserError(f"SLURM did not cancel job {job}: {done.stderr.strip()}")


def query_slurm(state: RunState) -> JobState | None:
    """What SLURM says of the run's job.

    JobState("") if SLURM no longer knows it; None if SLURM cannot be asked from here.
    """
    job = job_number(state)
    return None if job is None else _query(job, int(time.time() / LOOK_SECONDS))


@lru_cache(maxsize=256)
def _query(job: str, moment: int) -> JobState | None:
    squeue = ["squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%T|%r|%S"]
    sacct = ["sacct", "-n", "-P", "-X", "-j", job, "-o", "State"]
    try:
        answer = subprocess.run(squeue, capture_output=True, text=True, timeout=20)
        if answer.returncode == 0 and answer.stdout.strip():
            return JobState(*answer.stdout.strip().splitlines()[0].split("|"))
        if answer.returncode and "Invalid job id" not in answer.stderr:
            return None
        answer = subprocess.run(sacct, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return JobState(answer.stdout.split()[0] if answer.returncode == 0 and answer.stdout.strip() else "")


def status_now(run: Run) -> tuple[str, RunState, JobState | None]:
    """Status and state of a run on a cluster, and what SLURM says of its job.

    What SLURM says of a job that is over is written, if this user may write to the run's folder.
    """
    state = run.state
    job = query_slurm(state) if needs_slurm(state) else None
    status, changes = settle(state, is_recent(run.heartbeat), job)
    if not changes:
        return status, state, job
    latest = run.state
    if latest.get("status") != state.get("status"):  # the run has just written how it ended
        return latest.get("status", "created"), latest, job
    with suppress(OSError):
        run.update_state(**changes)
    return status, {**latest, **changes}, job
