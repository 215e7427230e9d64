"""The programs in examples/ run from beginning to end on the small demo data, as docs/examples.md says."""

from __future__ import annotations

import json
import runpy
import shutil
import sys
from pathlib import Path

import pytest

from ccd_core.paths import DEMO_CLIP
from tests.support import ROOT, tiny_config

EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("*.py"))


@pytest.fixture
def settings(tiny_scenes, tmp_path) -> Path:
    """A file of settings with which a run takes seconds."""
    path = tmp_path / "settings.yaml"
    short = {"training": {"epochs": 2, "warmup_epochs": 1}, "views": {"threshold": {"mean_views": 0.5}}}
    path.write_text(tiny_config(tiny_scenes, **short).to_yaml())
    return path


@pytest.fixture
def run_example(monkeypatch, capsys):
    """`run_example("voc.py", "voc:DIR")` -> what it printed."""

    def run(name: str, *arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        capsys.readouterr()
        runpy.run_path(str(ROOT / "examples" / name), run_name="__main__")
        return capsys.readouterr().out

    return run


def test_a_folder_of_ones_own(run_example, settings, tiny_scenes, tiny_run, tmp_path):
    photos = tmp_path / "photos"
    new = tmp_path / "new"
    for folder, pattern in ((photos, "train*"), (new, "val*1.jpg")):
        folder.mkdir()
        for path in sorted((tiny_scenes / "JPEGImages").glob(pattern))[:16]:
            shutil.copy(path, folder)
    (photos / "classes.txt").write_text("".join(f"{name}\n" for name in tiny_run.classes))
    (new / "broken.jpg").write_text("no picture")
    out = tmp_path / "run"
    said = run_example("own_folder.py", photos, "--new", new, "--out", out, "--settings", settings)
    assert "16 images, 16 classes" in said and "no labels.csv" in said and "broken.jpg: broken.jpg" in said
    content = json.loads((tmp_path / "run-coco" / "annotations.json").read_text())
    assert len(content["images"]) == 16


def test_voc(run_example, settings, tiny_scenes, tmp_path):
    said = run_example("voc.py", f"voc:{tiny_scenes}", "--out", tmp_path / "run", "--settings", settings)
    assert said.count("% mAP") == 5 + 5 and "CLIP favours" in said and "tree:" in said


def test_a_backbone_and_a_clip_of_ones_own(run_example, settings, tiny_scenes, tmp_path):
    arguments = [f"voc:{tiny_scenes}", "--clip", DEMO_CLIP, "--out", tmp_path / "run", "--settings", settings]
    said = run_example("own_backbone_and_clip.py", *arguments)
    assert "maps of 4 x 4" in said and "parameters" in said
    assert (tmp_path / "run-torch" / "model.pt2").is_file()


def test_a_mistake_is_a_sentence(run_example, tmp_path):
    with pytest.raises(SystemExit, match="Error: There is no folder"):
        run_example("own_folder.py", tmp_path / "nowhere")


def test_the_page_of_examples_shows_the_programs_as_they_are():
    page = (ROOT / "docs" / "examples.md").read_text()
    assert len(EXAMPLES) == 3
    for name in EXAMPLES:
        assert (ROOT / "examples" / name).read_text().strip() in page, name
