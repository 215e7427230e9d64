"""CLIP's embeddings are cached between runs: used when nothing that they depend on has changed."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ccd_core.clip.teacher import ClipTeacher, load_teacher
from ccd_core.data import cache, open_dataset
from ccd_core.data.types import ImageList
from ccd_core.machine.device import make_accelerator
from ccd_core.runs.progress import Progress
from ccd_core.runs.run import Run
from ccd_core.runs.work import Work
from ccd_core.stages.global_labels import embedding_settings, global_outputs
from tests.support import tiny_config


@pytest.fixture
def ask(tiny_scenes, tmp_path, monkeypatch):
    """`ask("name")`: the stage `global` in a run of that name -> probabilities, count of images CLIP saw."""
    monkeypatch.setenv("CCD_HOME", str(tmp_path / "home"))
    config = tiny_config(tiny_scenes)
    dataset = open_dataset(config.data.spec)
    accelerator = make_accelerator("cpu", "fp32")
    clip = load_teacher(config.clip, dataset.classes, accelerator)
    encoded = []
    encode = ClipTeacher.encode_image
    monkeypatch.setattr(
        ClipTeacher, "encode_image", lambda self, x: encoded.append(len(x)) or encode(self, x)
    )

    def once(name: str) -> tuple[np.ndarray, int]:
        encoded.clear()
        run = Run.create(tmp_path / name, config, dataset.classes)
        work = Work(config, accelerator, run, Progress(run))
        return global_outputs(clip, dataset.splits["train"], work).p, sum(encoded)

    return once


def test_a_second_run_on_the_same_images_asks_clip_nothing(ask, tmp_path):
    first, count = ask("first")
    again, count_again = ask("again")
    assert (count, count_again) == (40, 0)
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY\x01\x00 and no more", np.zeros(3).tobytes()])
def test_a_damaged_file_of_the_cache_is_written_again(ask, tmp_path, damage):
    first, _ = ask("first")
    (kept,) = (tmp_path / "home" / "embeddings").glob("*.npy")
    kept.write_bytes(damage)
    again, count = ask("again")
    assert count == 40
    np.testing.assert_array_equal(first, again)


def test_all_that_an_embedding_depends_on_is_in_the_name_of_its_file(tiny_scenes, tmp_path):
    config = tiny_config(tiny_scenes)
    dataset = open_dataset(config.data.spec)
    clip = load_teacher(config.clip, dataset.classes, make_accelerator("cpu", "fp32"))
    teacher = clip.teacher
    folder = tmp_path / "pictures"
    folder.mkdir()
    paths = tuple(shutil.copy(path, folder) for path in dataset.splits["train"].paths[:2])
    images = ImageList(("a", "b"), tuple(map(type(dataset.splits["train"].paths[0]), paths)))

    def name(changes: dict | None = None) -> str:
        return cache.embeddings_file(
            images, embedding_settings(replace(clip, settings=config.changed(**(changes or {})).clip))
        ).name

    before = name()
    assert name({"bias": {"entropy_threshold": 0.7}, "clip": {"prompt": "one {}"}}) == before
    names = [before, name({"clip": {"size": 64}}), name({"clip": {"normalisation": "imagenet"}})]
    os.utime(images.paths[0], (1, 1))
    names.append(name())
    with torch.no_grad():
        next(iter(teacher.tower.parameters())).add_(1)
    names.append(name())
    assert len(set(names)) == len(names)


def test_an_image_is_the_same_through_links_and_relative_paths(tmp_path, monkeypatch):
    real = tmp_path / "real"
    real.mkdir()
    for name in ("a.jpg", "b.jpg"):
        (real / name).write_bytes(name.encode() * 9)
    (tmp_path / "folder").symlink_to(real)
    (tmp_path / "file.jpg").symlink_to("folder/b.jpg")
    (tmp_path / "broken.jpg").symlink_to("nowhere.jpg")
    monkeypatch.chdir(real)

    def name(*paths) -> str:
        return cache.embeddings_file(
            ImageList(tuple(map(str, paths)), tuple(map(Path, paths))), {"size": 1}
        ).stem

    digest = hashlib.blake2b(b'{"size": 1}', digest_size=16)  # as it is kept on users' disks
    for path in (real / "a.jpg", real / "b.jpg"):
        digest.update(f"{path.resolve()}\0{path.stat().st_size}\0{path.stat().st_mtime_ns}\n".encode())
    linked = (tmp_path / "folder" / "a.jpg", tmp_path / "file.jpg")
    relative = ("a.jpg", "../folder/../real/b.jpg")
    assert name(real / "a.jpg", real / "b.jpg") == name(*linked) == name(*relative) == digest.hexdigest()
    # A file that is not there is no error here.
    assert name(tmp_path / "broken.jpg") == name(tmp_path / "nowhere.jpg") == name("../nowhere.jpg")


def test_the_oldest_files_are_removed_when_all_are_larger_than_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "LIMIT_BYTES", 3_000)
    for age, name in ((30, "old"), (20, "middle"), (10, "new")):
        cache.store_embeddings(tmp_path / f"{name}.npy", [np.zeros((10, 32), np.float32)], 10)
        os.utime(tmp_path / f"{name}.npy", (1e9 - age, 1e9 - age))
    cache.store_embeddings(tmp_path / "newest.npy", [np.zeros((10, 32), np.float32)], 10)
    assert sorted(path.stem for path in tmp_path.glob("*.npy")) == ["new", "newest"]


def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    cache.store_embeddings(tmp_path / "file" / "x.npy", [np.zeros((1, 1), np.float32)], 1)
    assert "could not be cached" in caplog.text


def test_what_killed_processes_were_writing_is_counted_and_removed(tmp_path):
    import os
    import time

    from ccd_core.data.cache import ABANDONED_SECONDS, _drop_oldest

    files = {}
    ages = {".a.u8.7.partial": ABANDONED_SECONDS + 9, ".b.u8.8.partial": 5, "old.u8": 9, "new.u8": 2}
    for name, age in ages.items():
        files[name] = tmp_path / name
        files[name].write_bytes(bytes(100))
        os.utime(files[name], (time.time() - age,) * 2)
    _drop_oldest(tmp_path, 200)  # room for one file beside the one that is being written
    assert {name for name, path in files.items() if path.exists()} == {".b.u8.8.partial", "new.u8"}
