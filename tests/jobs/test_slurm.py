"""Runs on a real SLURM cluster of one node: accepted, run, cancelled, pushed out and queued again."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable

import pytest

from app.parts.train import data as train_data
from ccd_core.errors import UserError
from ccd_core.jobs import control, slurm
from ccd_core.jobs.slurm import RunJob, SlurmOptions
from ccd_core.runs.run import Run
from ccd_core.runs.slurm_state import JobState
from tests.slurm import cluster
from tests.support import NAVIGATION, same_result, tiny_config, wait_for

pytestmark = pytest.mark.timeout(900)
SMALL = SlurmOptions(partition="low", gpus=0, cpus=2, memory_gb=1, hours=0.5)


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A cluster for the tests of this file, and what jobs inherit."""
    reason = cluster.missing()
    if reason:
        pytest.skip(f"not run: {reason}")
    with cluster.cluster() as variables, pytest.MonkeyPatch.context() as patch:
        variables |= {"CCD_HOME": str(tmp_path_factory.mktemp("home"))}
        for name, value in variables.items():
            patch.setenv(name, value)
        patch.setattr(slurm, "LOOK_SECONDS", 0.2)
        yield


def what_slurm_says() -> str:
    """What SLURM says of its jobs and nodes."""
    asked = [["squeue", "--states=all"], ["scontrol", "show", "job"], ["scontrol", "show", "node"]]
    return "\n".join(subprocess.run(command, capture_output=True, text=True).stdout for command in asked)


def until(seen: Callable[[], object]) -> None:
    """Wait for SLURM, which is slow on a busy machine; a failure shows what it says."""
    wait_for(seen, 240, what_slurm_says)


def said_of(job: str) -> str:
    """What SLURM says of a job."""
    return slurm.query_slurm({"slurm": {"job": job}}).name


def make_room(job: str) -> None:
    """SLURM waits two minutes before it runs a job again that it queued again; not in a test."""
    until(lambda: "PENDING" in said_of(job))
    subprocess.run(["scontrol", "update", f"JobId={job}", "StartTime=now"], check=True, timeout=20)


@pytest.mark.slow
def test_a_job_is_pushed_out_queued_again_and_ends_as_if_nothing_had_happened(
    environment, tiny_run, tiny_scenes, tmp_path
):
    run = control.start(tiny_config(tiny_scenes), tmp_path / "run", "slurm", SMALL)
    job = run.state["slurm"]["job"]
    assert control.look(run).status == "queued" and control.look(run).place == "slurm"
    with pytest.raises(UserError, match="queued already"):
        control.resume(run.path)
    until(
        lambda: (
            run.state.get("stage") in ("global", "warm-up", "views") and control.look(run).status == "running"
        )
    )

    subprocess.run(
        [
            "sbatch",
            "--partition=high",
            "--cpus-per-task=2",
            "--mem=500",
            "--output=/dev/null",
            "--wrap",
            "sleep 1",
        ],
        check=True,
    )
    until(lambda: control.look(run).status == "queued")
    assert f"SLURM job {job}" in control.look(run).reason
    make_room(job)
    until(lambda: control.look(run).status == "finished")
    assert run.state["slurm"]["job"] == job and said_of(job) in ("COMPLETING", "COMPLETED", "RUNNING")
    assert "stopped" in run.file("log.txt").read_text()  # it left on SIGTERM, not by the kill that follows
    assert same_result(tiny_run, run)


def test_a_job_is_stopped_and_resumed(environment, tiny_scenes, tmp_path):
    run = control.start(
        tiny_config(tiny_scenes, training={"epochs": 200, "warmup_epochs": 199}),
        tmp_path / "run",
        "slurm",
        SMALL,
    )
    first = run.state["slurm"]["job"]
    until(lambda: run.state.get("stage") == "warm-up" and control.look(run).status == "running")
    control.stop(run.path)
    assert control.look(run).status == "stopped"
    until(lambda: said_of(first) == "CANCELLED")
    with pytest.raises(UserError, match="not running"):
        control.stop(run.path)
    control.resume(run.path)
    assert control.look(run).status == "queued" and run.state["slurm"]["job"] != first
    control.stop(run.path)
    assert control.look(run).status == "stopped"


def test_what_slurm_does_not_take_is_said_in_one_sentence(environment, tiny_scenes, tmp_path):
    with pytest.raises(UserError, match=r"SLURM did not take the job: .*partition"):
        control.start(
            tiny_config(tiny_scenes),
            tmp_path / "run",
            "slurm",
            SlurmOptions(partition="nowhere", gpus=0, cpus=1),
        )
    assert Run.open(tmp_path / "run").status == "created"


@pytest.mark.parametrize(
    ("written", "said", "status", "words"),
    [
        ("stopped", "PENDING", "queued", None),  # it left to make room
        ("running", "TIMEOUT", "failed", "time was up"),
        ("running", "CANCELLED by 1000", "stopped", None),
        ("finished", "NODE_FAIL", "finished", None),
    ],
)
def test_what_slurm_says_of_a_job_is_written_when_the_job_is_looked_at(
    tiny_run, tmp_path, monkeypatch, written, said, status, words
):
    """All that SLURM can say: tests/runs/test_slurm_state.py."""
    monkeypatch.setattr(slurm, "query_slurm", lambda state: JobState(said))
    run = Run.create(tmp_path / "run", tiny_run.config, tiny_run.classes)
    run.update_state(place="slurm", slurm={"job": "7"}, status=written)
    assert control.look(run).status == status
    if words:
        assert words in control.look(run).reason and "Resume" in run.state["error"]


def test_a_run_copied_to_a_machine_without_slurm_still_opens(tiny_run, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    run = Run.create(tmp_path / "run", tiny_run.config, tiny_run.classes)
    run.update_state(place="slurm", slurm={"job": "8"}, status="running")
    assert run.status == "running"  # its heartbeat is new
    long_ago = time.time() - 3600
    os.utime(run.file("state.json"), (long_ago, long_ago))
    assert run.status == "failed"


@pytest.mark.parametrize(
    "more", [{"account": "a\n#SBATCH --wrap=x"}, {"Bad Key": "x"}, {"account": "$(id)"}, {"output": "x"}]
)
def test_options_that_are_none_are_refused(more):
    with pytest.raises(ValueError, match="no option of sbatch|set for every run"):
        SlurmOptions(more=more)


@pytest.mark.slow
def test_the_page_train_submits_to_the_cluster(environment, tmp_path, monkeypatch):
    from streamlit.testing.v1 import AppTest

    monkeypatch.setenv("CCD_RUNS", str(tmp_path))
    # Start waits until the data set is checked, and here nothing asks again.
    monkeypatch.setattr(train_data, "PATIENCE", 60)
    app = AppTest.from_file(NAVIGATION, default_timeout=200).run()
    app.switch_page("../pages/train.py").run()
    app.radio(key="place").set_value("SLURM cluster").run()
    app.number_input(key="slurm_gpus").set_value(0).run()
    app.number_input(key="slurm_cpus").set_value(1).run()
    app.button(key="start").click().run()
    assert not app.exception and not [error.value for error in app.error]
    (run,) = [Run.open(path) for path in tmp_path.iterdir() if (path / "config.yaml").is_file()]
    assert run.state["place"] == "slurm" and said_of(run.state["slurm"]["job"]) in (
        "PENDING",
        "RUNNING",
        "CONFIGURING",
    )
    control.stop(run.path)
    assert control.look(run).status == "stopped"


@pytest.mark.parametrize("status", ["queued", "running", "stopped", "finished"])
def test_reading_a_status_starts_no_process_and_writes_nothing(tiny_run, tmp_path, monkeypatch, status):
    run = Run.create(tmp_path / "run", tiny_run.config, tiny_run.classes)
    run.update_state(place="slurm", slurm={"job": "7"}, status=status)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("a process was started"))
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a process was started"))
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in run.path.iterdir()}
    assert run.status == status
    assert before == {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in run.path.iterdir()}


@pytest.mark.parametrize("job", ["--user=x", "7 8", "", "٣", 5, None, ["7"]])
def test_a_word_that_is_no_number_never_reaches_a_command_of_slurm(tiny_run, tmp_path, monkeypatch, job):
    """A run's folder may come from somebody else; its job is data."""
    run = Run.create(tmp_path / "run", tiny_run.config, tiny_run.classes)
    run.update_state(place="slurm", slurm={"job": job}, status="running")
    given: list[list[str]] = []
    answer = subprocess.CompletedProcess([], 1, "", "")
    monkeypatch.setattr(subprocess, "run", lambda command, **_: given.append(command) or answer)
    control.look(run)
    with pytest.raises(UserError):
        control.stop(run.path)
    assert all(word.isdigit() for command in given for word in command if "7" in word or "user" in word)


def test_a_job_that_an_earlier_release_queued_still_loads():
    """submitit pickled `ccd_core.slurm.RunJob`."""
    import pickle

    old = pickle.dumps(RunJob("/runs/first", None)).replace(b"ccd_core.jobs.slurm", b"ccd_core.slurm")
    old = old.replace(b"\x8c\x13ccd_core.slurm", b"\x8c\x0eccd_core.slurm")
    job = pickle.loads(b"\x80\x03" + old[old.index(b"\x8c") :] if old[2:3] == b"\x95" else old)
    assert type(job) is RunJob and job.path == "/runs/first"
