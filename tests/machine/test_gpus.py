"""Devices: what a setting names, what there is, and what a process tree uses."""

from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest

from ccd_core.errors import UserError
from ccd_core.machine import gpus


def test_devices_of_a_setting():
    assert gpus.devices_of("cuda") == ("cuda:0",) and gpus.devices_of("cpu:1") == ("cpu:1",)
    assert gpus.devices_of("cuda:3,1") == gpus.devices_of("cuda:1,cuda:3") == ("cuda:1", "cuda:3")
    assert gpus.devices_of("auto") == (("cuda:0",) if gpus.gpus() else ("cpu",))
    with pytest.raises(UserError, match="no device 'gpu7'"):
        gpus.devices_of("gpu7")
    with pytest.raises(UserError, match="no device 'cuda:a'"):
        gpus.devices_of("cuda:a")


def test_what_a_run_can_be_given_is_in_words_a_person_reads():
    found = gpus.devices()
    assert list(found) == [gpu.device for gpu in gpus.gpus()] + ["cpu"]
    assert f"{os.cpu_count()} CPU threads" in found["cpu"] and found["cpu"].endswith("GiB")


def test_no_gpu_is_seen_where_the_environment_hides_all(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpus.gpus() == [] and gpus.gpu_names() == []


def test_the_load_of_a_process_includes_what_it_started():
    code = (
        "import subprocess, sys; child = subprocess.Popen(['sleep', '60']); print('up', flush=True); input()"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert parent.stdout.readline()
        load = gpus.load_of(parent.pid)
        assert load.processes == 2 and load.memory > 5e6 and load.cpu_seconds >= 0
    finally:
        for process in [*psutil.Process(parent.pid).children(), parent]:
            process.kill()
        parent.wait()
    assert gpus.load_of(parent.pid) is None
