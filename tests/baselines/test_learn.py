"""Runs of other methods: folders like any other, resumed with their state, with CCD's own trainer."""

from __future__ import annotations

import signal

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ccd_core.baselines.learn import check_baseline
from ccd_core.baselines.without_labels import an
from ccd_core.config import CCDConfig, load_config
from ccd_core.errors import Stopped, UserError
from ccd_core.execution import run_ccd
from ccd_core.runs.run import Run
from ccd_core.training.checkpoint import load_checkpoint
from tests.support import same_result, tiny_config

SHORT = {"training": {"epochs": 3, "warmup_epochs": 1, "keep": "last"}}


def config_of(scenes, name, **changes) -> CCDConfig:
    return tiny_config(scenes, **SHORT).with_method(name).changed(**changes)


@pytest.mark.parametrize("name", ["role", "cdul"])
def test_stopped_inside_of_an_epoch_a_methods_state_of_each_image_goes_on(name, tiny_scenes, tmp_path):
    """ROLE's table is a parameter with Adam's state, CDUL's labels move after each epoch."""
    config = config_of(tiny_scenes, name, method={"options": {"first_epochs": 1} if name == "cdul" else {}})
    whole = run_ccd(config, tmp_path / "whole")
    left = [("training", 32, "epoch 3 of 3")]

    def reporter(stage: str, done: int, total: int, detail: str) -> None:
        if (stage, done, detail) in left:
            left.clear()
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Stopped):
        run_ccd(config, tmp_path / "run", reporter)
    checkpoint = load_checkpoint(tmp_path / "run" / "checkpoints" / "last.safetensors")
    assert checkpoint.inside is not None
    [state] = checkpoint.method.values()
    assert state.shape == (40, 16)
    assert same_result(whole, run_ccd(config, tmp_path / "run"))
    labels = whole.load_labels()
    assert not np.allclose(labels["initial"], labels["final"])


def test_stopped_inside_of_an_epoch_a_recipe_of_its_own_goes_on(tiny_scenes, tmp_path):
    """ASL's own: changed images, averaged weights, a cycle that is laid out for more epochs."""
    config = (
        tiny_config(tiny_scenes)
        .with_method("asl", "own")
        .changed(training={"epochs": 2, "warmup_epochs": 0, "batch_size": 16, "average": 0.5, "crop": 0.5})
    )
    left = [("training", 32, "epoch 2 of 2")]

    def reporter(stage: str, done: int, total: int, detail: str) -> None:
        if (stage, done, detail) in left:
            left.clear()
            signal.raise_signal(signal.SIGTERM)

    whole = run_ccd(config, tmp_path / "whole")
    with pytest.raises(Stopped):
        run_ccd(config, tmp_path / "run", reporter)
    last = load_checkpoint(tmp_path / "run" / "checkpoints" / "last.safetensors")
    assert last.inside is not None and last.average["steps"] == 5
    assert same_result(whole, run_ccd(config, tmp_path / "run"))
    kept = load_file(whole.file("checkpoints", "best.safetensors"))
    last = load_checkpoint(whole.file("checkpoints", "last.safetensors"))
    assert torch.equal(kept["head.weight"], last.average["head.weight"])
    assert not torch.equal(kept["head.weight"], last.model["head.weight"])


def test_a_loss_of_its_own_trains_as_ccd_does(tiny_scenes, tmp_path, monkeypatch):
    """With CCD's labels and loss, the hook gives CCD's weights to the bit: it changes nothing else."""
    monkeypatch.setattr(an, "clip_top1", lambda p: p)
    plain = {"labels": {"update": False}, "bias": {"mode": "none"}}
    ccd = run_ccd(tiny_config(tiny_scenes, **SHORT, **plain), tmp_path / "ccd")
    hooked = run_ccd(config_of(tiny_scenes, "an", **plain), tmp_path / "an")
    assert same_result(ccd, hooked)
    assert "local" not in ccd.load_ap()["labels"]  # no local view was looked at


def test_sst_is_a_run_that_predicts(tiny_scenes, tmp_path):
    from ccd_core.data import open_dataset
    from ccd_core.predict.predictor import Predictor

    config = config_of(tiny_scenes, "sst", method={"head_width": 16})
    run = run_ccd(config, tmp_path / "run")
    assert run.status == "finished" and "USES LABELS" in "\n".join(run.log_tail(200))
    labels = run.load_labels()
    assert set(np.unique(labels["initial"])) <= {0, 0.5, 1}
    predictor = Predictor.open(run.path, "cpu")
    images = open_dataset(config.data.spec).splits["val"]
    [prediction] = predictor.predict([images.paths[0]])
    stored = run.load_scores("val")["scores"][0]
    np.testing.assert_allclose(prediction.scores, stored, atol=1e-4)
    maps = predictor.explain(images.paths[0], [0.5])
    assert np.isfinite(np.array(maps["cam"])).all()


def test_clip_alone_scores_validation_images_and_trains_nothing(tiny_scenes, tmp_path):
    run = run_ccd(config_of(tiny_scenes, "clip_zero_shot"), tmp_path / "run")
    scores = run.load_scores("val")["scores"]
    assert torch.allclose(torch.from_numpy(scores).sum(1), torch.ones(16), atol=1e-4)
    assert run.load_ap()["val"]["mAP"] > 50 and run.load_best() is None and run.load_metrics().empty


def test_a_method_needs_labels_that_are_there(tmp_path):
    from PIL import Image

    for number in range(2):
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.new("RGB", (80, 80), (9 * number, 0, 0)).save(tmp_path / "photos" / f"{number}.png")
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    place = {"spec": f"folder:{tmp_path / 'photos'}", "classes": str(tmp_path / "classes.txt")}
    config = tiny_config(tmp_path).changed(data=place).with_method("bce")
    with pytest.raises(UserError, match=r"no labels for its training images.*such as ccd"):
        run_ccd(config, tmp_path / "run")
    assert Run.open(tmp_path / "run").status == "failed"


def test_an_option_that_a_method_does_not_have_is_said(tiny_scenes, tmp_path):
    config = config_of(tiny_scenes, "ll_r", method={"options": {"delda": 1.0}})
    with pytest.raises(UserError, match="no option delda; method.options takes delta"):
        run_ccd(config, tmp_path / "run")


def test_several_devices_are_for_several_runs(tiny_scenes):
    with pytest.raises(UserError, match="runs on one device"):
        check_baseline(config_of(tiny_scenes, "an").changed(device="cpu:0,1"))


def test_own_recipes_are_settings_like_others():
    own = ["method.name=ll_r", "method.recipe=own"]
    voc = load_config("paper", changes=[*own, "training.epochs=3"], dataset="voc2012:VOC")
    assert (voc.training.optimizer, voc.training.learning_rate, voc.training.epochs) == ("sgd", 5e-3, 3)
    coco = load_config("paper", changes=own, dataset="coco2014:COCO")
    assert (coco.training.optimizer, coco.training.learning_rate) == ("adam", 1e-5)
    assert CCDConfig.preset("paper").with_method("cdul", "own").training.epochs == 20
    best = CCDConfig.preset("best").with_method("sst", "own")  # epochs as they are, whatever the preset adds
    assert (best.training.main_steps, best.training.rate_steps, best.classifier.frozen_below) == (0, None, 0)
    assert (best.classifier.learns, best.training.crop) == ("last_stage", 0.5)
    assert CCDConfig.preset("paper").with_method("asl", "own").training.schedule_epochs == 80
    common = CCDConfig.preset("paper").with_method("cdul")
    assert common.training == CCDConfig.preset("paper").training
