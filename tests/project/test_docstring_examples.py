"""Every example in a docstring (`>>>`) does what it shows."""

from __future__ import annotations

import doctest
import importlib

import cv2
import pytest

from tests.support import ROOT

EXAMPLES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted(ROOT.glob("ccd_core/**/*.py"))
    if ">>> " in path.read_text()
]


@pytest.fixture
def folder_of_a_user(tmp_path, monkeypatch):
    """Where the examples run: in a folder with the demo run and an image of a house and a tree."""
    from ccd_core.toy.scenes import draw_scene

    (tmp_path / "assets").symlink_to(ROOT / "assets")
    cv2.imwrite(str(tmp_path / "photo.jpg"), draw_scene(5, 8).image[..., ::-1])
    monkeypatch.chdir(tmp_path)


def test_examples_were_found():
    assert {"ccd_core.config", "ccd_core.clip.teacher", "ccd_core.predict.predictor"} <= set(EXAMPLES)


@pytest.mark.parametrize("module", EXAMPLES)
def test_examples_run(module, folder_of_a_user):
    result = doctest.testmod(importlib.import_module(module), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted and not result.failed
