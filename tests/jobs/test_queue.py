"""The queue of devices: first come, first served, and all devices of a run or none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ccd_core.jobs import queue
from ccd_core.machine.gpus import devices_of

# A run that waits for a line of input, holds its devices for a moment, and writes down when.
SLEEPER = """
import os, sys, time
from pathlib import Path
from ccd_core.jobs.queue import hold_devices, take_ticket
from ccd_core.machine.gpus import devices_of
run, devices, log = Path(sys.argv[1]), devices_of(sys.argv[2]), sys.argv[3]
sys.stdin.readline()
with hold_devices(take_ticket(run, devices, os.getpid()), lambda ahead: None):
    with open(log, "a") as file: file.write(f"{run.name} begins\\n")
    time.sleep(0.3)
    with open(log, "a") as file: file.write(f"{run.name} ends\\n")
"""
WANTED = ["cuda:0", "cuda:1", "cuda:0,1", "cuda:0", "cuda:1", "cuda:1,0", "cuda:0"]
KILLED = 3


def names_ahead(run: Path) -> list[str]:
    return [ticket.run.name for ticket in queue.ahead_of(run)]


def test_runs_get_their_devices_in_order_all_at_once_and_the_dead_are_skipped(workspace, monkeypatch):
    monkeypatch.setattr(queue, "POLL_SECONDS", 0.05)
    log = workspace / "log"
    sleepers = []
    for number, device in enumerate(WANTED):
        command = [sys.executable, "-c", SLEEPER, str(workspace / str(number)), device, str(log)]
        sleepers.append(subprocess.Popen(command, stdin=subprocess.PIPE))
        queue.take_ticket(workspace / str(number), devices_of(device), sleepers[-1].pid)
    assert names_ahead(workspace / "5") == ["0", "1", "2", "3", "4"]
    assert names_ahead(workspace / "4") == ["1", "2"]
    sleepers[KILLED].kill()
    for number in reversed(range(len(WANTED))):  # who wakes up first does not count
        if number != KILLED:
            sleepers[number].stdin.write(b"\n")
            sleepers[number].stdin.close()
    for sleeper in sleepers:
        sleeper.wait()
    lines = [tuple(line.split()) for line in log.read_text().splitlines()]
    for device in ("cuda:0", "cuda:1"):
        on_device = [
            str(n) for n, wanted in enumerate(WANTED) if device in devices_of(wanted) and n != KILLED
        ]
        found = [line for line in lines if line[0] in on_device]
        assert found == [(name, word) for name in on_device for word in ("begins", "ends")]
    assert not queue.tickets()
