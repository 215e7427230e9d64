"""The preset `reference` does what the authors' code does, stage by stage, and a whole run follows it."""

from __future__ import annotations

import numpy as np
import pytest

from ccd_core.config import CCDConfig
from ccd_core.execution import run_ccd
from ccd_core.method.early_stop import first_local_minimum
from tests.golden_cases import WITH_CLIP, WITHOUT_CLIP, Case, difference
from tests.support import tiny_config


def assert_as_recorded(cases: list[Case]) -> None:
    far = [f"{case.file}, {case.what}" for case in cases if not difference(case) <= case.allowed]
    assert cases and not far


@pytest.mark.parametrize("stage", WITHOUT_CLIP)
def test_a_stage_gives_what_is_recorded(stage):
    assert_as_recorded(list(WITHOUT_CLIP[stage]()))


@pytest.mark.parametrize("stage", WITH_CLIP)
def test_a_stage_with_clip_gives_what_is_recorded(stage, recorded_teachers):
    assert_as_recorded(list(WITH_CLIP[stage](recorded_teachers)))


def test_a_run_by_the_reference_follows_the_authors_code(tiny_scenes, tmp_path):
    small = tiny_config(tiny_scenes)
    config = CCDConfig.preset("reference").changed(
        data=small.data.model_dump(),
        device="cpu",
        clip=small.clip.model_dump() | {"round_to": 1, "normalisation": "imagenet"},
        classifier=small.classifier.model_dump() | {"cam_boost": 3.0},
        views={"frame": 160, "offset": 20, "threshold": {"mean_views": 0.5}},
        training={"epochs": 4, "warmup_epochs": 2, "learning_rate": 1e-3},
    )
    run = run_ccd(config, tmp_path / "run")
    labels = run.load_labels()
    without = labels["n_views"] == 0
    assert without.any() and not without.all()
    # The local label of an image without views is floor / bias.
    bias = np.array([row["bias"] for row in run.load_bias()["classes"].values()], np.float32)
    floor = np.broadcast_to(np.float32(0.05) / bias, labels["local"][without].shape)
    np.testing.assert_allclose(labels["local"][without], floor, rtol=1e-5)
    final = np.clip(0.2 * labels["initial"] + 0.8 * labels["local"], 0, 1)
    np.testing.assert_allclose(labels["final"], final, atol=1e-6)
    # Early stopping looks at the epochs of the warm-up, too.
    train_map = list(run.load_metrics()["train_map"])
    fires = first_local_minimum(train_map)
    kept = run.load_json("checkpoints", "best.json")["epoch"]
    assert kept == (len(train_map) - 1 if fires is None else fires)
