"""What pages read is kept until one of its files changes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from app.reading.cached import cached_by, mtime_ns
from ccd_core.config import CCDConfig
from ccd_core.errors import UserError
from ccd_core.runs.run import Run

computed: list[tuple] = []


@cached_by("labels.npz", "scores/{split}.npz", max_entries=8)
def read(run: Run, split: str, most: int = 3, _note: str = "") -> list:
    computed.append((run.name, split, most, _note))
    return [len(computed)]


@cached_by("labels.npz", copied=True, max_entries=8)
def read_copied(run: Run, split: str = "train") -> list:
    computed.append((run.name, split))
    return [len(computed)]


@cached_by(max_entries=8)
def size_of(path: Path) -> int:
    computed.append((path,))
    return path.stat().st_size


@pytest.fixture
def run(tmp_path):
    for function in (read, read_copied, size_of):
        function.clear()
    computed.clear()
    run = Run.create(tmp_path / "pets", CCDConfig.preset("demo"), ("cat",))
    for name in ("labels.npz", "scores/train.npz", "scores/val.npz"):
        later(run.file(*name.split("/")))
    return run


def later(path: Path) -> None:
    """The file changes; some file systems tell no less than a second apart."""
    path.parent.mkdir(exist_ok=True)
    before = mtime_ns(path)
    path.touch()
    os.utime(path, ns=(before + 10**9, before + 10**9))


def test_a_value_is_computed_once_and_shared(run):
    first = read(run, "train")
    assert read(run, "train", 3) is first and read(Run.open(run.path), split="train", most=3) is first
    assert computed == [("pets", "train", 3, "")]


def test_every_argument_counts_but_for_those_with_an_underscore(run):
    first = read(run, "train")
    assert read(run, "train", _note="another") is first
    assert read(run, "val") is not first and read(run, "train", 4) is not first
    assert len(computed) == 3


@pytest.mark.parametrize(
    ("changed", "times"), [("labels.npz", 2), ("scores/train.npz", 2), ("scores/val.npz", 1)]
)
def test_a_value_is_computed_anew_when_one_of_its_files_changes(run, changed, times):
    read(run, "train")
    later(run.file(*changed.split("/")))
    read(run, "train")
    assert len(computed) == times


def test_a_copy_can_be_changed_without_changing_what_others_get(run):
    read_copied(run).append("mine")
    assert read_copied(run) == [1] and len(computed) == 1


def test_functions_do_not_share_their_values(run):
    read(run, "train")
    assert read_copied(run, "train") == [2]


def test_a_file_among_the_arguments_counts_with_its_time(tmp_path, run):
    path = tmp_path / "a.txt"
    path.write_text("one")
    assert [size_of(path), size_of(path)] == [3, 3] and len(computed) == 1
    path.write_text("three")
    later(path)
    assert size_of(path) == 5


def test_a_run_that_is_gone_is_said(run):
    read(run, "train")
    shutil.rmtree(run.path)
    with pytest.raises(UserError, match="pets is gone: the run was deleted or moved"):
        read(run, "train")


def test_what_is_not_there_has_no_time(tmp_path):
    assert mtime_ns(tmp_path / "nothing") == 0
