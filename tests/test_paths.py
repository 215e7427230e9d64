"""Where the project's files lie, and what a place in the name of a data set means."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from ccd_core.paths import (
    DEMO_CLIP,
    DEMO_RUN,
    absolute_place,
    demo_root,
    home,
    private_folder,
    split_place,
)


def test_the_demo_comes_with_the_project():
    assert (DEMO_CLIP / "open_clip_model.safetensors").is_file() and (DEMO_RUN / "config.yaml").is_file()


def test_caches_lie_where_the_environment_says_or_in_the_users_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("CCD_HOME", str(tmp_path))
    assert home() == tmp_path and demo_root().parent == tmp_path
    monkeypatch.setenv("CCD_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert home() == tmp_path / ".cache" / "ccd"


def test_a_folder_that_is_made_is_for_this_user_alone(tmp_path):
    made = private_folder(tmp_path / "deep" / "er")
    assert made.is_dir()
    for folder in (made, made.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    os.chmod(made, 0o755)
    assert stat.S_IMODE(private_folder(made).stat().st_mode) == 0o755


def test_a_place_may_name_annotations_and_images(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert split_place("a.json,images") == ("a.json", "images")
    assert split_place("photos") == ("photos", None)
    assert absolute_place("a.json,images") == f"{tmp_path}/a.json,{tmp_path}/images"
    assert absolute_place("~/photos") == str(Path("~/photos").expanduser())


@pytest.mark.parametrize("name", ["one,two", "one,"])
def test_a_comma_in_the_name_of_a_folder_divides_nothing(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()
    assert split_place(name) == (name, None) and absolute_place(name) == f"{tmp_path}/{name}"
