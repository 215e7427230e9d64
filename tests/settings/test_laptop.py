"""Presets laptop and offline, images to classifier, with small files in the formats of the real ones."""

from __future__ import annotations

import pytest

from ccd_core.clip.photo_words import BACKBONE
from ccd_core.config import CCDConfig
from ccd_core.execution import run_ccd
from ccd_core.predict.predictor import Predictor
from ccd_core.weights.packages import packaged_weights
from tests.clip.small_models import SHALLOW, TOWERS, write_model

SMALL = {
    "data": {"workers": 0},
    "device": "cpu",
    "precision": "fp32",
    "classifier": {"image_size": 64, "cam_size": 64},
    "views": {"threshold": {"mean_views": 1.0}, "frame": 96, "offset": 12},
    "training": {"epochs": 2, "warmup_epochs": 1, "keep": "last", "warmup_steps": 0, "main_steps": 0},
}


def test_laptop_runs_with_a_fastvit_clip_and_an_efficientnet(tiny_scenes, tmp_path, monkeypatch):
    import timm

    build = timm.create_model
    monkeypatch.setattr(
        timm, "create_model", lambda name, **settings: build(name, **settings, **SHALLOW.get(name, {}))
    )
    model = write_model(tmp_path / "mobileclip", *TOWERS["mobileclip"][2:])
    config = CCDConfig.preset("laptop", f"demo:{tiny_scenes}").changed(**SMALL)
    config = config.changed(
        clip={"model": model, "pretrained": None, "size": 64}, classifier={"weights": None}
    )
    run = run_ccd(config, tmp_path / "run")
    assert run.status == "finished" and run.has("views.parquet")
    assert run.config.classifier.backbone == "timm:tf_efficientnet_lite0"


@pytest.mark.skipif(packaged_weights(BACKBONE) is None, reason="the extra photos is not installed")
def test_offline_runs_from_its_package_alone(tiny_scenes, tmp_path):
    words = {"sailboat": "boat", "snowman": "teddy", "airplane": "airliner", "house": "barn", "tree": "pot"}
    config = CCDConfig.preset("offline", f"demo:{tiny_scenes}").changed(**SMALL)
    from ccd_core.clip.photo_words import plain
    from ccd_core.clip.photo_words import words as known
    from ccd_core.data import open_dataset

    classes = open_dataset(config.data.spec).classes
    unknown = {name: "dog" for name in classes if plain(name) not in known()}
    chosen = unknown | {name: word for name, word in words.items() if name in unknown}
    run = run_ccd(config.changed(clip={"names": chosen, "size": 64}), tmp_path / "run")
    assert run.status == "finished"
    [prediction] = Predictor(run, "cpu").predict([next((tiny_scenes / "JPEGImages").glob("val*.jpg"))])
    assert prediction.scores is not None and len(prediction.scores) == len(classes)
