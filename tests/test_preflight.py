"""Before anything long: what a run needs is looked at in seconds, without a network, each lack a sentence."""

from __future__ import annotations

import logging
import shutil
import time
from collections import namedtuple

import pytest
from huggingface_hub import constants

from ccd_core import preflight as looking
from ccd_core.config import CCDConfig, load_config
from ccd_core.data import open_dataset
from ccd_core.errors import UserError
from ccd_core.execution import run_ccd
from ccd_core.jobs.check import check_run
from ccd_core.weights import hub
from tests.clip.small_models import SHALLOW, SMALL_VIT, write_model
from tests.clip.small_models import timm as timm_tower
from tests.support import tiny_config

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def no_network(monkeypatch):
    """Servers that refuse a connection at once, as on a machine without a network."""
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(hub, "_answers", lambda url: False)


@pytest.fixture
def photos(tiny_scenes, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for path in sorted((tiny_scenes / "JPEGImages").glob("val*.jpg"))[:4]:
        shutil.copy(path, folder / path.name)
    (folder / "classes.txt").write_text("house\ncar\n")
    return f"folder:{folder}"


def problems_of(config: CCDConfig, out) -> tuple[str, ...]:
    dataset = open_dataset(config.data.spec, config.data.classes)
    return looking.examine(config, dataset, out).problems


def test_a_run_that_can_begin_has_no_problem_and_is_looked_at_in_seconds(tiny_scenes, tmp_path):
    config = tiny_config(tiny_scenes)
    began = time.monotonic()
    assert looking.preflight(config, open_dataset(config.data.spec), tmp_path / "new") == ()
    assert time.monotonic() - began < 20
    assert not (tmp_path / "new").exists()


def test_weights_that_cannot_be_had_are_said_together_and_leave_no_run(photos, tmp_path, no_network):
    config = load_config("paper", None, ["clip.model=RN50", "classifier.backbone=resnet18"], photos)
    began = time.monotonic()
    with pytest.raises(UserError) as told:
        run_ccd(config, tmp_path / "run")
    assert time.monotonic() - began < 20
    assert "weights of CLIP RN50 (openai)" in str(told.value)
    assert "ImageNet weights of resnet18 could not be had: https://download.pytorch.org" in str(told.value)
    assert not (tmp_path / "run").exists()
    config = config.changed(classifier={"backbone": "timm:tf_efficientnet_lite1"})
    assert any(
        "timm:tf_efficientnet_lite1 could not be had" in text for text in problems_of(config, tmp_path)
    )


def test_weights_to_be_fetched_are_a_note(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "hub_answers", lambda: True)
    monkeypatch.setattr(hub, "_answers", lambda url: True)
    config = load_config("paper", None, ["clip.model=RN50", "classifier.backbone=resnet18"], photos)
    dataset = open_dataset(config.data.spec, config.data.classes)
    found = looking.examine(config, dataset, tmp_path)
    assert found.problems == ()
    text = " ".join(found.notes)
    assert "weights of CLIP RN50 (openai) are fetched" in text and "weights of resnet18 are fetched" in text
    assert "No" not in text.split("None are needed")[0] and "the run is not scored" in text


def test_a_missing_file_of_weights_and_one_that_does_not_fit(tiny_scenes, tmp_path):
    config = tiny_config(tiny_scenes)
    missing = config.changed(classifier={"weights": str(tmp_path / "none.safetensors")})
    [problem] = problems_of(missing, tmp_path)
    assert "There is no file of weights" in problem
    other = write_model(tmp_path / "vit", SMALL_VIT, {}).removeprefix("local-dir:")
    weights = f"{other}/open_clip_model.safetensors"
    [problem] = problems_of(config.changed(clip={"model": "RN50", "pretrained": weights}), tmp_path)
    assert "do not fit CLIP RN50" in problem
    [problem] = problems_of(config.changed(clip={"model": "ViT-B-23", "pretrained": weights}), tmp_path)
    assert "did you mean ViT-B-32" in problem


def test_a_tower_of_one_size_begins_at_its_own_size_only(tiny_scenes, tmp_path, monkeypatch):
    import timm

    build = timm.create_model
    monkeypatch.setattr(
        timm, "create_model", lambda name, **settings: build(name, **settings, **SHALLOW.get(name, {}))
    )
    model = write_model(tmp_path / "swin", timm_tower("swin_tiny_patch4_window7_224", 224, "avg"), {})
    config = tiny_config(tiny_scenes, clip={"model": model, "pretrained": None, "size": 224})
    dataset = open_dataset(config.data.spec)
    [note] = looking.preflight(config, dataset, tmp_path)
    assert "takes 224x224 images only, so local views are squeezed to it" in note
    [problem] = problems_of(config.changed(clip={"size": 96}), tmp_path)
    assert "takes 224x224 images only, not 96x96; set clip.size to 224" in problem


def test_a_tag_beside_a_folder_is_said_not_to_be_used(tiny_scenes, tmp_path, caplog):
    model = write_model(tmp_path / "vit", SMALL_VIT, {})
    config = tiny_config(tiny_scenes, clip={"model": model, "pretrained": "openai", "size": 64})
    with caplog.at_level(logging.INFO, "ccd"):
        assert problems_of(config, tmp_path) == ()
    assert "clip.pretrained=openai is not used" in caplog.text


def test_a_full_disk_and_a_folder_that_is_none(tiny_scenes, tmp_path, monkeypatch):
    config = tiny_config(tiny_scenes)
    (tmp_path / "file").write_text("")
    [problem] = problems_of(config, tmp_path / "file" / "run")
    assert "cannot be written" in problem
    monkeypatch.setattr(looking.shutil, "disk_usage", lambda place: Usage(1, 1, 1000))
    [problem] = problems_of(config, tmp_path / "run")
    assert "has only 0 MiB free" in problem


def test_a_word_for_an_unknown_class_and_a_backbone_at_a_wrong_size(tiny_scenes, tmp_path):
    config = tiny_config(tiny_scenes, clip={"names": {"unicorn": "horse"}})
    [problem] = problems_of(config, tmp_path)
    assert "'unicorn', which is not a class" in problem
    config = tiny_config(tiny_scenes, classifier={"backbone": "timm:nothing_like_it"})
    [problem] = problems_of(config, tmp_path)
    assert "timm has no model" in problem


def test_a_process_of_its_own_says_the_same(tiny_scenes, tmp_path):
    with pytest.raises(UserError, match="did you mean"):
        check_run(tiny_config(tiny_scenes, clip={"model": "RN5O", "pretrained": "openai"}), tmp_path / "run")
