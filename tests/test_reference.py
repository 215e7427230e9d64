"""The preset `reference` does what the authors' code does, stage by stage, and a whole run goes by it."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import parity
from ccd_core.config import CCDConfig
from ccd_core.method.early_stop import first_local_minimum
from ccd_core.pipeline import run_ccd
from tests.support import tiny_config


@pytest.fixture(scope="module")
def teachers():
    return parity.teachers()


STAGES = {
    "bias": parity.bias_cases, "labels": parity.label_cases, "loss": parity.loss_cases, "classifier": parity.classifier_cases,
    "boxes": parity.box_cases, "stop": parity.stop_cases, "metrics": parity.metric_cases,
}  # fmt: skip
WITH_CLIP = {
    "CLIP at every size": parity.clip_cases,
    "the whole step of an image": lambda teachers: parity.step_cases(teachers["extra_clip_rn"]),
}


@pytest.mark.parametrize("stage", [*STAGES, *WITH_CLIP])
def test_stages_as_recorded(stage, teachers):
    cases = list(STAGES[stage]() if stage in STAGES else WITH_CLIP[stage](teachers))
    far = [
        f"{file}, {what}"
        for file, what, ours, theirs, allowed in cases
        if not parity.difference(ours, theirs) <= allowed
    ]
    assert cases and not far


def test_a_run_by_the_reference_has_its_quirks(tiny_scenes, tmp_path):
    small = tiny_config(tiny_scenes)
    config = CCDConfig.preset("reference").changed(
        data=small.data.model_dump(), device="cpu", clip=small.clip.model_dump() | {"round_to": 1, "normalisation": "imagenet"},
        classifier=small.classifier.model_dump() | {"cam_boost": 3.0}, views={"frame": 160, "offset": 20, "threshold": {"mean_views": 0.5}},
        training={"epochs": 4, "warmup_epochs": 2, "learning_rate": 1e-3},
    )  # fmt: skip
    run = run_ccd(config, tmp_path / "run")
    labels, maps = run.load_labels(), list(run.load_metrics()["train_map"])
    without = labels["n_views"] == 0
    assert without.any() and not without.all()
    bias = np.array([row["bias"] for row in run.load_bias()["classes"].values()], np.float32)
    floor = np.broadcast_to(np.float32(0.05) / bias, labels["local"][without].shape)
    np.testing.assert_allclose(labels["local"][without], floor, rtol=1e-5)  # its local label is floor / bias
    np.testing.assert_allclose(
        labels["final"], np.clip(0.2 * labels["initial"] + 0.8 * labels["local"], 0, 1), atol=1e-6
    )
    kept, fires = (
        run.load_json("checkpoints", "best.json")["epoch"],
        first_local_minimum(maps),
    )  # warm-up counts, too
    assert kept == (len(maps) - 1 if fires is None else fires)
