"""Stage `views`: which views a run takes, and that they can be taken again from its warm-up."""

from __future__ import annotations

import numpy as np
import pytest

from ccd_core.clip.teacher import load_teacher
from ccd_core.data import open_dataset
from ccd_core.machine.device import make_accelerator
from ccd_core.method.classifier import make_classifier
from ccd_core.runs.work import Work
from ccd_core.stages import local_views
from ccd_core.stages.local_views import find_views
from ccd_core.training.checkpoint import load_model_weights


def find_again(run) -> None:
    """The stage on a run's folder, with the classifier of its warm-up."""
    config = run.config
    dataset = open_dataset(config.data.spec)
    accelerator = make_accelerator(config.device, config.precision)
    model = make_classifier(config.classifier, len(dataset.classes))
    model.load_state_dict(load_model_weights(run.file("checkpoints", "warmup.safetensors")))
    clip = load_teacher(config.clip, dataset.classes, accelerator)
    find_views(model, clip, dataset.splits["train"], Work(config, accelerator, run))


@pytest.mark.parametrize("waiting_bytes", [4e8, 1])
def test_the_classifier_of_the_warm_up_gives_the_views_of_the_run(
    copied_run, tiny_run, monkeypatch, waiting_bytes
):
    """Asked about many frames together or about each frame alone, CLIP says the same to rounding."""
    monkeypatch.setattr(local_views, "WAITING_BYTES", waiting_bytes)
    run = copied_run()
    run.remove("views.parquet")
    find_again(run)
    assert run.load_views().equals(tiny_run.load_views())
    expected = tiny_run.load_view_probabilities()
    np.testing.assert_allclose(run.load_view_probabilities(), expected, atol=1e-5)
    assert not list(run.file("partial").glob("*"))


def test_views_that_are_there_are_not_computed_again(copied_run):
    run = copied_run()
    before = run.file("views.parquet").stat().st_mtime_ns
    find_again(run)
    assert run.file("views.parquet").stat().st_mtime_ns == before


def test_a_view_is_taken_for_each_class_above_the_threshold(tiny_run):
    views = tiny_run.load_views()
    found = tiny_run.load_json("view_threshold.json")
    assert (views["score"] > found["threshold"]).all()
    assert found["mean_views"] == pytest.approx(2.0, abs=0.03)  # what the settings ask for
    assert not views.duplicated(["image", "class"]).any()
    inside = views[["cam_x0", "cam_y0"]].to_numpy() >= views[["x0", "y0"]].to_numpy()
    assert inside.all()  # the offset makes a CAM box larger
