"""`ccd run --profile`: traces that a browser opens, and one screen of text."""

from __future__ import annotations

import gzip
import json

import pytest

from ccd_core.errors import UserError
from ccd_core.execution import run_ccd
from ccd_core.profiling import Part, summary
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
