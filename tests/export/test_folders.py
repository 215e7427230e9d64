"""An export appears complete or not at all, and takes nobody's place unasked."""

from __future__ import annotations

import json

import pytest

from ccd_core.errors import UserError
from ccd_core.export import FORMATS, export_run
from ccd_core.export import formats as formats_module


def test_an_export_takes_no_place_unasked(tiny_run, tmp_path):
    out = tmp_path / "out"
    export_run(tiny_run, "csv", out, boxes=False)
    with pytest.raises(UserError, match="--force"):
        export_run(tiny_run, "csv", out, boxes=False)
    (out / "old").write_text("")
    export_run(tiny_run, "coco", out, force=True, boxes=False)
    assert (out / "annotations.json").is_file() and not (out / "old").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("what", ["photos", "file", "link"])
def test_force_replaces_nothing_but_exports(what, tiny_run, tmp_path):
    out = tmp_path / "out"
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "1.jpg").write_bytes(b"a photo")
    if what == "photos":
        photos.rename(out)
    elif what == "file":
        out.write_text("mine")
    else:
        out.symlink_to(photos)
    with pytest.raises(UserError, match="no export of ccd"):
        export_run(tiny_run, "csv", out, force=True, boxes=False)
    assert list(tmp_path.rglob("1.jpg"))


def test_a_failed_export_leaves_nothing_and_keeps_the_earlier_one(tiny_run, tmp_path, monkeypatch):
    out = tmp_path / "out"
    export_run(tiny_run, "csv", out, boxes=False)
    before = json.loads((out / "export.json").read_text())

    def full(path, value):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(formats_module, "write_json", full)
    with pytest.raises(UserError, match="No space left"):
        export_run(tiny_run, "csv", out, force=True, boxes=False)
    assert json.loads((out / "export.json").read_text()) == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_format_that_is_not_there_is_one_sentence(tiny_run, tmp_path):
    with pytest.raises(UserError, match=r"no export format 'tflite'; there are onnx, .*cvat"):
        export_run(tiny_run, "tflite", tmp_path / "out")


def test_a_missing_package_is_one_sentence(tiny_run, tmp_path, monkeypatch):
    monkeypatch.setitem(
        formats_module.FORMATS, "onnx", formats_module.Format("", "nowhere", False, ("no_such_package",))
    )
    with pytest.raises(UserError, match=r"needs the package no_such_package.*export\]"):
        export_run(tiny_run, "onnx", tmp_path / "out")


def test_every_format_has_a_module_that_writes_it():
    import importlib

    for name, chosen in FORMATS.items():
        if not chosen.extra or all(map(importlib.util.find_spec, chosen.extra)):
            assert callable(importlib.import_module(chosen.module).write), name
