"""`ccd study`: its table and its JSON."""

from __future__ import annotations

import json

import pytest
from rich.console import Console

from ccd_core.study import POLICIES


def test_the_study_of_a_run_as_json(ccd, tiny_run):
    answer = ccd("study", tiny_run.path, "--device", "cpu", "--json")
    assert answer.code == 0, answer.err
    results = json.loads(answer.out)
    assert list(results) == ["initial", *POLICIES]
    final = tiny_run.load_ap()["labels"]["final"]["mAP"]
    assert results["cam"]["final"]["mAP"] == pytest.approx(final, abs=1e-3)
    assert results["grid"]["views"] == 9
    assert results["moved"]["views"] == pytest.approx(results["cam"]["views"])
    assert results["boxes"]["local"]["mAP"] > results["random"]["local"]["mAP"]  # CLIP is told where to look


def test_a_narrow_terminal_shows_every_word(ccd, tiny_run, monkeypatch):
    monkeypatch.setattr("ccd_core.cli.verbs.study.console", Console(width=60))
    policies = ["--policy", "moved", "--policy", "grid"]
    answer = ccd("study", tiny_run.path, "--device", "cpu", "--images", 4, *policies)
    assert answer.code == 0, answer.err
    table = [line for line in answer.out.splitlines() if "\u2502" in line or "\u2503" in line]
    words = " ".join(table).replace("\u2502", " ").replace("\u2503", " ").split()
    named = {*POLICIES["moved"].split(), *POLICIES["grid"].split()}
    assert named | {"(initial", "labels)", "micro-AP", "9.0"} <= set(words)
    assert max(map(len, table)) <= 60
