"""`ccd run --profile`: traces that a browser opens, and one screen of text."""

from __future__ import annotations

import gzip
import json

import pytest
from torch.autograd import DeviceType
from torch.autograd.profiler_util import Interval

from ccd_core.errors import UserError
from ccd_core.execution import run_ccd
from ccd_core.profiling import Part, part_of, summary
from tests.support import same_result, tiny_config


def test_a_profiled_run_has_traces_and_a_summary_and_the_same_result(tiny_run, tmp_path):
    run = run_ccd(tiny_run.config, tmp_path / "run", profile=True)
    assert same_result(tiny_run, run)
    text = run.file("profile", "summary.txt").read_text()
    assert len(text.splitlines()) <= 24
    assert all(stage in text for stage in ("global", "views", "training"))
    traces = list(run.file("profile").glob("*.json.gz"))
    assert traces
    for path in traces:
        with gzip.open(path, "rt") as file:
            assert any("aten::" in event.get("name", "") for event in json.load(file)["traceEvents"])


def test_the_summary_says_what_to_change():
    shares = {"pictures": 0.7, "transfer": 0.0, "compute": 0.2, "python": 0.1}
    text = summary({"global": 30.0, "views": 70.0}, {"views": Part(3.0, shares, 0.25)})
    assert "70% of the time is bound by pictures. Try more data.workers" in text
    assert "GPU idle 75%" in text
    assert "too short" in summary({"global": 1.0}, {})


def test_several_devices_have_no_profile(tiny_scenes, tmp_path):
    config = tiny_config(tiny_scenes).changed(device="cpu:0,1")
    with pytest.raises(UserError, match="one device"):
        run_ccd(config, tmp_path / "run", profile=True)


class Event:
    """What torch's profiler says of one operation; times in microseconds."""

    def __init__(self, name: str, begin: float, end: float, on_gpu: bool = True, annotation: bool = False):
        self.name = name
        self.device_type = DeviceType.CUDA if on_gpu else DeviceType.CPU
        self.time_range = Interval(begin, end)
        self.is_user_annotation = annotation
        self.self_cpu_time_total = 0 if on_gpu else end - begin


def test_on_a_gpu_each_kernel_counts_once_and_a_named_stretch_does_not():
    events = [
        Event("aten::conv2d", 0, 900_000, on_gpu=False),  # starts a kernel, and waits
        Event("conv", 100_000, 300_000),
        Event("relu", 200_000, 400_000),  # on another stream
        Event("Memcpy HtoD (Pinned -> Device)", 500_000, 600_000),
        Event("Optimizer.step#Adam.step", 0, 1_000_000, annotation=True),
        Event("DecodedFile", 0, 50_000, on_gpu=False),
    ]
    part = part_of(events, 1.0)
    assert part.device_busy == pytest.approx(0.4)
    assert part.shares == pytest.approx({"pictures": 0.05, "transfer": 0.1, "compute": 0.4, "python": 0.45})
