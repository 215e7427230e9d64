"""Every page on runs that have not come far, have little, or have lost their images: no traceback."""

from __future__ import annotations

import json
import shutil

import pytest

from app.reading.runs import open_run
from ccd_core.execution import run_ccd
from ccd_core.jobs import control
from ccd_core.runs.run import Run
from tests.app.pages.test_pages import PAGES
from tests.support import tiny_config, wait_for

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
    (run.path / "config.yaml").write_text(
        run.file("config.yaml").read_text().replace(run.config.data.spec, f"folder:{photos}")
    )
    without(run, "scores/ap.json", "scores/val.npz")


def images_gone(run: Run, photos) -> None:
    run.file("config.yaml").write_text(
        run.file("config.yaml").read_text().replace(run.config.data.spec, "folder:/mnt/unplugged")
    )


def empty_labels(run: Run, photos) -> None:
    """A labels.csv to fill in, and the ap.json that older versions wrote for it."""
    no_truth(run, photos)
    (photos / "labels.csv").write_text(
        "file,labels\n" + "".join(f"{path.name},\n" for path in photos.glob("*.jpg"))
    )
    nothing = {"mAP": None, "micro_AP": None, "F1": None, "AP": dict.fromkeys(run.classes)}
    report = {
        "epoch": 3,
        "train": nothing,
        "labels": dict.fromkeys(("global", "initial", "local", "final"), nothing),
    }
    run.file("scores", "ap.json").write_text(json.dumps(report))


STATES = [created, warming_up, failed, no_truth, empty_labels, images_gone]


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_no_page_breaks_on_any_run(app, copied_run, tiny_scenes, tmp_path, monkeypatch, state):
    run = copied_run("runs/odd")
    photos = tmp_path / "photos"
    photos.mkdir()
    for path in (tiny_scenes / "JPEGImages").glob("train*.jpg"):
        (photos / path.name).symlink_to(path)
    state(run, photos)
    monkeypatch.setenv("CCD_RUNS", str(tmp_path / "runs"))
    open_run(tmp_path / "runs" / "odd")
    for page in PAGES:
        test = app(page, run="odd")
        assert not test.exception, (page, test.exception)
        assert test.title[0].value, page
        if state in (created, warming_up, failed) and page in ("labels", "results", "predict", "cam_boxes"):
            assert any("no " in text.value and "yet" in text.value for text in test.header), page
        for error in test.error:
            assert "Traceback" not in error.value
    if state is failed:
        assert any(
            "no memory left" in error.value and "resumed" in error.value
            for error in app("overview", run="odd").error
        )


def test_no_page_breaks_on_a_run_with_two_classes(app, tiny_scenes, tmp_path, monkeypatch):
    photos = tmp_path / "photos"
    photos.mkdir()
    names = [path.name for path in sorted((tiny_scenes / "JPEGImages").glob("train*.jpg"))[:10]]
    for name in names:
        (photos / name).symlink_to(tiny_scenes / "JPEGImages" / name)
    (photos / "classes.txt").write_text("tree\ncar\n")
    (photos / "labels.csv").write_text(
        "file,tree,car\n" + "".join(f"{name},{k % 2},{k % 3 == 0:d}\n" for k, name in enumerate(names))
    )
    run = run_ccd(
        tiny_config(
            tiny_scenes,
            data={"spec": f"folder:{photos}"},
            views={"threshold": {"mean_views": 1.0}},
            training={"epochs": 2, "warmup_epochs": 1},
        ),
        tmp_path / "runs" / "two",
    )
    assert len(run.classes) == 2
    monkeypatch.setenv("CCD_RUNS", str(run.path.parent))
    parts = [("results", {"part": part}) for part in ("Curves", "Thresholds", "Confusion", "Most wrong")]
    for page, query in [*((page, {}) for page in PAGES), ("labels", {"show": "The whole data set"}), *parts]:
        test = app(page, run="two", **query)
        assert not test.exception and not test.error, (page, query, test.exception, test.error)


def test_no_page_breaks_on_a_run_that_is_warming_up_at_this_moment(app, tiny_scenes, tmp_path, monkeypatch):
    run = control.start(
        tiny_config(tiny_scenes, training={"epochs": 400, "warmup_epochs": 399}), tmp_path / "runs" / "now"
    )
    monkeypatch.setenv("CCD_RUNS", str(run.path.parent))
    try:
        wait_for(lambda: len(run.load_metrics()), 90)
        for page in PAGES:
            test = app(page, run="now")
            assert not test.exception, (page, test.exception)
            if page == "overview":
                assert any("warm-up" in text.value and "blue-badge" in text.value for text in test.markdown)
                # Nobody knows yet.
                assert not any("Without ground truth" in text.value for text in test.markdown)
        assert run.status == "running" and run.state["stage"] == "warm-up"
    finally:
        control.stop(run.path)
