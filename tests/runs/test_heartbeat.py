"""The heartbeat: a run that lives says so, and hears a request to stop."""

from __future__ import annotations

import signal
import socket
import threading
import time

from ccd_core.machine.processes import this_process
from ccd_core.runs.run import Run
from tests.support import wait_for


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
