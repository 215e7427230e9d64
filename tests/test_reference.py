"""The preset `reference` does what the authors' code does, stage by stage, and a whole run goes by it."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import parity
from ccd_core.config import CCDConfig, MeanViews
from ccd_core.method.early_stop import first_local_minimum
from ccd_core.method.local_views import choose_views
from ccd_core.method.views import searched_threshold
from ccd_core.pipeline import run_ccd
from ccd_core.presets import TABLE
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


def test_every_setting_of_the_method_has_its_source():
    paper = CCDConfig.preset("paper").model_dump()
    named = {name for name, *_ in TABLE}
    for section in ("bias", "classifier", "views", "labels", "training"):
        missing = {f"{section}.{key}" for key in paper[section]} - named
        assert missing <= {"classifier.backbone_options"}
    assert all(where and code for _, _, where, _, code in TABLE)


def test_the_defaults_are_the_papers():
    assert CCDConfig().changed(data={"spec": "voc2012:VOCdevkit"}) == CCDConfig.preset("paper")
    assert CCDConfig.preset("best").changed(preset_name="paper") == CCDConfig.preset("paper")


def test_the_prompt_of_nuswide_is_the_papers_alone():
    prompts = {
        (name, kind): CCDConfig.preset(name, f"{kind}:ROOT").clip.prompt
        for name in ("paper", "reference")
        for kind in ("coco2014", "nuswide")
    }
    assert prompts.pop(("paper", "nuswide")) == "a photo of a {}"
    assert set(prompts.values()) == {"a photo of the {}"}


def test_the_search_rises_block_by_block_until_the_mean_lies_between():
    scores = np.full((1000, 10), 0.0, np.float32)
    scores[:, :5], scores[:, 5:] = 0.9, 0.0525  # ten classes above 0.050, 0.051 and 0.052, five from 0.053 on
    threshold = searched_threshold(scores, (4, 6), 100, 0.05, 0.001, seed=0)
    assert threshold == pytest.approx(0.053, abs=1e-6) and (scores > threshold).sum(1).tolist() == [5] * 1000
    assert searched_threshold(scores[:100], (4, 6), 100, 0.05, 0.001, seed=0) == pytest.approx(
        0.05, abs=1e-6
    )  # too few to try any
    exact = np.full((500, 10), np.float32(0.05))
    assert (
        exact > searched_threshold(exact, (9, 11), 100, 0.05, 0.001, seed=0)
    ).all()  # a score at the threshold counts


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


def test_no_quirk_in_the_others(tiny_run):
    assert isinstance(tiny_run.config.views.threshold, MeanViews)
    above, cams = np.ones((1, 2), bool), np.zeros((1, 2, 4, 4), np.float32)
    cams[0, 0, 0, 3] = cams[0, 0, 3, 0] = 1  # first pixel in the upper right, last in the lower left
    cams[0, 1, 0, 1] = cams[0, 1, 1, 3] = cams[0, 1, 3, 2] = 1
    views = {}
    for preset in ("paper", "reference"):
        *_, views[preset] = choose_views(
            above,
            parity.torch.from_numpy(cams),
            (320, 320),
            CCDConfig.preset(preset).views,
            np.random.default_rng(0),
        )
    assert (views["paper"][1] != views["reference"][1]).any()
