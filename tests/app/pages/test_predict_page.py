"""The page Predict without a browser: its downloads, its folders and its uploads."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest
import streamlit as st
from typer.testing import CliRunner

from app.parts.predict import thresholds as predict_thresholds
from app.parts.predict.images import MOST
from app.reading.asking.predictions import examples, images_in
from ccd_core.cli.commands import app as command
from ccd_core.errors import UserError
from ccd_core.evaluation import thresholds
from ccd_core.evaluation.thresholds import Thresholds


@pytest.fixture
def downloads(monkeypatch) -> dict[str, tuple]:
    """Title of a download -> (what it holds, its name), as the page offered it last."""
    offered = {}
    monkeypatch.setattr(
        st,
        "download_button",
        lambda title, content, name, *_, **__: offered.update({title: (content(), name)}),
    )
    return offered


@pytest.fixture
def photos(tiny_scenes, tmp_path) -> Path:
    folder = tmp_path / "photos"
    (folder / "below").mkdir(parents=True)
    for number, path in enumerate(sorted((tiny_scenes / "JPEGImages").glob("val*.jpg"))[:4]):
        shutil.copy(path, folder / ("below" if number % 2 else "") / f'odd, "{number}".jpg')
    (folder / "broken.jpg").write_text("no picture")
    return folder


@pytest.fixture
def limits(tiny_run) -> dict[str, float]:
    """A threshold a class that some images are above and some below."""
    return dict(zip(tiny_run.classes, map(float, tiny_run.load_scores("val")["scores"].mean(0)), strict=True))


@pytest.fixture
def page(app, copied_run, photos, downloads, limits, monkeypatch):
    """Predict on the photos, with the thresholds saved."""
    run = copied_run("runs/mine")
    monkeypatch.setenv("CCD_RUNS", str(run.path.parent))
    thresholds.save(run, Thresholds(limits, per_class=True))
    return app("predict", run="mine", **{"from": "Folder on this machine", "folder": str(photos)})


def test_all_downloads_hold_the_same_images_labels_scores_and_thresholds(
    page, tiny_run, photos, downloads, limits, tmp_path
):
    assert not page.exception
    names = tiny_run.classes
    table, records = list(csv.DictReader(io.StringIO(downloads["CSV"][0]))), json.loads(downloads["JSON"][0])
    assert [row["image"] for row in table] == [record["image"] for record in records["images"]]
    assert {row["image"] for row in table} == {
        path.relative_to(photos).as_posix() for path in photos.rglob("odd*.jpg")
    }
    for row, record in zip(table, records["images"], strict=True):
        assert [label for label in row["labels"].split(";") if label] == record["labels"]
        assert {name: float(row[name]) for name in names} == pytest.approx(record["scores"], abs=1e-9)
        assert set(record["labels"]) == {
            name for name in names if record["scores"][name] >= round(records["thresholds"][name], 5)
        }
    assert any(row["labels"] for row in table)
    assert records["run"] == "mine"
    assert json.loads(downloads["Thresholds"][0]) == records["thresholds"] == pytest.approx(limits)
    assert {name for _, name in downloads.values() if not name.endswith("report.html")} == {
        "mine-labels.csv",
        "mine-labels.json",
        "mine-thresholds.json",
    }

    # As the page says: for `ccd predict`, which writes the same.
    (tmp_path / "limits.json").write_text(downloads["Thresholds"][0])
    asked = [
        "predict",
        str(tiny_run.path),
        str(photos),
        "--thresholds",
        str(tmp_path / "limits.json"),
        "--csv",
        str(tmp_path / "a.csv"),
        "--device",
        "cpu",
    ]
    assert CliRunner().invoke(command, asked).exit_code == 0
    written = list(csv.DictReader((tmp_path / "a.csv").open()))
    assert [row["labels"] for row in written] == [row["labels"] for row in table]
    for row, other in zip(written, table, strict=True):
        assert row.pop("image") == str(photos / other.pop("image"))
        assert {name: float(row[name]) for name in names} == pytest.approx(
            {name: float(other[name]) for name in names}, abs=2e-5
        )


def test_what_is_filtered_is_what_is_downloaded(page, tiny_run, downloads):
    every = {record["image"]: record["labels"] for record in json.loads(downloads["JSON"][0])["images"]}
    label = next(
        name for name in tiny_run.classes if 0 < sum(name in labels for labels in every.values()) < len(every)
    )
    page.selectbox(key="show").set_value(label).run()
    assert {record["image"]: record["labels"] for record in json.loads(downloads["JSON"][0])["images"]} == {
        image: labels for image, labels in every.items() if label in labels
    }


def test_too_many_uploads_are_refused_with_what_to_do(app, downloads):
    test = app("predict")
    test.file_uploader[0].set_value(
        [(f"{number}.jpg", b"x", "image/jpeg") for number in range(MOST + 1)]
    ).run()
    assert not test.exception
    (error,) = test.error
    assert (
        error.value.startswith("301 images are too many at once; choose 300 at most, or use `ccd predict ")
        and "--csv predicted.csv`" in error.value
    )
    assert set(downloads) <= {"Report (HTML)"}  # none of them was looked at


def test_a_folder_of_links_is_read_where_nobody_else_reaches_the_app(
    app, tiny_run, tiny_scenes, tmp_path, monkeypatch
):
    linked = tmp_path / "linked"
    linked.mkdir()
    for path in sorted((tiny_scenes / "JPEGImages").glob("val*.jpg"))[:2]:
        (linked / path.name).symlink_to(path)
    assert len(images_in(tiny_run, str(linked))) == 2
    monkeypatch.setenv("CCD_SHARED", "1")
    monkeypatch.setenv("CCD_DATA", str(linked))
    with pytest.raises(UserError, match="no images"):
        images_in(tiny_run, str(linked))


def test_a_folder_that_cannot_be_read_is_named_in_a_sentence(app, tiny_run, tmp_path, monkeypatch):
    test = app("predict", **{"from": "Folder on this machine", "folder": f"/{'a' * 300}"})
    assert not test.exception and "cannot be read: File name too long" in test.error[0].value
    closed = tmp_path / "closed"
    closed.mkdir()

    def refuse(path):  # as to anybody but root
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("app.reading.asking.predictions.os.scandir", refuse)
    with pytest.raises(UserError, match="closed cannot be read: Permission denied"):
        images_in(tiny_run, str(closed))


def test_an_example_outside_the_offered_ones_opens_and_is_offered(app, tiny_run):
    image = next(one for one in tiny_run.load_global()["ids"].tolist() if one not in examples(tiny_run))
    test = app("predict", example=image)
    assert not test.exception and not test.error
    assert any(image in header.value for header in test.header)


def test_an_example_of_another_run_in_the_link_is_said(app):
    test = app("predict", example="nobody.jpg")
    assert any("no image of this run's data set" in text.value for text in test.caption)
    assert (
        not test.exception and not test.error and any("No images yet" in text.value for text in test.header)
    )


def test_a_threshold_of_many_classes_is_found_by_name_and_kept(app, tiny_run, monkeypatch):
    monkeypatch.setattr(predict_thresholds, "SLIDERS", 5)
    first, last = tiny_run.classes[0], tiny_run.classes[-1]
    test = app("predict", limits="Each class")
    limits = lambda: {slider.label: slider for slider in test.slider}  # noqa: E731
    assert len(limits()) == 5 and last not in limits()
    test.text_input(key="find_class").set_value(last).run()
    limits()[last].set_value(0.9).run()
    test.text_input(key="find_class").set_value(first).run()
    assert not test.exception and first in limits() and last not in limits()
    # The one that is not on the page any more.
    assert f"{len(tiny_run.classes) - 1}" in str(test.query_params["each"])
    test.text_input(key="find_class").set_value(last).run()
    assert limits()[last].value == 0.9
