"""Jobs: processes of their own that the run's folder is the truth about; queues; stopping, dying, resuming."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from ccd_core.cli import jobs as cli_jobs
from ccd_core.cli.commands import app
from ccd_core.errors import UserError
from ccd_core.jobs import control as jobs
from ccd_core.jobs import queue as job_queue
from ccd_core.machine import gpus as gpu_facts
from ccd_core.machine import processes
from ccd_core.machine.processes import claim, process_alive, process_facts, this_process
from ccd_core.runs.run import Run
from tests.support import same_result, tiny_config


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Path:
    """A workspace with a queue and a cache of its own; what is left running there ends with the test."""
    monkeypatch.setenv("CCD_HOME", str(tmp_path / "home"))
    folder = tmp_path / "runs"
    folder.mkdir()
    yield folder
    for job in jobs.list_jobs(folder):
        if job.active and job.state["pid"] != os.getpid():
            jobs.end_group(job.state)


def wait_for(condition, seconds: float = 60):
    until = time.time() + seconds
    while time.time() < until:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


def status(path: Path) -> str:
    return jobs.look(Run.open(path)).status


def test_a_gpu_that_is_not_there_is_said_before_anything_is_written(workspace, tiny_scenes, monkeypatch):
    monkeypatch.setattr(gpu_facts, "gpus", lambda: [gpu_facts.GpuFacts("cuda:0", "GPU", 0, 1, None, None)])
    with pytest.raises(UserError, match=r"no device cuda:9 here; this machine has cuda:0\."):
        jobs.start(tiny_config(tiny_scenes, device="cuda:0,9"), workspace / "one")
    assert not (workspace / "one").exists()


@pytest.mark.slow
def test_a_killed_job_says_so_and_resumes_to_the_same_result(workspace, tiny_scenes, tiny_run):
    run = jobs.start(tiny_config(tiny_scenes), workspace / "one")
    assert run.status == "queued" and run.state["place"] == "local"
    wait_for(lambda: run.has("metrics.csv"))
    with pytest.raises(UserError, match="is running already"):
        jobs.resume(run.path)
    os.kill(run.state["pid"], signal.SIGKILL)
    job = wait_for(lambda: (found := jobs.look(run)).status == "failed" and found)
    assert "without a word" in job.reason and "Resume" in job.reason
    assert any("16 classes, on" in line for line in jobs.output_tail(run))
    jobs.resume(run.path)
    wait_for(lambda: status(run.path) == "finished")
    assert same_result(tiny_run, run)
    assert list(run.file("tensorboard").glob("events.*"))


def test_stop_while_running_and_while_queued(workspace, tiny_scenes):
    first, second = (jobs.start(tiny_config(tiny_scenes), workspace / name) for name in ("first", "second"))
    wait_for(lambda: first.state.get("stage") == "warm-up")
    assert jobs.look(second).ahead == 1 and second.status == "queued"
    jobs.stop(second.path)
    assert second.status == "stopped" and "stage" not in second.state
    began = time.time()
    jobs.stop(first.path, wait=False)
    assert time.time() - began < 1 and jobs.look(first).asked is not None
    wait_for(lambda: status(first.path) == "stopped")
    assert first.state["status"] == "stopped" and (
        first.has("checkpoints", "last.safetensors") or not first.has("metrics.csv")
    )
    with pytest.raises(UserError, match="is not running"):
        jobs.stop(first.path)
    jobs.resume(first.path)
    wait_for(lambda: first.status == "running")  # the request was for the process before
    jobs.stop(first.path)


def test_one_that_does_not_listen_is_ended_with_all_it_started(workspace, tiny_run, monkeypatch):
    run = Run.create(workspace / "deaf", tiny_run.config, tiny_run.classes)
    code = "import signal, subprocess, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); subprocess.Popen(['sleep', '60']); print('up', flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True, stdout=subprocess.PIPE)
    assert process.stdout.readline()
    child = psutil.Process(process.pid).children()[0]
    run.update_state(status="running", **process_facts(process.pid))
    monkeypatch.setattr(jobs, "GRACE_SECONDS", 0.5)
    jobs.stop(run.path)
    assert run.status == "stopped" and (not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_what_a_dead_leader_left_behind_is_ended_but_not_a_stranger(workspace):
    code = "import subprocess; print(subprocess.Popen(['sleep', '60']).pid, flush=True); input()"
    leader = subprocess.Popen(
        [sys.executable, "-c", code], start_new_session=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    orphan, facts = psutil.Process(int(leader.stdout.readline())), process_facts(leader.pid)
    leader.kill()
    leader.wait()
    jobs.end_group(facts)
    assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE
    reused = this_process() | {"pid_created": time.time() - 10_000}
    jobs.end_group(reused)  # this very process lives on


def test_zombies_reused_pids_reboots_and_other_hosts():
    process = subprocess.Popen(["sleep", "60"])
    facts = process_facts(process.pid)
    assert process_alive(facts)
    assert not process_alive(facts | {"pid_created": facts["pid_created"] - 100})
    assert not process_alive(facts | {"boot": "before"})
    process.kill()
    wait_for(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
    assert not process_alive(facts)
    process.wait()
    assert not process_alive(facts)
    elsewhere = facts | {"host": "elsewhere"}
    assert process_alive(elsewhere | {"heartbeat": time.time() - 30}) and not process_alive(
        elsewhere | {"heartbeat": time.time() - 300}
    )


def test_two_who_press_resume_at_once_start_one_process(workspace, tiny_scenes, tiny_run):
    run = Run.create(workspace / "one", tiny_config(tiny_scenes), tiny_run.classes)
    code = "import sys; from ccd_core import jobs; jobs.resume(sys.argv[1])"
    both = [
        subprocess.Popen([sys.executable, "-c", code, str(run.path)], stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    errors = [process.communicate()[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 1] and any(
        "is queued already" in error or "is running already" in error for error in errors
    )
    terminal = CliRunner().invoke(app, ["run", "--resume", "--out", str(run.path)])
    assert isinstance(terminal.exception, UserError) and "already" in str(terminal.exception)
    with pytest.raises(UserError, match="stop it first"):
        jobs.delete(run.path)
    jobs.stop(run.path)
    jobs.delete(run.path)
    assert not run.path.exists()


def test_a_claim_is_held_once_and_freed_by_death(tmp_path):
    code = f"import time, pathlib; from ccd_core.processes import claim\nwith claim(pathlib.Path({str(tmp_path)!r})): print('held', flush=True); time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert holder.stdout.readline()
    with pytest.raises(UserError, match="in the hands of another process"), claim(tmp_path, 0.2):
        pass
    holder.kill()
    holder.wait()
    with claim(tmp_path, 0.2), claim(tmp_path, 0.2):
        pass


def test_devices_of_a_setting():
    assert job_queue.devices_of("cuda") == ("cuda:0",) and job_queue.devices_of("cpu:1") == ("cpu:1",)
    assert job_queue.devices_of("cuda:3,1") == job_queue.devices_of("cuda:1,cuda:3") == ("cuda:1", "cuda:3")
    assert job_queue.devices_of("auto") == (("cuda:0",) if gpu_facts.gpus() else ("cpu",))
    with pytest.raises(UserError, match="no device 'gpu7'"):
        job_queue.devices_of("gpu7")


SLEEPERS = """
import os, sys, time
from pathlib import Path
from ccd_core.job_queue import devices_of, take_ticket, turn
run, devices, log = Path(sys.argv[1]), devices_of(sys.argv[2]), sys.argv[3]
sys.stdin.readline()
with hold_devices(take_ticket(run, devices, os.getpid()), lambda ahead: None):
    with open(log, "a") as file: file.write(f"{run.name} begins\\n")
    time.sleep(0.3)
    with open(log, "a") as file: file.write(f"{run.name} ends\\n")
"""


def test_the_queue_keeps_the_order_skips_the_dead_and_takes_all_devices_or_none(workspace, monkeypatch):
    monkeypatch.setattr(job_queue, "POLL_SECONDS", 0.05)
    wanted, log = (
        ["cuda:0", "cuda:1", "cuda:0,1", "cuda:0", "cuda:1", "cuda:1,0", "cuda:0"],
        workspace / "log",
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SLEEPERS, str(workspace / str(number)), device, str(log)],
            stdin=subprocess.PIPE,
        )
        for number, device in enumerate(wanted)
    ]
    for number, (process, device) in enumerate(zip(processes, wanted, strict=True)):
        job_queue.take_ticket(workspace / str(number), job_queue.devices_of(device), process.pid)
    assert [ticket.run.name for ticket in job_queue.ahead_of(workspace / "5")] == ["0", "1", "2", "3", "4"]
    assert [ticket.run.name for ticket in job_queue.ahead_of(workspace / "4")] == ["1", "2"]
    processes[3].kill()
    for process in reversed(processes):
        if process is not processes[3]:
            process.stdin.write(b"\n")
            process.stdin.close()
    for process in processes:
        process.wait()
    lines = [tuple(line.split()) for line in log.read_text().splitlines()]
    for device in ("cuda:0", "cuda:1"):
        names = [
            str(number)
            for number, setting in enumerate(wanted)
            if device in job_queue.devices_of(setting) and number != 3
        ]
        assert [line for line in lines if line[0] in names] == [
            (name, word) for name in names for word in ("begins", "ends")
        ]
    assert not job_queue.tickets()


@pytest.mark.parametrize("name", ["", "../outside", "a/b", ".hidden", "x" * 90, "name\n", "-rf"])
def test_a_name_cannot_leave_the_workspace(workspace, name):
    with pytest.raises(UserError, match="A run's name"):
        jobs.new_folder(workspace, name)


def test_a_link_cannot_leave_the_workspace(workspace, tmp_path):
    (workspace / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="leads out"):
        jobs.new_folder(workspace, "link")


def test_the_terminal_starts_watches_and_lists(workspace, tiny_scenes):
    settings = workspace.parent / "settings.yaml"
    settings.write_text(tiny_config(tiny_scenes, training={"epochs": 2, "warmup_epochs": 1}).to_yaml())
    run = CliRunner()
    started = run.invoke(
        app, ["jobs", "start", "--config", str(settings), "--name", "one", "--workspace", str(workspace)]
    )
    assert started.exit_code == 0 and started.stdout.strip() == str(workspace / "one")
    watched = run.invoke(app, ["jobs", "watch", "one", "--workspace", str(workspace)])
    assert watched.exit_code == 0 and "one: finished" in watched.stdout
    listed = json.loads(run.invoke(app, ["jobs", "list", "--json", "--workspace", str(workspace)]).stdout)
    assert [(job["run"], job["status"], job["place"]) for job in listed] == [("one", "finished", "local")]
    assert "finished" in run.invoke(app, ["jobs", "logs", "one", "--workspace", str(workspace)]).stdout
    Run.open(workspace / "one").update_state(status="failed", error="It broke.")
    shown = run.invoke(app, ["jobs", "show", "one", "--workspace", str(workspace)])
    assert shown.exit_code == 1 and "It broke." in shown.stdout


def test_the_terminal_stops_resumes_and_follows(workspace, tiny_scenes):
    for name in ("one", "two"):
        jobs.start(tiny_config(tiny_scenes, training={"epochs": 2, "warmup_epochs": 1}), workspace / name)
    one, two = (Run.open(workspace / name) for name in ("one", "two"))
    run, at = CliRunner(), ["--workspace", str(workspace)]
    wait_for(lambda: one.state.get("stage"))
    assert (
        one.state["stage"] == "starting"
        and one.state["detail"].startswith("loading")
        and "starting (loading" in cli_jobs._progress(one.state)
    )
    stopped = run.invoke(app, ["jobs", "stop", "two", "one", *at])
    assert stopped.exit_code == 0 and "two: stopped" in stopped.stdout and "one: stopped" in stopped.stdout
    assert one.status == two.status == "stopped"
    again = run.invoke(app, ["jobs", "stop", "one", *at])
    assert isinstance(again.exception, UserError) and "is not running" in str(again.exception)
    assert run.invoke(app, ["jobs", "logs", "one", "--follow", *at]).exit_code == 1  # it was stopped
    resumed = run.invoke(app, ["jobs", "resume", "one", *at])
    assert resumed.exit_code == 0 and "one: queued" in resumed.stdout
    followed = run.invoke(app, ["jobs", "logs", "one", "--follow", "--lines", "1", *at])
    lines = followed.stdout.splitlines()
    assert (
        followed.exit_code == 0
        and lines[-1].endswith("finished")
        and sum("epoch 1 (main)" in line for line in lines) == 1
    )
    assert two.status == "stopped"


def test_a_death_for_want_of_memory_is_told_by_the_kernels_count(workspace, tiny_run, monkeypatch):
    run = Run.create(workspace / "one", tiny_run.config, tiny_run.classes)
    process = subprocess.Popen(["sleep", "60"])
    run.update_state(
        status="running", stage="views", memory_kills=jobs.memory_kills(), **process_facts(process.pid)
    )
    process.kill()
    process.wait()
    assert "without a word" in jobs.look(run).reason
    vmstat = workspace.parent / "vmstat"
    vmstat.write_text(f"pgfault 12\noom_kill {run.state['memory_kills'] + 1}\n")
    monkeypatch.setattr(processes, "VMSTAT", vmstat)
    assert "in stage views" in jobs.look(run).reason and "memory ran out" in jobs.look(run).reason
    run.update_state(boot="before")
    assert "was started anew" in jobs.look(run).reason


def test_the_heartbeat_beats_without_progress_and_hears_a_request(workspace, tiny_run, monkeypatch):
    from ccd_core.runs import heartbeat

    run = Run.create(workspace / "one", tiny_run.config, tiny_run.classes)
    run.update_state(status="running", **this_process())
    monkeypatch.setattr(heartbeat, "LISTEN_SECONDS", 0.05)
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.1)
    before, heard = run.heartbeat, threading.Event()
    previous = signal.signal(signal.SIGTERM, lambda *_: heard.set())
    try:
        with heartbeat.heartbeat(run):
            time.sleep(0.4)
            assert run.heartbeat > before and not heard.is_set()
            run.ask_to_stop()
            wait_for(heard.is_set, 2)
    finally:
        signal.signal(signal.SIGTERM, previous)
    assert socket.gethostname() == run.state["host"]


def test_what_a_killed_process_was_writing_goes_with_the_next_one(tiny_run, tmp_path):
    run = Run.create(tmp_path / "run", tiny_run.config, tiny_run.classes)
    half, request = run.file("checkpoints", ".last.safetensors.77.partial"), run.file(".stop.json.78.partial")
    half.parent.mkdir()
    half.write_bytes(b"half")
    request.write_text("{}")
    with run.claimed():
        assert not half.exists() and request.exists()
