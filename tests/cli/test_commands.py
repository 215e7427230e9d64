"""The command line as people type it: `ccd run`, `eval`, `predict`, `runs`, `settings` and `doctor`."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys

import pytest

from ccd_core.cli.predict import evaluate
from ccd_core.cli.run import summary
from ccd_core.cli.runs import print_runs
from ccd_core.errors import UserError


def process(*arguments: object, **options) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, as from a shell."""
    command = [sys.executable, "-m", "ccd_core.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, **options)


@pytest.mark.parametrize(
    "command", [[], ["run"], ["eval"], ["predict"], ["runs"], ["doctor"], ["app"], ["gradio"]]
)
def test_help(ccd, command):
    result = ccd(*command, "--help")
    assert result.code == 0 and "Usage" in result.out


def test_eval_prints_the_scores_of_a_run(ccd, tiny_run):
    result = ccd("eval", tiny_run.path, "--json")
    report = json.loads(result.out)
    assert result.code == 0
    assert set(report["AP"]) == set(tiny_run.classes) and 0 < report["mAP"] <= 100 and report["epoch"] == 3


@pytest.mark.parametrize("arguments", [(), ("list",)])
def test_runs_lists_the_workspace(ccd, tiny_run, arguments):
    result = ccd("runs", "--workspace", tiny_run.path.parent, *arguments)
    assert result.code == 0 and "tiny" in result.out and "finished" in result.out


def test_predict_goes_on_after_a_bad_file(tiny_run, tiny_scenes, tmp_path):
    (tmp_path / "bad.jpg").write_text("no picture")
    good = sorted((tiny_scenes / "JPEGImages").glob("val*.jpg"))[:2]
    files = [*good, tmp_path / "bad.jpg"]
    result = process("predict", tiny_run.path, *files, "--csv", tmp_path / "out.csv", "--threshold", 0.1)
    assert result.returncode == 0 and "bad.jpg" in result.stderr and "Traceback" not in result.stderr
    rows = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert len(rows) == 2 and set(tiny_run.classes) < set(rows[0])


def test_predict_prints_json_for_other_programs(ccd, tiny_run, tiny_scenes):
    image = min((tiny_scenes / "JPEGImages").glob("val*.jpg"))
    (answer,) = json.loads(ccd("predict", tiny_run.path, image, "--json").out)
    stored = tiny_run.load_scores("val")
    scores = stored["scores"][stored["ids"].tolist().index(image.stem)]
    assert answer["scores"] == pytest.approx(dict(zip(tiny_run.classes, scores.tolist())), abs=1e-4)


def test_predict_takes_folders_and_the_thresholds_saved_with_the_run(ccd, copied_run, tiny_scenes, tmp_path):
    run = copied_run()
    photos = tmp_path / "photos"
    (photos / "deep").mkdir(parents=True)
    shutil.copy(min((tiny_scenes / "JPEGImages").glob("val*.jpg")), photos / "deep" / "one.jpg")
    first, *others = run.classes
    run.file("thresholds.json").write_text(json.dumps({first: 0.0} | dict.fromkeys(others, 1.0)))
    result = ccd("predict", run.path, photos, "--json")
    assert [row["labels"] for row in json.loads(result.out)] == [[first]]
    (tmp_path / "all.json").write_text(json.dumps(dict.fromkeys(run.classes, 0.0)))
    other = ["--thresholds", tmp_path / "all.json"]
    (every,) = json.loads(ccd("predict", run.path, photos, "--json", *other).out)
    assert set(every["labels"]) == set(run.classes)
    both = ccd("predict", run.path, photos, *other, "--threshold", 0.1)
    assert both.code == 2 and "twice" in both.err


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


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """An empty folder to be in."""
    monkeypatch.setenv("CCD_RUNS", "runs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["eval", "/nowhere"], "/nowhere is not a run"),
        (["predict", "/nowhere", "a.jpg"], "/nowhere is not a run"),
        (["gradio", "/nowhere"], "/nowhere is not a run"),
        (["run", "--preset", "papre"], "no preset 'papre'"),
        (["run", "--dataset", "folder:/nowhere"], "no folder /nowhere"),
        (["run", "--dataset", "vco2012:/data"], "no data set 'vco2012:/data'"),
        (["run", "--dataset", "voc2012:/nowhere"], "VOCtrainval_11-May-2012.tar"),
        (["run", "--set", "labels.alpha=7"], "labels.alpha"),
        (["run", "--resume"], "--resume needs --out"),
        (["run", "--set", "device=tpu"], "no device 'tpu'"),
        (["run", "--set", "device=tpu", "--queue"], "no device 'tpu'"),
        (["app", "--address", "0.0.0.0"], "everyone who reaches this machine could start and delete runs"),
        (["app", "--token", "short"], "A token needs at least 16 characters"),
        (["app", "--data", "/nowhere"], "There is no folder /nowhere for --data"),
    ],
)
def test_a_mistake_gets_one_sentence_and_exit_code_2(ccd, elsewhere, arguments, sentence):
    result = ccd(*arguments)
    assert result.code == 2 and sentence in " ".join(result.err.split())
    assert not any(elsewhere.iterdir())  # no run is left behind that cannot run


def test_a_mistake_shows_no_traceback_in_a_shell(elsewhere):
    result = process("run", "--set", "labels.alpha=7")
    assert result.returncode == 2 and result.stderr.startswith("Error: setting labels.alpha")
    assert "Traceback" not in result.stderr and not any(elsewhere.iterdir())


def test_a_new_run_may_wait_in_the_queue(tiny_run, tmp_path):
    quick = ["training.epochs=1", "training.warmup_epochs=1", "labels.update=false"]
    changes = [word for change in quick for word in ("--set", change)]
    settings = ["--config", tiny_run.path / "config.yaml", *changes]
    result = process("run", "--queue", *settings, "--out", tmp_path / "queued")
    assert result.returncode == 0 and "Finished" in result.stdout, result.stderr


def test_runs_are_shown_and_deleted(ccd, copied_run, tmp_path):
    copy = copied_run("copy")
    (listed,) = json.loads(ccd("runs", "list", "--workspace", tmp_path, "--json").out)
    assert listed["run"] == "copy" and listed["status"] == "finished"
    assert json.loads(ccd("runs", "show", copy.path).out)["config"]["preset_name"] == "demo"
    assert ccd("runs", "delete", copy.path, "--yes").code == 0 and not copy.path.exists()


def test_settings_are_printed_with_what_they_mean_and_taken_again(ccd, tmp_path):
    printed = ccd("settings", "--preset", "reference", "--set", "labels.alpha=0.7").out
    assert "# Weight of the initial label in the final label (Eq. 7).\n  alpha: 0.7\n" in printed
    (tmp_path / "mine.yaml").write_text(printed)
    assert ccd("settings", "--config", tmp_path / "mine.yaml").out == printed


def test_doctor_prints_its_findings_as_json(ccd):
    findings = json.loads(ccd("doctor", "--json").out)
    assert {finding["what"] for finding in findings} >= {"python", "torch", "GPU", "disk", "weights"}
