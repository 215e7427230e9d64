"""How long a run will take and how much disk it will fill."""

from __future__ import annotations

import time

import pytest

from ccd_core.config import CCDConfig
from ccd_core.jobs import estimates
from ccd_core.runs.needs import work
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


def test_the_work_of_other_methods_is_counted_by_their_own_stages():
    """Warm-up 2 of 4 epochs; CCD's main phase sees two copies, and CDUL's tiles are nine an image."""
    base = CCDConfig.preset("demo").changed(
        training={"epochs": 4, "warmup_epochs": 2, "warmup_steps": 0, "main_steps": 0},
        views={"threshold": {"mean_views": 5.0}},
    )

    def of(name, **changes):
        return work(base.with_method(name).changed(**changes), 100, 10)

    main = {"images": 110, "warm-up": 200, "scores": 110}
    assert of("ccd") == main | {"global": 110, "views": 500, "training": 400}
    assert of("ccd", training={"beta": 0})["training"] == 200
    assert of("ccd", labels={"update": False}) == {
        "images": 110,
        "global": 110,
        "warm-up": 400,
        "scores": 110,
    }
    assert of("ccd_patch")["global"] == 310
    assert of("cdul", labels={"update": False}) == main | {"global": 1000, "training": 200}
    assert of("cdul_patch")["global"] == 1200 and of("an")["global"] == 100
    assert of("bce") == main | {"training": 200}
    assert of("clip_zero_shot") == {"images": 110, "global": 210}
    assert of("clip_grid")["global"] == 210 + 990


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
