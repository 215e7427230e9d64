"""A prediction in parts: it goes on where it was killed, its shares meet, and its files are complete."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from ccd_core.predict import plan as plans
from ccd_core.predict.folder import merge, work
from ccd_core.predict.plan import Plan

pytestmark = pytest.mark.usefixtures("small_parts")


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(plans, "PART_IMAGES", 4)


@pytest.fixture
def photos(tiny_scenes, tmp_path) -> Path:
    """Eleven scenes, one file that is no picture, and one that is not read."""
    folder = tmp_path / "photos"
    (folder / "below").mkdir(parents=True)
    for number, path in enumerate(sorted((tiny_scenes / "JPEGImages").glob("*.jpg"))[:11]):
        shutil.copy(path, folder / ("below" if number % 2 else "") / f"{number:02d}.jpg")
    (folder / "broken.jpg").write_text("no picture")
    (folder / "raw.nef").write_text("of a camera")
    return folder


@pytest.fixture
def predict(ccd, tiny_run, photos, tmp_path):
    """`predict("out.csv", ...)`: the command on the photos, into that file of the test's folder."""

    def command(name: str, *options):
        kind = f"--{Path(name).suffix[1:]}"
        return ccd("predict", tiny_run.path, photos, kind, tmp_path / name, "--device", "cpu", *options)

    return command


def test_a_killed_prediction_goes_on_and_ends_with_the_same_files(predict, tmp_path, monkeypatch):
    assert predict("whole.csv").code == 0
    write = Plan.write_part
    written = []

    def write_two(self, part, rows):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(part)
        write(self, part, rows)

    monkeypatch.setattr(Plan, "write_part", write_two)
    killed = predict("out.csv")
    assert killed.code == 1 and "same command goes on" in killed.err
    assert not (tmp_path / "out.csv").exists() and len(list((tmp_path / "out.csv.parts").glob("part-*"))) == 2
    monkeypatch.setattr(
        Plan, "write_part", lambda self, part, rows: (written.append(part), write(self, part, rows))
    )
    again = predict("out.csv")
    assert again.code == 0 and "8 of 12 images are done" in again.err
    assert sorted(written) == [0, 1, 2]  # no part twice
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert [path.name for path in tmp_path.iterdir() if "parts" in path.name] == []


def test_files_that_cannot_be_used_are_counted_and_listed_with_the_reason(predict, tmp_path):
    result = predict("out.csv")
    assert (
        result.code == 0 and "11 images labelled" in result.err and "2 images could not be used" in result.err
    )
    rows = list(csv.DictReader((tmp_path / "out.errors.csv").open()))
    reasons = {Path(row["image"]).name: row["reason"] for row in rows}
    assert "is not an image" in reasons["broken.jpg"] and "camera RAW" in reasons["raw.nef"]


def test_all_three_formats_hold_the_same(ccd, tiny_run, photos, tmp_path):
    files = {kind: tmp_path / f"out.{kind}" for kind in ("csv", "jsonl", "parquet")}
    options = [word for kind, path in files.items() for word in (f"--{kind}", path)]
    assert ccd("predict", tiny_run.path, photos, *options, "--boxes", "--threshold", 0.2).code == 0
    table = list(csv.DictReader(files["csv"].open()))
    lines = [json.loads(line) for line in files["jsonl"].read_text().splitlines()]
    frame = pd.read_parquet(files["parquet"])
    assert len(table) == len(lines) == len(frame) == 11
    for row, line, (_, columns) in zip(table, lines, frame.iterrows(), strict=True):
        assert row["image"] == line["image"] == columns["image"]
        labels = [label for label in row["labels"].split(";") if label]
        assert labels == line["labels"] == list(columns["labels"]) == list(line["boxes"])
        assert len(columns["boxes"]) == len(labels) == len([box for box in row["boxes"].split(";") if box])
        for name in tiny_run.classes:
            assert (
                float(row[name])
                == pytest.approx(line["scores"][name])
                == pytest.approx(columns[name], abs=1e-5)
            )
        for box in line["boxes"].values():
            assert 0 <= box[0] < box[2] <= 1 and 0 <= box[1] < box[3] <= 1
    assert any(line["labels"] for line in lines)


def test_boxes_are_those_that_attend_gives(tiny_run, photos):
    from ccd_core.evaluation.thresholds import Thresholds
    from ccd_core.predict.predictor import Predictor

    predictor = Predictor(tiny_run, "cpu")
    image = photos / "00.jpg"
    limits = Thresholds.same(tiny_run.classes, 0.0)
    ((one,),) = predictor.stream([image], boxes_at=limits)
    seen = predictor.attend(image, range(len(tiny_run.classes)), clip=False)
    assert [one.boxes[name] for name in tiny_run.classes] == seen["boxes"]


def test_shares_meet_and_the_last_one_writes_the_files(predict, tmp_path):
    assert predict("whole.csv").code == 0
    first = predict("out.csv", "--shard", "1/2")
    assert first.code == 0 and "8 of 12 images are" in first.err and not (tmp_path / "out.csv").exists()
    assert predict("out.csv", "--shard", "2/2").code == 0
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    late = predict("out.csv", "--shard", "1/2")  # a task of a cluster that is started once more
    assert late.code == 0 and "all shares are done" in late.err


@pytest.mark.slow
def test_two_devices_share_the_images(predict, tmp_path):
    assert predict("whole.csv").code == 0
    assert predict("out.csv", "--device", "cpu:0,1").code == 0
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_the_parts_of_another_prediction_are_not_gone_on_with(predict, ccd, tiny_run, photos, tmp_path):
    assert predict("out.csv", "--shard", "1/2").code == 0
    other = predict("out.csv", "--boxes")
    assert other.code == 2 and "other boxes" in other.err and "--restart" in other.err
    assert predict("out.csv", "--boxes", "--restart").code == 0
    for shard in ("0/2", "3/2", "two"):
        assert "such as 2/8" in predict("out.csv", "--shard", shard).err
    alone = ccd("predict", tiny_run.path, photos, "--shard", "1/2")
    assert alone.code == 2 and "--csv" in alone.err


def test_an_array_is_submitted_with_a_command_for_each_share(predict, tiny_run, tmp_path, monkeypatch):
    """The commands that the cluster was given are run here, one after the other."""
    from ccd_core.jobs import slurm

    submitted = []

    def take(folder, name, commands, options):
        submitted.append((commands, options))
        return "17"

    monkeypatch.setattr(slurm, "submit_array", take)
    monkeypatch.setattr(slurm, "is_at_work", lambda job: job == "17")
    result = predict("out.csv", "--slurm", 2, "--gpus", 0, "--partition", "low")
    assert result.code == 0 and "job 17: 2 tasks for 12 images" in result.err
    (commands, options) = submitted[0]
    assert options.partition == "low" and [command[-2] for command in commands] == ["1/2", "2/2"]
    refused = predict("out.csv", "--slurm", 2, "--gpus", 0)
    assert refused.code == 2 and "job 17 works on these images already" in refused.err
    for number in range(2):
        plan = Plan.open(tmp_path / "out.csv.parts")
        work(plan, "cpu", number, 2)
        merged = merge(plan)
        assert (merged is None) == (number == 0)
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 12
