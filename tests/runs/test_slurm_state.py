"""What the state of a run on a cluster means, given what SLURM says of its job."""

from __future__ import annotations

import pytest

from ccd_core.runs.slurm_state import JobState, is_this_job, job_number, needs_slurm, settle, waits_for


def state(status: str, **slurm: str) -> dict:
    return {"status": status, "place": "slurm", "stage": "views", "slurm": {"job": "7"} | slurm}


@pytest.mark.parametrize(
    ("written", "job", "status"),
    [
        ("queued", "PENDING", "queued"),
        ("stopped", "PENDING", "queued"),  # it left to make room, and is queued again
        ("queued", "RUNNING", "queued"),  # its process has not said anything yet
        ("running", "RUNNING", "running"),
        ("running", "COMPLETING", "running"),
        ("stopped", "COMPLETING", "stopped"),
        ("finished", "NODE_FAIL", "finished"),
    ],
)
def test_while_a_job_is_open_nothing_is_to_be_written(written, job, status):
    assert settle(state(written), True, JobState(job)) == (status, {})


@pytest.mark.parametrize(
    ("job", "words"),
    [
        ("TIMEOUT", "time was up"),
        ("OUT_OF_MEMORY", "more memory"),
        ("NODE_FAIL", "the node failed"),
        ("", "no longer knows"),
        ("SOMETHING_NEW", "ended as SOMETHING_NEW"),
    ],
)
def test_a_job_that_is_over_fails_the_run_with_a_reason_and_is_not_asked_about_again(job, words):
    before = state("running")
    status, changes = settle(before, True, JobState(job))
    assert status == changes["status"] == "failed"
    assert words in changes["error"] and "stage views" in changes["error"] and "Resume" in changes["error"]
    assert needs_slurm(before) and not needs_slurm(before | changes)


def test_a_cancelled_job_is_a_stopped_run_without_an_error():
    status, changes = settle(state("running"), True, JobState("CANCELLED by 1000"))
    assert status == changes["status"] == "stopped" and changes["error"] is None


@pytest.mark.parametrize(("has_heartbeat", "status"), [(True, "running"), (False, "failed")])
def test_where_slurm_cannot_be_asked_the_heartbeat_decides(has_heartbeat, status):
    assert settle(state("running"), has_heartbeat, None) == (status, {})


@pytest.mark.parametrize("job", ["7; rm -rf /", "", "७", "-1", None])
def test_only_a_number_is_given_to_a_command(job):
    assert job_number({"slurm": {"job": job}}) is None and job_number({}) is None


def test_a_process_knows_its_own_job(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert is_this_job(state("running")) and not is_this_job({"slurm": {"job": "8"}})


def test_why_a_job_waits_is_said_in_slurms_words():
    pending = JobState("PENDING", "Resources", "2026-11-26T12:00:00")
    assert waits_for(state("queued"), pending) == (
        "SLURM job 7 waits: Resources, starts 2026-11-26 12:00:00 at the latest"
    )
    assert waits_for(state("queued"), JobState("PENDING", "Priority", "N/A")) == "SLURM job 7 waits: Priority"
    assert waits_for(state("queued"), JobState("RUNNING")) == "SLURM job 7 is starting"
