"""`ccd data`: exit codes, JSON, and sentences. What is examined: tests/data/test_check.py."""

from __future__ import annotations

import json

from ccd_core.data.check import examine_dataset
from tests.make_datasets import make_nuswide


def test_json_is_the_report(ccd, tmp_path):
    make_nuswide(tmp_path, n=10)
    result = ccd("data", "check", f"nuswide:{tmp_path}", "--quick", "--json")
    report = json.loads(result.out)
    assert result.code == 1 and report == examine_dataset(f"nuswide:{tmp_path}").plain()
    assert report["splits"]["train"]["without_class"] == 2 and len(report["classes"]) == 81
    assert any("2 images of train (20.0 %) show none of the classes" in note for note in report["notes"])


def test_what_only_a_person_can_fetch_is_said_with_exit_code_2(ccd, tmp_path):
    result = ccd("data", "fetch", "nuswide", tmp_path)
    assert result.code == 2 and "Flickr.zip" in result.err
