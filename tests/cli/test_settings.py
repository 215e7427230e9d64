"""`ccd settings` and `ccd doctor`."""

from __future__ import annotations

import json


def test_settings_are_printed_with_what_they_mean_and_taken_again(ccd, tmp_path):
    printed = ccd("settings", "--preset", "reference", "--set", "labels.alpha=0.7").out
    assert "# Weight of the initial label in the final label (Eq. 7).\n  alpha: 0.7\n" in printed
    (tmp_path / "mine.yaml").write_text(printed)
    assert ccd("settings", "--config", tmp_path / "mine.yaml").out == printed


def test_doctor_prints_its_findings_as_json(ccd):
    findings = json.loads(ccd("doctor", "--json").out)
    assert {finding["what"] for finding in findings} >= {"python", "torch", "GPU", "disk", "weights"}
