"""The queue of devices: first come, first served, and all devices of a run or none."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ccd_core.errors import UserError
from ccd_core.jobs import queue as job_queue
from ccd_core.machine import gpus as gpu_facts


def test_devices_of_a_setting():
    assert gpu_facts.devices_of("cuda") == ("cuda:0",) and gpu_facts.devices_of("cpu:1") == ("cpu:1",)
    assert gpu_facts.devices_of("cuda:3,1") == gpu_facts.devices_of("cuda:1,cuda:3") == ("cuda:1", "cuda:3")
    assert gpu_facts.devices_of("auto") == (("cuda:0",) if gpu_facts.gpus() else ("cpu",))
    with pytest.raises(UserError, match="no device 'gpu7'"):
        gpu_facts.devices_of("gpu7")


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
        job_queue.take_ticket(workspace / str(number), gpu_facts.devices_of(device), process.pid)
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
            if device in gpu_facts.devices_of(setting) and number != 3
        ]
        assert [line for line in lines if line[0] in names] == [
            (name, word) for name in names for word in ("begins", "ends")
        ]
    assert not job_queue.tickets()
