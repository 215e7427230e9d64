"""Jobs: processes of their own. The run's folder says how they are; they are stopped, die and are resumed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from ccd_core.cli.commands import app
from ccd_core.errors import UserError
from ccd_core.jobs import control
from ccd_core.machine import processes
from ccd_core.machine.gpus import GpuFacts
from ccd_core.machine.processes import process_facts
from ccd_core.runs.run import Run
from tests.support import is_gone, same_result, start_python, tiny_config, wait_for


def status(path: Path) -> str:
    return control.look(Run.open(path)).status


def test_a_gpu_that_is_not_there_is_said_before_anything_is_written(workspace, tiny_scenes, monkeypatch):
    monkeypatch.setattr(control, "gpus", lambda: [GpuFacts("cuda:0", "GPU", 0, 1, None, None)])
    with pytest.raises(UserError, match=r"no device cuda:9 here; this machine has cuda:0\."):
        control.start(tiny_config(tiny_scenes, device="cuda:0,9"), workspace / "one")
    assert not (workspace / "one").exists()


@pytest.mark.slow
def test_a_killed_job_says_so_and_resumes_to_the_same_result(workspace, tiny_scenes, tiny_run):
    run = control.start(tiny_config(tiny_scenes), workspace / "one")
    assert run.status == "queued" and run.state["place"] == "local"
    wait_for(lambda: run.has("metrics.csv"))
    with pytest.raises(UserError, match="is running already"):
        control.resume(run.path)
    os.kill(run.state["pid"], signal.SIGKILL)
    wait_for(lambda: status(run.path) == "failed")
    reason = control.look(run).reason
    assert "without a word" in reason and "Resume" in reason
    assert any("16 classes, on" in line for line in control.output_tail(run))
    control.resume(run.path)
    wait_for(lambda: status(run.path) == "finished")
    assert same_result(tiny_run, run)
    assert list(run.file("tensorboard").glob("events.*"))


def test_a_running_and_a_queued_job_are_stopped_and_one_goes_on(workspace, tiny_scenes):
    first, second = (
        control.start(tiny_config(tiny_scenes), workspace / name) for name in ("first", "second")
    )
    wait_for(lambda: first.state.get("stage") == "warm-up")
    assert control.look(second).ahead == 1 and second.status == "queued"
    control.stop(second.path)
    assert second.status == "stopped" and "stage" not in second.state
    began = time.monotonic()
    control.stop(first.path, wait=False)
    assert time.monotonic() - began < 1 and control.look(first).asked is not None
    wait_for(lambda: status(first.path) == "stopped")
    assert first.state["status"] == "stopped"
    assert first.has("checkpoints", "last.safetensors") or not first.has("metrics.csv")
    with pytest.raises(UserError, match="is not running"):
        control.stop(first.path)
    control.resume(first.path)
    wait_for(lambda: first.status == "running")  # the request was for the process before
    control.stop(first.path)


def test_a_job_that_does_not_listen_is_ended_with_all_it_started(workspace, tiny_run, monkeypatch):
    run = Run.create(workspace / "deaf", tiny_run.config, tiny_run.classes)
    deaf = start_python(
        """
        import signal, subprocess, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print(subprocess.Popen(["sleep", "60"]).pid, flush=True)
        time.sleep(60)
        """,
        start_new_session=True,
    )
    child = psutil.Process(int(deaf.stdout.readline()))
    run.update_state(status="running", **process_facts(deaf.pid))
    monkeypatch.setattr(control, "GRACE_SECONDS", 0.5)
    control.stop(run.path)
    assert run.status == "stopped" and is_gone(child)


def test_a_job_that_has_ended_leaves_no_zombie(workspace, copied_run, monkeypatch):
    """Also where nobody looks at a job again: the app asks now and then (app/sessions.py)."""
    from app.sessions import _let_ended_jobs_go

    monkeypatch.setattr(control, "python_command", lambda *words: [sys.executable, "-c", ""])
    run = copied_run("runs/done")
    control.launch_local(run)
    job = psutil.Process(int(run.state["pid"] or 0))
    wait_for(lambda: job.status() == psutil.STATUS_ZOMBIE)
    _let_ended_jobs_go()
    assert not psutil.pid_exists(job.pid)


def test_two_who_press_resume_at_once_start_one_process(workspace, tiny_scenes, tiny_run):
    run = Run.create(workspace / "one", tiny_config(tiny_scenes), tiny_run.classes)
    code = "import sys; from ccd_core.jobs import control; control.resume(sys.argv[1])"
    both = [start_python(code, run.path, stderr=subprocess.PIPE) for _ in range(2)]
    errors = [process.communicate()[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 1]
    assert any("is queued already" in error or "is running already" in error for error in errors)
    terminal = CliRunner().invoke(app, ["run", "--resume", "--out", str(run.path)])
    assert isinstance(terminal.exception, UserError) and "already" in str(terminal.exception)
    with pytest.raises(UserError, match="stop it first"):
        control.delete(run.path)
    control.stop(run.path)
    control.delete(run.path)
    assert not run.path.exists()


@pytest.mark.parametrize("name", ["", "../outside", "a/b", ".hidden", "x" * 90, "name\n", "-rf"])
def test_a_name_cannot_leave_the_workspace(workspace, name):
    with pytest.raises(UserError, match="A run's name"):
        control.new_folder(workspace, name)


def test_a_link_cannot_leave_the_workspace(workspace, tmp_path):
    (workspace / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="leads out"):
        control.new_folder(workspace, "link")


def test_a_process_that_the_kernel_killed_for_want_of_memory_is_told_from_others(
    workspace, tiny_run, tmp_path, monkeypatch
):
    """The kernel counts such kills; the run remembers the count at its start."""
    run = Run.create(workspace / "one", tiny_run.config, tiny_run.classes)
    process = subprocess.Popen(["sleep", "60"])
    facts = process_facts(process.pid)
    run.update_state(status="running", stage="views", memory_kills=control.memory_kills(), **facts)
    process.kill()
    process.wait()
    assert "without a word" in control.look(run).reason
    vmstat = tmp_path / "vmstat"
    vmstat.write_text(f"pgfault 12\noom_kill {run.state['memory_kills'] + 1}\n")
    monkeypatch.setattr(processes, "VMSTAT", vmstat)
    reason = control.look(run).reason
    assert "in stage views" in reason and "memory ran out" in reason
    run.update_state(boot="before")
    assert "was started anew" in control.look(run).reason
