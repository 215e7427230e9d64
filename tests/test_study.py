"""The proof-of-concept study: what each policy cuts, and that boxes reach the measurement and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from ccd_core.cli.commands import app
from ccd_core.config import load_config
from ccd_core.errors import UserError
from ccd_core.study import POLICIES, around_boxes, grid_boxes, in_frame, study


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


def test_what_the_policies_cut():
    cells = grid_boxes(640)
    assert len(cells) == 9 and sum((x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in cells) == 640 * 640
    boxes = in_frame([(0, (0, 0, 100, 50)), (1, (199, 99, 200, 100))], (200, 100), 640)
    assert boxes.tolist() == [[0, 0, 320, 320], [637, 634, 640, 640]]
    around = around_boxes(boxes, 80, 640, np.random.default_rng(0))
    first = around[::2]
    assert (first[:, :2] == 0).all() and (first[:, 2:] >= 320).all() and (first[:, 2:] <= 480).all()


@pytest.mark.parametrize("policy", ["boxes", "around_boxes"])
def test_no_run_can_use_the_truth(policy):
    with pytest.raises(UserError, match="setting views.policy"):
        load_config("demo", None, [f"views.policy={policy}"])


def test_what_a_policy_lacks_is_said(tiny_run, tmp_path):
    with pytest.raises(UserError, match="takes the views of a run"):
        study(tiny_run.config, ["cam"])
    (tmp_path / "classes.txt").write_text("house\n")
    picture = next(Path(tiny_run.config.data.spec.partition(":")[2], "JPEGImages").glob("*.jpg"))
    (tmp_path / "a.jpg").write_bytes(picture.read_bytes())
    with pytest.raises(UserError, match="no ground truth"):
        study(tiny_run.config.changed(data={"spec": f"folder:{tmp_path}"}), ["grid"])
