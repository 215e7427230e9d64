"""`ccd study`: its table and its JSON."""

from __future__ import annotations

import json

import pytest
from rich.console import Console
from typer.testing import CliRunner

from ccd_core.cli.commands import app
from ccd_core.study import POLICIES


def test_the_table_of_a_run(tiny_run):
    answer = CliRunner().invoke(app, ["study", str(tiny_run.path), "--device", "cpu", "--json"])
    assert answer.exit_code == 0, answer.output
    results = json.loads(answer.stdout)
    assert list(results) == ["initial", *POLICIES]
    assert results["cam"]["final"]["mAP"] == pytest.approx(
        tiny_run.load_ap()["labels"]["final"]["mAP"], abs=1e-3
    )
    assert results["grid"]["views"] == 9 and results["moved"]["views"] == pytest.approx(
        results["cam"]["views"]
    )
    assert results["boxes"]["local"]["mAP"] > results["random"]["local"]["mAP"]  # CLIP is told where to look


def test_a_narrow_terminal_shows_every_word(tiny_run, monkeypatch):
    monkeypatch.setattr("ccd_core.cli.study.console", Console(width=60))
    answer = CliRunner().invoke(
        app,
        [
            "study",
            str(tiny_run.path),
            "--device",
            "cpu",
            "--images",
            "4",
            "--policy",
            "moved",
            "--policy",
            "grid",
        ],
    )
    assert answer.exit_code == 0, answer.output
    table = [line for line in answer.stdout.splitlines() if "\u2502" in line or "\u2503" in line]
    words = " ".join(table).replace("\u2502", " ").replace("\u2503", " ").split()
    assert {
        *POLICIES["moved"].split(),
        *POLICIES["grid"].split(),
        "(initial",
        "labels)",
        "micro-AP",
        "9.0",
    } <= set(words)
    assert max(map(len, table)) <= 60
