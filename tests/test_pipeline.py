"""The whole algorithm on a tiny data set: what a run leaves behind, and what ground truth may not touch."""

from __future__ import annotations

import csv
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from ccd_core.data import open_dataset
from ccd_core.errors import UserError
from ccd_core.execution import run_ccd
from ccd_core.method.labels import update_labels
from ccd_core.runs.run import Run
from tests.support import same_result, tiny_config, wait_for

ARTEFACTS = (
    "config.yaml",
    "state.json",
    "metrics.csv",
    "global.npz",
    "labels.npz",
    "views.parquet",
    "bias.json",
    "log.txt",
    "scores/ap.json",
)


def test_a_run_leaves_every_artefact_and_nothing_half_written(tiny_run):
    assert tiny_run.status == "finished"
    for name in ARTEFACTS:
        assert tiny_run.has(*name.split("/")), name
    assert set(tiny_run.state["seconds"]) == {"images", "global", "warm-up", "views", "training", "scores"}
    assert not list(tiny_run.path.rglob("*.partial")) and not list(tiny_run.file("partial").glob("*"))


def test_labels_and_views_of_a_run_are_those_of_the_paper(tiny_run):
    labels, views = tiny_run.load_labels(), tiny_run.load_views()
    assert labels["final"].shape == (40, 16) and np.isfinite(labels["final"]).all()
    updated = update_labels(labels["initial"], labels["local"], 0.4)
    np.testing.assert_allclose(updated, labels["final"], atol=1e-6)  # Eq. 7
    assert len(views) == pytest.approx(80, abs=4)  # two an image; a flat map has no box
    assert (views[["x0", "y0"]] >= 0).all(axis=None) and (views[["x1", "y1"]] <= 160).all(axis=None)
    probabilities = tiny_run.load_view_probabilities()
    assert probabilities.shape == (len(views), 16)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-4)  # Eq. 4


def test_a_finished_run_is_not_done_again(tiny_run):
    before = tiny_run.file("checkpoints", "best.safetensors").stat().st_mtime
    assert run_ccd(tiny_run.config, tiny_run.path).status == "finished"
    assert tiny_run.file("checkpoints", "best.safetensors").stat().st_mtime == before


def test_other_settings_in_the_same_folder_are_refused(tiny_run):
    with pytest.raises(UserError, match=r"other settings \(labels.alpha\)"):
        run_ccd(tiny_run.config.changed(labels={"alpha": 0.3}), tiny_run.path)


@pytest.mark.slow
def test_killed_at_any_moment_it_resumes_to_the_same_weights(tiny_run, tmp_path):
    run = Run.create(tmp_path / "killed", tiny_run.config, tiny_run.classes)
    command = [sys.executable, "-m", "ccd_core.cli", "run", "--resume", "--out", str(run.path)]
    home = {"CCD_DEBUG": "1", "CCD_HOME": str(tmp_path / "home")}  # nothing is cached by other runs
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": os.environ | home}
    rng = random.Random(0)
    for _ in range(4):  # benchmarks/kills.py does it a hundred times
        process = subprocess.Popen(command, **quiet)
        wait_for(lambda now=process: run.state.get("pid") == now.pid or now.poll() is not None)
        time.sleep(rng.uniform(0.0, 3.0))
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert run.status in ("failed", "finished", "created")
    subprocess.run(command, check=True, timeout=200, **quiet)
    assert same_result(tiny_run, run)


def test_ground_truth_changes_nothing_but_the_scores(tiny_scenes, tmp_path):
    """Two runs on the same images. In the second one every label of the data set says the opposite."""
    dataset = open_dataset(f"demo:{tiny_scenes}")
    truth = dataset.ground_truth("val")
    (tmp_path / "classes.txt").write_text("\n".join(dataset.classes))
    for path in dataset.splits["val"].paths:
        (tmp_path / path.name).symlink_to(path)
    config = tiny_config(tiny_scenes, data={"spec": f"folder:{tmp_path}"}, training={"epochs": 3})
    runs = []
    for targets in (truth.targets, 1 - truth.targets):
        rows = [
            [f"{name}.jpg", "train" if number < 10 else "val", *map(int, row)]
            for number, (name, row) in enumerate(zip(truth.ids, targets, strict=True))
        ]
        with open(tmp_path / "labels.csv", "w", newline="") as file:
            csv.writer(file).writerows([["file", "split", *dataset.classes], *rows])
        runs.append(run_ccd(config, tmp_path / f"run{len(runs)}"))
    assert same_result(*runs)
    reports = [run.load_ap() for run in runs]
    assert reports[0]["val"]["mAP"] != reports[1]["val"]["mAP"]
    assert reports[0]["labels"]["final"]["mAP"] != reports[1]["labels"]["final"]["mAP"]


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
    short = {"epochs": 2, "warmup_epochs": 1}
    run = run_ccd(tiny_config(tiny_scenes, **changes, training=short), tmp_path / "run")
    assert run.status == "finished" and len(run.load_views())
