"""`ccd settings` and `ccd doctor`."""

from __future__ import annotations

import json
import re


def test_settings_are_printed_with_what_they_mean_and_taken_again(ccd, tmp_path):
    printed = ccd("settings", "--preset", "reference", "--set", "labels.alpha=0.7").out
    assert "# Weight of the initial label in the final label (Eq. 7).\n  alpha: 0.7\n" in printed
    (tmp_path / "mine.yaml").write_text(printed)
    assert ccd("settings", "--config", tmp_path / "mine.yaml").out == printed


def test_a_section_is_not_replaced_by_one_value(ccd):
    for wrong in (["data=5"], ["clip=5"], ["clip=5", "clip.size=64"], ["data=5", "data.workers=1"]):
        answer = ccd("settings", *[part for change in wrong for part in ("--set", change)])
        assert answer.code == 2 and f"setting {wrong[0].partition('=')[0]}:" in answer.err, wrong
    assert "setting data:" in ccd("settings", "--set", "data=5", "--dataset", "folder:photos").err


def test_doctor_recommends_a_preset_and_says_how_long_a_folder_takes(ccd, tiny_scenes, tmp_path, monkeypatch):
    monkeypatch.setattr("ccd_core.speed.MOMENT", 0.02)
    folder = tmp_path / "photos"
    folder.mkdir()
    for path in sorted((tiny_scenes / "JPEGImages").glob("val*.jpg"))[:3]:
        (folder / path.name).symlink_to(path)
    (folder / "classes.txt").write_text("house\ncar\n")
    said = ccd("doctor", "--dataset", f"folder:{folder}", "--preset", "demo").out
    assert re.search(r"preset         (best|laptop|offline), because", said)
    assert "for 3 training images and 2 classes with preset demo" in said
    assert ccd("doctor", "--preset", "demo").code == 2


def test_doctor_prints_its_findings_as_json(ccd):
    findings = json.loads(ccd("doctor", "--json").out)
    assert {finding["what"] for finding in findings} >= {"python", "torch", "GPU", "disk", "weights"}
