"""Labels of a run: without the update, and with images that show no class."""

from __future__ import annotations

import numpy as np
import pytest

from ccd_core.execution import run_ccd
from ccd_core.explore.relabel import ClipOutputs, relabel
from ccd_core.method.none_images import none_images
from ccd_core.runs.run import Run
from tests.support import tiny_config

SHORT = {"epochs": 2, "warmup_epochs": 1}


def test_without_the_update_the_initial_labels_stay(tiny_scenes, tmp_path):
    run = run_ccd(tiny_config(tiny_scenes, labels={"update": False}, training=SHORT), tmp_path / "run")
    labels = run.load_labels()
    np.testing.assert_array_equal(labels["initial"], labels["final"])
    assert not run.has("views.parquet")


@pytest.fixture(scope="module")
def filtered(tiny_scenes, tmp_path_factory) -> tuple[Run, np.ndarray]:
    """A run that takes some images to show no class, and which [N] these are."""
    changes = {"none_images": {"filter": "similarity"}, "training": SHORT}
    run = run_ccd(tiny_config(tiny_scenes, **changes), tmp_path_factory.mktemp("filtered") / "run")
    arrays = run.load_global()
    return run, none_images(arrays["p_global"], arrays["similarity"], run.config.none_images)


def test_images_that_show_no_class_have_labels_of_zero(filtered, tiny_run):
    run, none = filtered
    labels = run.load_labels()
    assert none.any() and not none.all()
    assert (labels["initial"][none] == 0).all() and (labels["final"][none] == 0).all()
    np.testing.assert_array_equal(labels["initial"][~none], tiny_run.load_labels()["initial"][~none])
    assert "show no class" in run.file("log.txt").read_text()


def test_the_app_makes_the_same_labels_of_such_a_run(filtered):
    run, none = filtered
    arrays = run.load_global()
    row_of = {image: row for row, image in enumerate(arrays["ids"].tolist())}
    views = run.load_views()["image"].map(row_of).to_numpy(int)
    outputs = ClipOutputs.of(arrays["p_global"], arrays["entropy"], none)
    outputs = outputs.with_views(views, run.load_view_probabilities())
    labels = run.load_labels()
    made = relabel(outputs, run.config, np.zeros((len(run.classes), len(none)), np.float32))
    np.testing.assert_array_equal(made.final.T, labels["final"])
    mean = outputs.mean_initial(made.bias.value, run.config.bias)
    np.testing.assert_allclose(mean, labels["initial"].mean(0), atol=1e-6)
