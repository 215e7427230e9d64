"""A run's folder: what is created, opened, claimed and cleaned up."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

from ccd_core.errors import UserError
from ccd_core.runs.run import Run, list_runs


def test_what_a_killed_process_was_writing_goes_with_the_next_one(tiny_run, tmp_path):
    run = Run.create(tmp_path / "run", tiny_run.config, tiny_run.classes)
    half = run.file("checkpoints", ".last.safetensors.77.partial")
    request = run.file(".stop.json.78.partial")
    half.parent.mkdir()
    half.write_bytes(b"half")
    request.write_text("{}")
    with run.claimed():
        assert not half.exists() and request.exists()


def test_what_is_no_run_is_one_sentence(tmp_path, copied_run):
    with pytest.raises(UserError, match=r"is not a run: it has no config\.yaml"):
        Run.open(tmp_path / "nowhere")
    for content in ("[1, 2", "just words", "seed: 3\n"):
        run = copied_run(f"run{len(content)}")
        run.file("config.yaml").write_text(content)
        with pytest.raises(UserError, match=r"config\.yaml is damaged"):
            Run.open(run.path)


def test_a_folder_with_something_else_in_it_becomes_no_run(tiny_run, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"")
    with pytest.raises(UserError, match="exists and is not a run"):
        Run.create(tmp_path / "photos", tiny_run.config, tiny_run.classes)


def test_a_run_is_created_once_and_may_go_on_on_another_device(tiny_run, tmp_path):
    run = Run.create(tmp_path / "run", tiny_run.config, tiny_run.classes)
    assert run.status == "created" and Run.open(run.path).classes == tiny_run.classes
    again = Run.create(run.path, tiny_run.config.changed(device="cpu:1"), tiny_run.classes)
    assert again.config.device == "cpu"
    with pytest.raises(UserError, match=r"other settings \(labels\.alpha\)"):
        Run.create(run.path, tiny_run.config.changed(labels={"alpha": 0.3}), tiny_run.classes)


def test_runs_are_listed_newest_first_and_other_folders_left_out(tiny_run, tmp_path):
    for age, name in ((30, "old"), (10, "new")):
        run = Run.create(tmp_path / name, tiny_run.config, tiny_run.classes)
        then = time.time() - age
        for path in (run.path, run.file("config.yaml")):
            os.utime(path, (then, then))
    (tmp_path / "photos").mkdir()
    assert [run.name for run in list_runs(tmp_path)] == ["new", "old"] and list_runs(
        tmp_path / "nowhere"
    ) == []


def test_what_is_not_made_yet_is_one_sentence(tiny_run, tmp_path):
    run = Run.create(tmp_path / "run", tiny_run.config, tiny_run.classes)
    for load in (run.load_global, run.load_labels, run.load_views, run.load_bias):
        with pytest.raises(UserError, match="Run run has no .* yet"):
            load()
    assert run.load_ap() == {} and run.state == {} and not len(run.load_metrics())


def test_views_of_one_image_are_those_of_the_whole_table(tiny_run):
    views = tiny_run.load_views()
    image = str(views["image"].iloc[-1])
    mine, p = tiny_run.views_of(image)
    rows = views["image"] == image
    np.testing.assert_array_equal(p, tiny_run.load_view_probabilities()[rows])
    assert mine["class"].tolist() == views["class"][rows].tolist()


@pytest.mark.parametrize(
    "written",
    [
        {"status": "running", "pid": 1, "host": "elsewhere"},
        {"status": "queued", "place": "slurm", "slurm": {"job": "7"}},
    ],
)
def test_reading_the_status_writes_nothing(tiny_run, tmp_path, monkeypatch, written):
    monkeypatch.setenv("PATH", str(tmp_path))  # no squeue, and nothing else to start
    run = Run.create(tmp_path / "run", tiny_run.config, tiny_run.classes)
    run.update_state(**written)
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in run.path.rglob("*")}
    assert run.status in ("running", "queued", "failed")
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in run.path.rglob("*")} == before
