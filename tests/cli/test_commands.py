"""The command line as people type it."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys

import pytest


def ccd(*arguments: object, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ccd_core.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=240,
        **options,
    )


@pytest.mark.parametrize(
    "command", [[], ["run"], ["eval"], ["predict"], ["runs"], ["doctor"], ["app"], ["gradio"]]
)
def test_help(command):
    result = ccd(*command, "--help")
    assert result.returncode == 0 and "Usage" in result.stdout


def test_eval(tiny_run):
    result = ccd("eval", tiny_run.path, "--json")
    assert result.returncode == 0
    report = json.loads(result.stdout)
    assert set(report["AP"]) == set(tiny_run.classes) and 0 < report["mAP"] <= 100 and report["epoch"] == 3


@pytest.mark.parametrize("arguments", [(), ("list",)])
def test_runs_lists_the_workspace(tiny_run, arguments):
    result = ccd("runs", "--workspace", tiny_run.path.parent, *arguments)
    assert result.returncode == 0 and "tiny" in result.stdout and "finished" in result.stdout


def test_predict_goes_on_after_a_bad_file(tiny_run, tiny_scenes, tmp_path):
    (tmp_path / "bad.jpg").write_text("no picture")
    good = sorted((tiny_scenes / "JPEGImages").glob("val*.jpg"))[:2]
    result = ccd(
        "predict",
        tiny_run.path,
        *good,
        tmp_path / "bad.jpg",
        "--csv",
        tmp_path / "out.csv",
        "--threshold",
        "0.1",
    )
    assert result.returncode == 0 and "bad.jpg" in result.stderr and "Traceback" not in result.stderr
    rows = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert len(rows) == 2 and set(tiny_run.classes) < set(rows[0])
    answers = json.loads(ccd("predict", tiny_run.path, good[0], "--json").stdout)
    for name, score in answers[0]["scores"].items():
        assert score == pytest.approx(float(rows[0][name]), abs=1e-4)


@pytest.mark.slow
def test_predict_takes_folders_and_the_thresholds_saved_with_the_run(tiny_run, tiny_scenes, tmp_path):
    shutil.copytree(tiny_run.path, tmp_path / "run")
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    shutil.copy(
        sorted((tiny_scenes / "JPEGImages").glob("val*.jpg"))[0], tmp_path / "photos" / "deep" / "one.jpg"
    )
    first, *others = tiny_run.classes
    (tmp_path / "run" / "thresholds.json").write_text(json.dumps({first: 0.0} | dict.fromkeys(others, 1.0)))
    (tmp_path / "all.json").write_text(json.dumps(dict.fromkeys(tiny_run.classes, 0.0)))
    result = ccd("predict", tmp_path / "run", tmp_path / "photos", "--json")
    assert [row["labels"] for row in json.loads(result.stdout)] == [[first]] and result.returncode == 0
    every = json.loads(
        ccd(
            "predict", tmp_path / "run", tmp_path / "photos", "--json", "--thresholds", tmp_path / "all.json"
        ).stdout
    )
    assert set(every[0]["labels"]) == set(tiny_run.classes)
    both = ccd(
        "predict",
        tmp_path / "run",
        tmp_path / "photos",
        "--thresholds",
        tmp_path / "all.json",
        "--threshold",
        "0.1",
    )
    assert both.returncode == 2 and "twice" in both.stderr


def test_a_report_without_map_counts_as_not_scored(tiny_run, tmp_path, capsys):
    from ccd_core.cli.commands import _summary, evaluate, print_runs
    from ccd_core.errors import UserError
    from ccd_core.runs.run import Run

    shutil.copytree(tiny_run.path, tmp_path / "run")
    run = Run.open(tmp_path / "run")
    report = run.load_json("scores", "ap.json")
    report["labels"]["final"]["mAP"] = None
    run.file("scores", "ap.json").write_text(json.dumps(report))
    _summary(run, 1.0)
    assert f"validation mAP {report['val']['mAP']:.1f} (percent" in capsys.readouterr().out
    report["val"]["mAP"] = None
    run.file("scores", "ap.json").write_text(json.dumps(report))
    _summary(run, 1.0)
    print_runs(tmp_path)
    assert "mAP 5" not in (said := capsys.readouterr().out) and "Finished" in said and "finished" in said
    with pytest.raises(UserError, match="no scores against ground truth for split val"):
        evaluate(run.path)


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
        (
            ["app", "--address", "0.0.0.0"],
            "On 0.0.0.0 everyone who reaches this machine could start and delete runs",
        ),
        (["app", "--token", "short"], "A token needs at least 16 characters"),
        (["app", "--data", "/nowhere"], "There is no folder /nowhere for --data"),
    ],
)
def test_mistakes_get_one_sentence_and_exit_code_2(arguments, sentence, tmp_path, tiny_scenes):
    result = ccd(*arguments, cwd=tmp_path, env=_environment(tiny_scenes))
    assert (
        result.returncode == 2
        and sentence in " ".join(result.stderr.split())
        and "Traceback" not in result.stderr
    )
    assert not any(tmp_path.iterdir())  # no run is left behind that cannot run


def test_a_new_run_may_wait_in_the_queue(tiny_run, tmp_path):
    quick = [
        "--set",
        "training.epochs=1",
        "--set",
        "training.warmup_epochs=1",
        "--set",
        "labels.update=false",
    ]
    result = ccd(
        "run", "--queue", "--config", tiny_run.path / "config.yaml", *quick, "--out", tmp_path / "queued"
    )
    assert result.returncode == 0 and "Finished" in result.stdout, result.stderr


def _environment(home):
    import os

    return (
        os.environ
        | {"CCD_RUNS": "runs", "CCD_HOME": str(home.parent / "home"), "PYTHONPATH": os.getcwd()}
        | ({} if (home.parent / "home").exists() else _link(home))
    )


def _link(scenes):
    """The demo's folder, so that no command of these tests draws 2,000 pictures."""
    home = scenes.parent / "home"
    home.mkdir()
    (home / "toy-scenes-v2").symlink_to(scenes)
    return {}


def test_runs_list_show_delete(tiny_run, tmp_path):
    import shutil

    shutil.copytree(tiny_run.path, tmp_path / "copy")
    listed = json.loads(ccd("runs", "list", "--workspace", tmp_path, "--json").stdout)
    assert [row["run"] for row in listed] == ["copy"] and listed[0]["status"] == "finished"
    assert json.loads(ccd("runs", "show", tmp_path / "copy").stdout)["config"]["preset_name"] == "demo"
    assert (
        ccd("runs", "delete", tmp_path / "copy", "--yes").returncode == 0 and not (tmp_path / "copy").exists()
    )


def test_settings_are_printed_with_what_they_mean_and_taken_again(tmp_path):
    printed = ccd("settings", "--preset", "reference", "--set", "labels.alpha=0.7").stdout
    assert "# Weight of the initial label in the final label (Eq. 7).\n  alpha: 0.7\n" in printed
    (tmp_path / "mine.yaml").write_text(printed)
    assert ccd("settings", "--config", tmp_path / "mine.yaml").stdout == printed
