"""`ccd export`: formats are listed, written, and refused in sentences."""

from __future__ import annotations

import json

from ccd_core.export import FORMATS


def test_export_lists_the_formats(ccd, tiny_run):
    listed = ccd("export", tiny_run.path)
    assert listed.code == 0 and all(name in listed.out for name in FORMATS)


def test_export_writes_and_says_what_is_there(ccd, tiny_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = ccd("export", tiny_run.path, "--to", "coco", "--no-boxes", "--threshold", 0.4)
    folder = tmp_path / f"{tiny_run.name}-coco"
    assert done.code == 0 and "56 images" in done.out and "annotations.json" in done.out
    assert set(json.loads((folder / "export.json").read_text())["thresholds"].values()) == {0.4}
    again = ccd("export", tiny_run.path, "--to", "coco", "--no-boxes")
    assert again.code == 2 and "--force" in again.err
    assert ccd("export", tiny_run.path, "--to", "coco", "--no-boxes", "--force").code == 0


def test_mistakes_are_sentences(ccd, tiny_run, tmp_path):
    file = tmp_path / "limits.json"
    both = ccd("export", tiny_run.path, "--to", "csv", "--thresholds", file, "--threshold", 0.1)
    assert both.code == 2 and "twice" in both.err
    unknown = ccd("export", tiny_run.path, "--to", "tensorflow")
    assert unknown.code == 2 and "no export format" in unknown.err
    split = ccd("export", tiny_run.path, "--to", "csv", "--labels", "final", "--split", "val")
    assert split.code == 2 and "pseudo-labels" in split.err
