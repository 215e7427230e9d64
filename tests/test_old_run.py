"""Runs made before the tree was rearranged (version 0.2.0) open, predict and go on, to the same numbers.

tests/old_run holds sixteen small drawn images, a finished run on them, the same run stopped in its last
epoch, and what the finished run predicted then. The tolerances are for other processors: on the machine that
made the files, all numbers are equal to the last bit.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from ccd_core.execution import run_ccd
from ccd_core.predict.predictor import Predictor
from ccd_core.runs.run import Run, list_runs
from tests.support import ROOT


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A copy of the old runs; their settings name the images relative to it."""
    shutil.copytree(ROOT / "tests" / "old_run", tmp_path / "old")
    monkeypatch.chdir(tmp_path / "old")
    monkeypatch.setenv("CCD_HOME", str(tmp_path / "home"))
    return tmp_path / "old"


def assert_same_labels_and_scores(run: Run, old: Run) -> None:
    labels = run.load_labels()
    for name, expected in old.load_labels().items():
        if expected.dtype.kind == "f":
            np.testing.assert_allclose(labels[name], expected, atol=1e-4, err_msg=name)
        else:
            np.testing.assert_array_equal(labels[name], expected, err_msg=name)
    for split in ("train", "val"):
        assert run.load_scores(split)["ids"].tolist() == old.load_scores(split)["ids"].tolist()
        np.testing.assert_allclose(
            run.load_scores(split)["scores"], old.load_scores(split)["scores"], atol=5e-3
        )


def test_a_finished_old_run_opens(folder):
    found = {run.name: run.status for run in list_runs(folder)}
    assert found == {"finished": "finished", "stopped": "stopped"}
    run = Run.open(folder / "finished")
    assert (
        run.classes == ("house", "tree", "car", "cat")
        and run.config.classifier.backbone == "timm:test_resnet"
    )
    assert list(run.load_metrics()["phase"]) == ["warm-up", "main", "main"]
    assert len(run.load_views()) == len(run.load_view_probabilities()) == 17
    assert run.load_global()["p_global"].shape == (12, 4)
    assert list(run.load_bias()["classes"]) == list(run.classes)
    assert run.load_ap()["val"]["mAP"] == 50.0


def test_an_old_classifier_predicts_what_it_predicted(folder):
    expected = json.loads((folder / "predictions.json").read_text())
    predictor = Predictor.open(folder / "finished", device="cpu")
    for prediction in predictor.predict([folder / "photos" / name for name in expected]):
        np.testing.assert_allclose(prediction.scores, expected[prediction.path.name], atol=1e-4)


def test_an_old_run_that_was_stopped_goes_on_to_the_old_result(folder):
    run = Run.open(folder / "stopped")
    resumed = run_ccd(run.config, run.path)
    assert resumed.status == "finished"
    now = resumed.load_ap()
    # What CLIP itself says of the validation images is measured since.
    assert now | {"clip": {}} == Run.open(folder / "finished").load_ap() | {"clip": {}}
    assert_same_labels_and_scores(resumed, Run.open(folder / "finished"))


def test_the_settings_of_an_old_run_make_the_old_result_again(folder):
    old = Run.open(folder / "finished")
    assert_same_labels_and_scores(run_ccd(old.config, folder / "again"), old)
