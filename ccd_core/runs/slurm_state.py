"""What the state of a run on a SLURM cluster means. Nothing here asks SLURM or writes a file."""

from __future__ import annotations

import os
from typing import NamedTuple

from ccd_core.runs.files.documents import RunState, SlurmPart, Status

WAITING = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD")
WORKING = ("RUNNING", "CONFIGURING", "SUSPENDED", "SIGNALING", "STAGE_OUT", "STOPPED", "RESIZING")
FAILED = {
    "TIMEOUT": "the job's time was up before the run could leave",
    "OUT_OF_MEMORY": "the job used more memory than it asked for; give it more, or choose a smaller batch",
    "NODE_FAIL": "the node failed",
    "BOOT_FAIL": "the node did not boot",
    "DEADLINE": "the job's deadline passed",
    "PREEMPTED": "the job had to make room and SLURM did not queue it again",
    "FAILED": "the job failed",
    "COMPLETED": "the job is over but the run is not",
}


class JobState(NamedTuple):
    """What SLURM says of a job: its state, such as PENDING, why it waits, and its latest time of start.

    The name is "" if SLURM no longer knows the job. The time is "" or "N/A" if SLURM does not know it.
    """

    name: str
    reason: str = ""
    starts: str = ""


def job_number(state: RunState) -> str | None:
    """The number of the run's job; None if the state names none.

    A state may come from somebody else, so a word that is no number is never given to a command.
    """
    job = str(state.get("slurm", {}).get("job", ""))
    return job if job.isascii() and job.isdigit() else None


def is_this_job(state: RunState) -> bool:
    """Whether this process is part of the job that the run's state names."""
    job = job_number(state)
    return job is not None and os.environ.get("SLURM_JOB_ID") == job


def needs_slurm(state: RunState) -> bool:
    """Whether only SLURM knows what became of the run's job."""
    is_open = state.get("status", "created") not in ("created", "finished", "failed")
    return is_open and job_number(state) is not None and not state.get("slurm", {}).get("over")


def settle(state: RunState, has_heartbeat: bool, job: JobState | None) -> tuple[str, RunState]:
    """The status of a run, and the changes to write to its state, given what SLURM says of its job.

    has_heartbeat: whether the run has lately given a sign of life. job: None if SLURM cannot be asked from
    here. There are changes only if the job is over; when they are written, SLURM is not asked again.
    """
    status = state.get("status", "created")
    if not needs_slurm(state):
        return status, {}
    if job is None:
        return ("failed" if status == "running" and not has_heartbeat else status), {}
    if job.name in WAITING:
        return "queued", {}
    if job.name in WORKING:
        return ("running" if status == "running" else "queued"), {}
    if job.name == "COMPLETING":
        return ("stopped" if status == "stopped" else "running"), {}
    stopped = status == "stopped" or job.name.startswith("CANCELLED")
    final: Status = "stopped" if stopped else "failed"
    error = None if stopped else _why(state, job)
    over: SlurmPart = {**state.get("slurm", {}), "over": job.name or "forgotten"}
    return final, {"status": final, "error": error, "eta_seconds": None, "slurm": over}


def _why(state: RunState, job: JobState) -> str:
    unknown = f"the job ended as {job.name}" if job.name else "SLURM no longer knows the job"
    how = FAILED.get(job.name, unknown)
    return (
        f"SLURM job {job_number(state)}, in stage {state.get('stage', 'start')}: {how}. "
        "Resume submits the run again; it goes on from its last checkpoint."
    )


def waits_for(state: RunState, job: JobState | None) -> str:
    """A sentence about what a queued job waits for, in SLURM's words."""
    number = job_number(state)
    if job is None or job.name not in WAITING:
        return f"SLURM job {number} is starting"
    knows_start = bool(job.starts) and job.starts != "N/A"
    when = f", starts {job.starts.replace('T', ' ')} at the latest" if knows_start else ""
    return f"SLURM job {number} waits: {job.reason}{when}"
