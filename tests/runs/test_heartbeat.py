"""The heartbeat: a run that lives says so, and hears a request to stop."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from ccd_core.machine.processes import this_process
from ccd_core.runs import heartbeat
from ccd_core.runs.run import Run
from tests.support import wait_for


@pytest.fixture
def run(tiny_run, tmp_path, monkeypatch) -> Run:
    """A run that this process works on, with a fast heart."""
    monkeypatch.setattr(heartbeat, "LISTEN_SECONDS", 0.05)
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.1)
    run = Run.create(tmp_path / "one", tiny_run.config, tiny_run.classes)
    run.update_state(status="running", **this_process())
    return run


@pytest.fixture
def heard():
    """An event that is set when this process is sent SIGTERM."""
    event = threading.Event()
    previous = signal.signal(signal.SIGTERM, lambda *_: event.set())
    yield event
    signal.signal(signal.SIGTERM, previous)


def test_a_run_shows_that_it_lives_although_it_makes_no_progress(run, heard):
    before = run.heartbeat
    with heartbeat.heartbeat(run):
        wait_for(lambda: run.heartbeat > before, 5)
    assert not heard.is_set()


def test_a_request_in_the_folder_becomes_a_signal(run, heard):
    with heartbeat.heartbeat(run):
        run.ask_to_stop()
        assert heard.wait(5)


def test_a_request_to_an_earlier_process_is_not_heeded(run, heard):
    own = run.state["pid"]
    run.update_state(pid=own + 1)
    run.ask_to_stop()
    run.update_state(pid=own)
    with heartbeat.heartbeat(run):
        time.sleep(0.3)
    assert not heard.is_set()
