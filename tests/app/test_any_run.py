"""Every page on runs that have not come far, have little, or have lost their images: no traceback, and a sentence that says what to do."""

from __future__ import annotations

import json
import shutil

import pytest

from app import loaders
from ccd_core.runs import Run
from tests.app.test_pages import PAGES

SCORED = ("scores/ap.json", "scores/val.npz", "scores/train.npz", "thresholds.json")
TRAINED = ("labels.npz", "views.parquet", "view_threshold.json", "checkpoints", "metrics.csv", *SCORED)


def without(run: Run, *parts: str) -> None:
    for part in parts:
        path = run.file(*part.split("/"))
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def in_state(run: Run, **state) -> None:
    path = run.file("state.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | state))


def created(run: Run, photos) -> None:
    without(run, "global.npz", "bias.json", "state.json", *TRAINED)


def warming_up(run: Run, photos) -> None:
    without(run, *TRAINED)
    in_state(run, status="stopped", stage="warm-up", done=3, total=10)


def failed(run: Run, photos) -> None:
    without(run, *TRAINED)
    in_state(run, status="failed", stage="views", error="the graphics card has no memory left")


def no_truth(run: Run, photos) -> None:
    (photos / "classes.txt").write_text("\n".join(run.classes))
    (run.path / "config.yaml").write_text(run.file("config.yaml").read_text().replace(run.config.data.spec, f"folder:{photos}"))
    without(run, "scores/ap.json", "scores/val.npz")


def images_gone(run: Run, photos) -> None:
    run.file("config.yaml").write_text(run.file("config.yaml").read_text().replace(run.config.data.spec, "folder:/mnt/unplugged"))


STATES = [created, warming_up, failed, no_truth, images_gone]


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_no_page_breaks_on_any_run(app, tiny_run, tiny_scenes, tmp_path, monkeypatch, state):
    shutil.copytree(tiny_run.path, tmp_path / "runs" / "odd")
    photos = tmp_path / "photos"
    photos.mkdir()
    for path in (tiny_scenes / "JPEGImages").glob("train*.jpg"):
        (photos / path.name).symlink_to(path)
    state(Run.open(tmp_path / "runs" / "odd"), photos)
    monkeypatch.setenv("CCD_RUNS", str(tmp_path / "runs"))
    loaders.open_run(tmp_path / "runs" / "odd")
    for page in PAGES:
        test = app(page, run="odd")
        assert not test.exception, (page, test.exception)
        assert test.title[0].value, page
        if state in (created, warming_up, failed) and page in ("labels", "results", "predict", "cam_boxes"):
            assert any("no " in text.value and "yet" in text.value for text in test.markdown), page
        for error in test.error:
            assert "Traceback" not in error.value
    if state is failed:
        assert any("no memory left" in error.value and "resumed" in error.value for error in app("overview", run="odd").error)
