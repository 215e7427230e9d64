"""`ccd run`: what it says at its end."""

from __future__ import annotations

import json

import pytest
import yaml

from app.parts.overview import run_numbers
from ccd_core.cli.verbs.predict import evaluate
from ccd_core.cli.verbs.run import summary
from ccd_core.cli.verbs.runs import print_runs
from ccd_core.errors import UserError
from ccd_core.report.one_run import tiles
from ccd_core.runs.run import Run
from tests.support import ccd_process


def test_a_report_without_map_counts_as_not_scored(copied_run, tmp_path, capsys):
    run = copied_run()
    report = run.load_json("scores", "ap.json")
    report["labels"]["final"]["mAP"] = None
    run.file("scores", "ap.json").write_text(json.dumps(report))
    summary(run, 1.0)
    assert f"validation mAP {report['val']['mAP']:.1f} (percent" in capsys.readouterr().out
    report["val"]["mAP"] = None
    run.file("scores", "ap.json").write_text(json.dumps(report))
    summary(run, 1.0)
    print_runs(tmp_path)
    said = capsys.readouterr().out
    assert "Finished" in said and "finished" in said and "mAP 5" not in said
    with pytest.raises(UserError, match="no scores against ground truth for split val"):
        evaluate(run.path)


def test_a_run_that_blends_says_what_its_classifier_has_alone(copied_run, capsys):
    run = copied_run()
    settings = yaml.safe_load(run.file("config.yaml").read_text())
    run.file("config.yaml").write_text(yaml.safe_dump(settings | {"predict": {"blend": 0.3, "grid": 3}}))
    report = run.load_json("scores", "ap.json")
    report["classifier"] = {"val": report["val"] | {"mAP": 12.3}}
    run.file("scores", "ap.json").write_text(json.dumps(report))
    run = Run.open(run.path)
    summary(run, 1.0)
    evaluate(run.path)
    said = " ".join(capsys.readouterr().out.split())
    mixed = "70% the classifier's and 30% CLIP's, asked of 3 x 3 cells of the image"
    assert f"scores are {mixed}; the classifier alone has mAP 12.3" in said
    assert "mAP of the classifier without CLIP" in said
    (found,) = [number for number in run_numbers(run) if number[0] == "Classifier alone"]
    assert found[1] == "12.3 %" and mixed in found[2]
    assert "12.3 %" in tiles(run)
    assert run.config.blends and not run.config.with_method("cdul").blends  # CLIP helps CCD alone


def test_a_new_run_may_wait_in_the_queue(tiny_run, tmp_path):
    quick = ["training.epochs=1", "training.warmup_epochs=1", "labels.update=false"]
    changes = [word for change in quick for word in ("--set", change)]
    settings = ["--config", tiny_run.path / "config.yaml", *changes]
    result = ccd_process("run", "--queue", *settings, "--out", tmp_path / "queued")
    assert result.returncode == 0 and "Finished" in result.stdout, result.stderr
