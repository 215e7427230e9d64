"""`ccd predict` and `ccd eval`: files and folders in, labels and scores out."""

from __future__ import annotations

import csv
import json
import shutil

import pytest
import yaml

from tests.support import ccd_process


def test_eval_prints_the_scores_of_a_run(ccd, tiny_run):
    result = ccd("eval", tiny_run.path, "--json")
    report = json.loads(result.out)
    assert result.code == 0
    assert set(report["AP"]) == set(tiny_run.classes) and 0 < report["mAP"] <= 100 and report["epoch"] == 3


def test_predict_goes_on_after_a_bad_file(tiny_run, tiny_scenes, tmp_path):
    (tmp_path / "bad.jpg").write_text("no picture")
    good = sorted((tiny_scenes / "JPEGImages").glob("val*.jpg"))[:2]
    files = [*good, tmp_path / "bad.jpg"]
    result = ccd_process("predict", tiny_run.path, *files, "--csv", tmp_path / "out.csv", "--threshold", 0.1)
    assert result.returncode == 0 and "bad.jpg" in result.stderr and "Traceback" not in result.stderr
    rows = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert len(rows) == 2 and set(tiny_run.classes) < set(rows[0])


def test_predict_prints_json_for_other_programs(ccd, tiny_run, tiny_scenes):
    image = min((tiny_scenes / "JPEGImages").glob("val*.jpg"))
    (answer,) = json.loads(ccd("predict", tiny_run.path, image, "--json").out)
    stored = tiny_run.load_scores("val")
    scores = stored["scores"][stored["ids"].tolist().index(image.stem)]
    assert answer["scores"] == pytest.approx(dict(zip(tiny_run.classes, scores.tolist())), abs=1e-4)


def test_the_classifier_can_predict_alone_where_a_run_blends(ccd, copied_run, tiny_scenes):
    run = copied_run()
    settings = yaml.safe_load(run.file("config.yaml").read_text())
    run.file("config.yaml").write_text(yaml.safe_dump(settings | {"predict": {"blend": 0.5, "grid": 3}}))
    image = min((tiny_scenes / "JPEGImages").glob("val*.jpg"))
    stored = run.load_scores("val")
    of_classifier = stored["scores"][stored["ids"].tolist().index(image.stem)].tolist()
    (alone,) = json.loads(ccd("predict", run.path, image, "--json", "--alone").out)
    assert list(alone["scores"].values()) == pytest.approx(of_classifier, abs=1e-4)
    (blended,) = json.loads(ccd("predict", run.path, image, "--json").out)
    assert list(blended["scores"].values()) != pytest.approx(of_classifier, abs=0.05)


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
