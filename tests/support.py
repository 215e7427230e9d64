"""What tests of several packages use: small settings, waiting, free ports, and the comparison of two runs."""

from __future__ import annotations

import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import psutil

from ccd_core.config import CCDConfig
from ccd_core.runs.run import Run

ROOT = Path(__file__).resolve().parents[1]
NAVIGATION = str(ROOT / "app" / "navigation.py")

Value = TypeVar("Value")


def tiny_config(scenes: Path, **changes) -> CCDConfig:
    """Settings of a run that takes seconds: a very small classifier, small images, the demo CLIP."""
    small = {
        "data": {"spec": f"demo:{scenes}", "workers": 0},
        "device": "cpu",
        "precision": "fp32",
        "clip": {"size": 96, "batch_size": 32, "round_to": 32},
        "classifier": {
            "backbone": "timm:test_resnet",
            "backbone_options": {},
            "weights": None,
            "image_size": 64,
            "cam_size": 64,
        },
        "views": {"threshold": {"mean_views": 2.0}, "frame": 160, "offset": 20},
        "training": {"epochs": 4, "warmup_epochs": 2, "keep": "last"},
    }
    return CCDConfig.preset("demo").changed(**small).changed(**changes)


def wait_for(
    condition: Callable[[], Value],
    seconds: float = 60,
    why: Callable[[], object] = lambda: "it did not happen in time",
) -> Value:
    """The first true value of `condition`. A test that waits longer than `seconds` fails with `why()`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(why())
        time.sleep(0.05)


def start_python(code: str, *arguments: object, **options) -> subprocess.Popen:
    """A process of Python that runs `code`; what it prints comes from its `stdout`, line by line."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)


def ccd_process(*arguments: object, **options) -> subprocess.CompletedProcess[str]:
    """The command `ccd` in a process of its own, as from a shell."""
    command = [sys.executable, "-m", "ccd_core.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, **options)


def is_gone(process: psutil.Process) -> bool:
    """Whether a process has ended; a zombie has."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def free_port() -> int:
    """A port that nobody listens on now; the system hands out another one at each call."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port: int) -> bool:
    """Whether somebody answers on this port of 127.0.0.1."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for_server(port: int, process: subprocess.Popen, log: Path) -> None:
    """Wait until `process` answers on `port`; if it ends or never answers, fail with the end of its log."""
    wait_for(lambda: listens(port) or process.poll() is not None, 120, lambda: log.read_text()[-3000:])
    assert process.poll() is None, log.read_text()[-3000:]


def same_result(one: Run, other: Run) -> bool:
    """Whether labels and weights of two finished runs are equal to the last bit; fails with what differs."""
    from safetensors.torch import load_file

    for key, values in one.load_labels().items():
        np.testing.assert_array_equal(values, other.load_labels()[key], err_msg=key)
    weights = load_file(other.file("checkpoints", "best.safetensors"))
    for name, value in load_file(one.file("checkpoints", "best.safetensors")).items():
        assert (value == weights[name]).all(), name
    return True
