"""PIAA's recipe on a run's images: in the cache, after a kill, and in CCD and CDUL from beginning to end."""

from __future__ import annotations

import numpy as np
import pytest

from ccd_core.clip.teacher import load_teacher
from ccd_core.comparison.sweep import common_stages
from ccd_core.data import open_dataset
from ccd_core.errors import UserError
from ccd_core.execution import run_ccd
from ccd_core.machine.device import make_accelerator
from ccd_core.runs.needs import stages_of
from ccd_core.runs.run import Run
from ccd_core.runs.work import Work
from ccd_core.stages import patch_labels
from ccd_core.stages.global_labels import global_outputs
from ccd_core.study import study
from tests.support import tiny_config

SHORT = {"training": {"epochs": 2, "warmup_epochs": 1, "keep": "last"}}


def config_of(scenes, name="ccd_patch", **changes):
    return tiny_config(scenes, **SHORT).with_method(name).changed(**changes)


@pytest.fixture(scope="module")
def patch_run(tiny_scenes, tmp_path_factory) -> Run:
    return run_ccd(config_of(tiny_scenes), tmp_path_factory.mktemp("patch") / "run")


def test_ccd_with_labels_from_patches_from_beginning_to_end(patch_run, tiny_run):
    arrays = patch_run.load_global()
    np.testing.assert_allclose(arrays["p_global"].sum(1), 1, atol=1e-4)
    np.testing.assert_array_equal(arrays["p_clip"], tiny_run.load_global()["p_global"])
    assert not np.allclose(arrays["p_global"], arrays["p_clip"], atol=0.05)
    assert set(patch_run.state["seconds"]) == set(stages_of(patch_run.config))
    assert patch_run.load_ap()["labels"]["global"]["mAP"] > 50 and patch_run.has("views.parquet")
    assert not list(patch_run.path.glob("partial/*"))


def test_the_study_makes_the_labels_that_the_run_has(patch_run):
    """Initial labels by the bias of the patches, local ones by CLIP's."""
    measured = study(patch_run.config, ["cam"], patch_run)
    for policy, kind in (("initial", "initial"), ("cam", "final")):
        expected = patch_run.load_ap()["labels"][kind]["mAP"]
        assert measured[policy]["final"]["mAP"] == pytest.approx(expected, abs=1e-3)


def test_cdul_takes_its_global_labels_from_the_same_scores(patch_run, tiny_scenes, tmp_path, monkeypatch):
    """They are in the cache, so the images do not pass through CLIP again for them."""
    monkeypatch.setattr(patch_labels, "embed_patches", None)
    run = run_ccd(config_of(tiny_scenes, "cdul_patch"), tmp_path / "run")
    np.testing.assert_array_equal(run.load_global()["p_global"], patch_run.load_global()["p_global"])
    assert run.status == "finished" and set(run.state["seconds"]) == set(stages_of(run.config))


def test_a_killed_selection_goes_on_where_it_was(tiny_scenes, tmp_path, monkeypatch, patch_run):
    monkeypatch.setattr(patch_labels, "SELECTION_CHUNK", 16)
    config = config_of(tiny_scenes, method={"options": {"patches": 9}})  # nothing of it is in the cache
    dataset = open_dataset(config.data.spec)
    accelerator = make_accelerator("cpu", "fp32")
    clip = load_teacher(config.clip, dataset.classes, accelerator)
    images = dataset.splits["train"]
    whole = patch_labels.select(clip, images, patch_labels.PatchOptions(patches=9), Work(config, accelerator))
    seen = []
    embed = patch_labels.embed_patches

    def killed(clip, pixels):
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(len(pixels))
        return embed(clip, pixels)

    monkeypatch.setattr(patch_labels, "embed_patches", killed)
    run = Run.create(tmp_path / "run", config, dataset.classes)
    work = Work(config, accelerator, run)
    with pytest.raises(KeyboardInterrupt):
        global_outputs(clip, images, work)
    counted = []
    monkeypatch.setattr(patch_labels, "embed_patches", lambda c, x: counted.append(len(x)) or embed(c, x))
    again = patch_labels.select(clip, images, patch_labels.PatchOptions(patches=9), work)
    assert sum(seen) == 32 and sum(counted) == 8
    np.testing.assert_array_equal(whole.features, again.features)
    np.testing.assert_array_equal(whole.top, again.top)


def test_another_option_of_the_labels_shares_no_stage_of_a_sweep(patch_run):
    other = patch_run.config.changed(method={"options": {"top": 5}})
    assert common_stages(patch_run, other) == ()
    assert common_stages(patch_run, patch_run.config.with_method("ccd")) == ()
    alpha = patch_run.config.changed(labels={"alpha": 0.1})
    assert common_stages(patch_run, alpha) == ("global", "warm-up", "views")


def test_a_wrong_option_is_said_before_anything_is_read(tiny_scenes, tmp_path):
    config = config_of(tiny_scenes, method={"options": {"tops": 1}})
    with pytest.raises(UserError, match="no option tops; method.options takes sharpness"):
        run_ccd(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
