"""Labels of a run under the settings that leave something out."""

from __future__ import annotations

import numpy as np

from ccd_core.explore.relabel import ClipOutputs, relabel
from ccd_core.method.none_images import none_images
from ccd_core.pipeline import run_ccd
from ccd_core.runs.run import Run
from tests.support import tiny_config


def test_without_the_update_the_initial_labels_stay(tiny_scenes, tmp_path):
    run = run_ccd(
        tiny_config(tiny_scenes, labels={"update": False}, training={"epochs": 2, "warmup_epochs": 1}),
        tmp_path / "run",
    )
    labels = run.load_labels()
    np.testing.assert_array_equal(labels["initial"], labels["final"])
    assert not run.has("views.parquet")


def test_their_labels_are_zero_in_a_run(tiny_run, tiny_scenes, tmp_path):
    changes = {"none_images": {"filter": "similarity"}, "training": {"epochs": 2, "warmup_epochs": 1}}
    run = run_ccd(tiny_config(tiny_scenes, **changes), tmp_path / "run")
    flagged = none_images(
        run.load_global()["p_global"], run.load_global()["similarity"], run.config.none_images
    )
    assert flagged.any() and not flagged.all()
    for kind in ("initial", "final"):
        assert (run.load_labels()[kind][flagged] == 0).all()
    np.testing.assert_array_equal(
        run.load_labels()["initial"][~flagged], tiny_run.load_labels()["initial"][~flagged]
    )
    assert "show no class" in run.file("log.txt").read_text()

    made = relabel(evidence_of(run), run.config, np.zeros((len(run.classes), len(flagged)), np.float32))
    np.testing.assert_array_equal(made.final.T, run.load_labels()["final"])
    rate = evidence_of(run).mean_initial(made.bias.value, run.config.bias.floor)
    np.testing.assert_allclose(rate, run.load_labels()["initial"].mean(0), atol=1e-6)


def evidence_of(run: Run) -> ClipOutputs:
    arrays, rows = (
        run.load_global(),
        {image: row for row, image in enumerate(run.load_global()["ids"].tolist())},
    )
    none = none_images(arrays["p_global"], arrays["similarity"], run.config.none_images)
    views = run.load_views()["image"].map(rows).to_numpy(int)
    return ClipOutputs.of(arrays["p_global"], arrays["entropy"], none).with_views(
        views, run.load_view_probabilities()
    )
