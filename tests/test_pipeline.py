"""The whole algorithm on a tiny data set: what a run leaves behind, resuming, and what ground truth may not touch."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from ccd_core.data.types import GroundTruth
from ccd_core.errors import UserError
from ccd_core.method.labels import update_labels
from ccd_core.pipeline import run_ccd
from ccd_core.runs.run import Run
from tests.support import same_result, tiny_config


def test_a_run_leaves_every_artefact(tiny_run):
    for name in (
        "config.yaml",
        "state.json",
        "metrics.csv",
        "global.npz",
        "labels.npz",
        "views.parquet",
        "bias.json",
        "log.txt",
        "scores/ap.json",
    ):
        assert tiny_run.has(*name.split("/")), name
    assert tiny_run.status == "finished"
    assert set(tiny_run.state["seconds"]) == {"images", "global", "warm-up", "views", "training", "scores"}
    labels, views = tiny_run.load_labels(), tiny_run.load_views()
    assert labels["final"].shape == (40, 16) and np.isfinite(labels["final"]).all()
    assert len(views) == pytest.approx(80, abs=4)  # 2 an image; a flat map has no box
    assert ((views[["x0", "y0"]] >= 0).all() & (views[["x1", "y1"]] <= 160).all().to_numpy()).all()
    probabilities = tiny_run.load_view_probabilities()
    assert probabilities.shape == (len(views), 16)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-4)
    np.testing.assert_allclose(
        update_labels(labels["initial"], labels["local"], 0.4), labels["final"], atol=1e-6
    )
    assert list(tiny_run.load_metrics()["phase"]) == ["warm-up", "warm-up", "main", "main"]
    assert not list(tiny_run.path.rglob("*.partial")) and not list(tiny_run.file("partial").glob("*"))


def test_a_finished_run_is_not_done_again(tiny_run):
    before = tiny_run.file("checkpoints", "best.safetensors").stat().st_mtime
    assert run_ccd(tiny_run.config, tiny_run.path).status == "finished"
    assert tiny_run.file("checkpoints", "best.safetensors").stat().st_mtime == before


def test_other_settings_in_the_same_folder_are_refused(tiny_run):
    with pytest.raises(UserError, match=r"other settings \(labels.alpha\)"):
        run_ccd(tiny_run.config.changed(labels={"alpha": 0.3}), tiny_run.path)


@pytest.mark.slow
def test_killed_at_any_moment_it_resumes_to_the_same_weights(tiny_run, tiny_scenes, tmp_path):
    out = tmp_path / "killed"
    Run.create(out, tiny_run.config, tiny_run.classes)
    command = [sys.executable, "-m", "ccd_core.cli", "run", "--resume", "--out", str(out)]
    environment = os.environ | {
        "CCD_DEBUG": "1",
        "CCD_HOME": str(tmp_path / "home"),
    }  # nothing kept from other runs
    rng = random.Random(0)
    for _ in range(5):
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
        )
        until = time.time() + 60
        while (
            time.time() < until and Run.open(out).state.get("pid") != process.pid and process.poll() is None
        ):
            time.sleep(0.02)  # until this process, not the one before it, is at work
        time.sleep(rng.uniform(0.0, 4.0))
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert Run.open(out).status in ("failed", "finished", "created")
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment, timeout=200)
    assert same_result(tiny_run, Run.open(out))


def test_ground_truth_changes_nothing_but_the_scores(tiny_run, tiny_scenes, tmp_path, monkeypatch):
    rows = GroundTruth.rows
    monkeypatch.setattr(GroundTruth, "rows", lambda self, ids: 1 - rows(self, ids))
    upside_down = run_ccd(tiny_config(tiny_scenes), tmp_path / "run")
    assert same_result(tiny_run, upside_down)
    assert upside_down.load_ap()["val"]["mAP"] != tiny_run.load_ap()["val"]["mAP"]


@pytest.mark.parametrize(
    "changes",
    [
        {"bias": {"mode": "none"}},
        {"bias": {"mode": "constant"}},
        {"views": {"policy": "random"}},
        {"views": {"policy": "moved"}},
    ],
)
def test_rows_and_controls_of_the_ablation_run(tiny_scenes, tmp_path, changes):
    run = run_ccd(
        tiny_config(tiny_scenes, **changes, training={"epochs": 2, "warmup_epochs": 1}), tmp_path / "run"
    )
    assert run.status == "finished" and len(run.load_views())
