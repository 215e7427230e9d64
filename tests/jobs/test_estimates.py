"""How long a run will take and how much disk it will fill."""

from __future__ import annotations

import time

import pytest

from ccd_core.jobs import estimates
from ccd_core.runs.run import Run


def test_the_estimate_rests_on_a_finished_run_of_the_kind(tiny_run):
    same = estimates.estimate(tiny_run.config, 40, 16, 16, [tiny_run])
    took = tiny_run.state["seconds"]
    assert same.seconds == pytest.approx(took, rel=0.01) and "tiny" in same.basis
    more = estimates.estimate(tiny_run.config, 80, 16, 16, [tiny_run])
    assert more.seconds["views"] == pytest.approx(2 * took["views"], rel=0.01)
    files = sum(path.stat().st_size for path in tiny_run.path.rglob("*") if path.is_file())
    assert 0.5 < same.disk / files < 2
    other = estimates.estimate(tiny_run.config.changed(classifier={"image_size": 96}), 40, 16, 16, [tiny_run])
    assert other.seconds is None and "No run of this kind" in other.basis


def test_time_left_counts_the_epochs_and_stages_to_come(tiny_run, tmp_path):
    run = Run.create(tmp_path / "run", tiny_run.config, tiny_run.classes)
    run.update_state(status="running", stage="warm-up", eta_seconds=1.0, heartbeat=time.time())
    expected = {"images": 1.0, "global": 2.0, "warm-up": 6.0, "views": 5.0, "training": 8.0, "scores": 1.0}
    # Of 2 epochs the first is at work.
    assert estimates.time_left(run, expected, 40) == pytest.approx(1 + 3 + 5 + 8 + 1)
    run.update_state(stage="starting")
    assert estimates.time_left(run, expected, 40) is None


def test_time_left_counts_the_epochs_that_few_images_get(tiny_run, tmp_path):
    config = tiny_run.config.changed(training={"batch_size": 20, "warmup_steps": 12})  # 2 steps an epoch
    run = Run.create(tmp_path / "run", config, tiny_run.classes)
    run.update_state(status="running", stage="warm-up", eta_seconds=1.0, heartbeat=time.time())
    expected = {"warm-up": 6.0, "training": 8.0}
    # Of 6 epochs the first is at work, and each of the others takes a second.
    assert estimates.time_left(run, expected, 40) == pytest.approx(1 + 5 + 8)


def test_runs_that_cannot_be_read_are_left_out(copied_run, tiny_run):
    odd = copied_run("odd")
    odd.file("metrics.csv").unlink()
    damaged = copied_run("damaged")
    scores = damaged.file("scores", "train.npz")
    scores.write_bytes(scores.read_bytes()[:100])
    guess = estimates.estimate(tiny_run.config, 40, 16, 16, [odd, damaged, tiny_run])
    assert guess.seconds and guess.basis.startswith("From how fast tiny went")
