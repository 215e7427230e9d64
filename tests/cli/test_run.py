"""`ccd run`: what it says at its end."""

from __future__ import annotations

import json

import pytest

from ccd_core.cli.verbs.predict import evaluate
from ccd_core.cli.verbs.run import summary
from ccd_core.cli.verbs.runs import print_runs
from ccd_core.errors import UserError
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


def test_a_new_run_may_wait_in_the_queue(tiny_run, tmp_path):
    quick = ["training.epochs=1", "training.warmup_epochs=1", "labels.update=false"]
    changes = [word for change in quick for word in ("--set", change)]
    settings = ["--config", tiny_run.path / "config.yaml", *changes]
    result = ccd_process("run", "--queue", *settings, "--out", tmp_path / "queued")
    assert result.returncode == 0 and "Finished" in result.stdout, result.stderr
