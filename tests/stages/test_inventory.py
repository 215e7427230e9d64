"""A run is matched to its images by name: what changed between stop and resume is said, and mixes nothing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ccd_core.config import CCDConfig
from ccd_core.errors import UserError
from ccd_core.execution import run_ccd
from ccd_core.runs.run import Run
from tests.support import tiny_config

CLASSES = ["cup", "car", "tree"]


@pytest.fixture
def photos(tmp_path, tiny_scenes) -> Path:
    """A folder of twelve drawn images and three class names."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, path in enumerate(sorted(tiny_scenes.rglob("*.jpg"))[:12]):
        shutil.copy(path, folder / f"{number:02}.jpg")
    (folder / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    return folder


def config_of(photos: Path, **changes) -> CCDConfig:
    small = tiny_config(photos, data={"spec": f"folder:{photos}", "classes": None}, **changes)
    return small.changed(views={"threshold": {"mean_views": 1.0}})


@pytest.fixture
def begun(photos, tmp_path) -> Run:
    """A finished run on the photos without its scores: resuming it works on its images again."""
    run = run_ccd(config_of(photos), tmp_path / "run")
    run.remove("scores")
    return run


def resume(run: Run, **options) -> Run:
    return run_ccd(run.config, run.path, **options)


def test_a_renamed_image_is_said_in_one_sentence(begun, photos):
    (photos / "03.jpg").rename(photos / "aa.jpg")
    with pytest.raises(UserError, match=r"1 image is gone or renamed \(03.jpg\).*--same-images"):
        resume(begun)


def test_a_replaced_image_is_said_in_one_sentence(begun, photos):
    Image.new("RGB", (40, 40), (9, 9, 9)).save(photos / "05.jpg")
    with pytest.raises(UserError, match=r"not the same file any more \(05.jpg\)"):
        resume(begun)


def test_going_on_without_changed_images_keeps_what_clip_said_of_the_others(begun, photos):
    before = begun.load_global()
    views = begun.load_views()
    (photos / "03.jpg").unlink()
    Image.new("RGB", (40, 40), (9, 9, 9)).save(photos / "05.jpg")
    run = resume(begun, same_images=True)
    stays = ~np.isin(before["ids"], ["03.jpg", "05.jpg"])
    ids = before["ids"][stays].tolist()
    assert run.load_global()["ids"].tolist() == run.load_labels()["ids"].tolist() == ids
    np.testing.assert_array_equal(run.load_global()["p_global"], before["p_global"][stays])
    there = views[views["image"].isin(ids)]
    np.testing.assert_array_equal(run.load_views()[["x0", "y0", "x1", "y1"]], there[["x0", "y0", "x1", "y1"]])
    assert run.load_views()["image"].tolist() == there["image"].tolist()


def test_an_image_that_came_is_left_out(begun, photos):
    before = begun.load_labels()
    shutil.copy(photos / "00.jpg", photos / "000.jpg")
    after = resume(begun).load_labels()
    assert after["ids"].tolist() == before["ids"].tolist()
    np.testing.assert_array_equal(after["final"], before["final"])


def test_a_copy_with_other_times_is_the_same_data_set(begun, photos):
    for path in photos.glob("*.jpg"):
        os.utime(path, (1e9, 1e9))
    resume(begun)


def test_classes_in_another_order_keep_their_labels(begun, photos):
    before = begun.load_labels()
    (photos / "classes.txt").write_text("\n".join(reversed(CLASSES)) + "\n")
    after = resume(begun)
    assert after.classes == tuple(CLASSES)
    np.testing.assert_array_equal(after.load_labels()["final"], before["final"])


def test_another_class_is_said_in_one_sentence(begun, photos):
    (photos / "classes.txt").write_text("\n".join([*CLASSES, "dog"]) + "\n")
    with pytest.raises(UserError, match="dog came"):
        resume(begun)


def test_chunks_of_other_images_are_not_used(begun, photos):
    """A run that was killed with part of its work on the disk, and then lost an image."""
    begun.remove("global.npz")
    begun.remove("dataset.npz")
    folder = begun.file("partial")
    folder.mkdir(exist_ok=True)
    np.savez(folder / "global-00000000.npz", of=np.array("others"), embeddings=np.zeros((12, 3), np.float32))
    before = begun.load_labels()
    np.testing.assert_array_equal(resume(begun).load_labels()["initial"], before["initial"])


@pytest.mark.parametrize("cache", ["none", "read only"])
def test_a_result_does_not_depend_on_a_cache(photos, tmp_path, monkeypatch, cache):
    monkeypatch.setenv("CCD_HOME", str(tmp_path / "home"))
    first = run_ccd(config_of(photos), tmp_path / "first")
    if cache == "none":
        other = config_of(photos).changed(data={"cache_gb": 0})
    else:
        blocked = tmp_path / "file"
        blocked.write_text("no folder")
        monkeypatch.setenv("CCD_HOME", str(blocked))
        other = config_of(photos)
    second = run_ccd(other, tmp_path / "second")
    for name in ("initial", "local", "final"):
        np.testing.assert_array_equal(first.load_labels()[name], second.load_labels()[name])
    np.testing.assert_array_equal(first.load_scores("train")["scores"], second.load_scores("train")["scores"])


def test_a_run_keeps_absolute_paths(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = config_of(photos).changed(data={"spec": "folder:photos", "classes": "photos/classes.txt"})
    run = Run.create("relative", config, tuple(CLASSES))
    monkeypatch.chdir("/")
    settings = Run.open(tmp_path / "relative").config.data
    assert settings.spec == f"folder:{photos}"
    assert settings.classes == photos / "classes.txt"
    assert run.config.data == settings
