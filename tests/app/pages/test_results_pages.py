"""Results and Predict without a browser: what is chosen there is what comes out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from sklearn.metrics import f1_score

from app.figures.confusion import confusion_matrix
from app.figures.curves import runs_learning
from app.parts.results import curves as results_curves
from ccd_core.evaluation import thresholds
from ccd_core.evaluation.thresholds import Thresholds
from ccd_core.runs.run import Run


@pytest.fixture
def own_run(copied_run):
    """A copy of the run in a workspace of its own, beside a second one, for tests that write into it."""
    copied_run("other")
    return copied_run("mine")


@pytest.fixture
def mine(app, own_run, monkeypatch):
    monkeypatch.setenv("CCD_RUNS", str(own_run.path.parent))
    return lambda page, **query: app(page, run="mine", **query)


@pytest.mark.parametrize("part", ["Classes", "Curves", "Thresholds", "Confusion", "Most wrong"])
def test_every_part_of_results_opens(app, part):
    test = app("results", part=part)
    assert not test.exception and not test.error


def test_runs_stand_side_by_side_with_the_settings_that_differ(mine, own_run):
    path = own_run.path.parent / "other" / "config.yaml"
    path.write_text(path.read_text().replace("alpha: 0.4", "alpha: 0.9"))
    test = mine("results", part="Classes", beside="other")
    assert not test.exception
    tables = [frame.value for frame in test.dataframe]
    ap = tables[0].set_index("class")
    report = own_run.load_ap()["val"]
    assert {"mine", "other", "difference"} <= set(ap.columns) and ap.loc["mean", "mine"] == pytest.approx(
        report["mAP"], abs=0.01
    )
    assert tables[1]["setting"].tolist() == ["labels.alpha"] and tables[1].loc[0, "other"] == "0.9"


def test_the_best_f1_threshold_is_saved_and_predict_uses_it(mine, own_run):
    test = mine("results", part="Thresholds", by="Best F1")
    assert "ground truth" in " ".join(caption.value for caption in test.caption)
    test.button(key="save_thresholds").click().run()
    assert not test.exception and not test.error
    stored = json.loads(own_run.file("thresholds.json").read_text())
    assert stored["method"] == "f1" and stored["uses_ground_truth"] and stored["split"] == "val"
    from ccd_core.data import open_dataset

    arrays = own_run.load_scores("val")
    truth = open_dataset(own_run.config.data.spec).ground_truth("val").rows(arrays["ids"].tolist())
    scores, limit = arrays["scores"], np.float32(next(iter(stored["thresholds"].values())))
    best = max(
        f1_score(truth.ravel(), scores.ravel() >= value, zero_division=0) for value in np.unique(scores)
    )
    assert f1_score(truth.ravel(), scores.ravel() >= limit) == pytest.approx(best)
    assert any("The page Results can change them" in caption.value for caption in mine("predict").caption)


def test_moving_the_threshold_changes_the_numbers(app):
    test = app("results", part="Thresholds")
    shown = {}
    for value in (0.0, 1.0):
        test.slider(key="threshold").set_value(value).run()
        shown[value] = {metric.label: metric.value for metric in test.metric}
    assert (
        shown[0.0]["Labels an image"] == "16.00"
        and shown[0.0]["Recall, all labels"] == "100.0 %"
        and shown[1.0]["Labels an image"] == "0.00"
    )


def test_without_ground_truth_thresholds_by_label_rate_still_work(mine, own_run, tiny_scenes, tmp_path):
    for path in sorted((tiny_scenes / "JPEGImages").glob("train*.jpg")):
        (tmp_path / "photos").mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / "photos" / path.name)
    (tmp_path / "photos" / "classes.txt").write_text("\n".join(own_run.classes))
    config = own_run.file("config.yaml")
    config.write_text(config.read_text().replace(own_run.config.data.spec, f"folder:{tmp_path / 'photos'}"))
    own_run.file("scores", "ap.json").unlink()
    own_run.file("scores", "val.npz").unlink()
    for part in ("Curves", "Agreement", "Least sure"):
        test = mine("results", part=part)
        assert not test.exception and not test.error
    test = mine("results", part="Thresholds", by="Labels an image")
    test.slider(key="rate").set_value(2.0).run()
    test.button(key="save_thresholds").click().run()
    stored = json.loads(own_run.file("thresholds.json").read_text())
    limit = np.float32(next(iter(stored["thresholds"].values())))
    labels = (own_run.load_scores("train")["scores"] >= limit).sum(1).mean()
    assert (
        stored["method"] == "rate"
        and not stored["uses_ground_truth"]
        and labels == pytest.approx(2.0, abs=0.05)
    )


def test_a_run_without_its_images_keeps_its_ap_and_says_once_why_there_is_no_more(mine, own_run):
    config = own_run.file("config.yaml")
    config.write_text(config.read_text().replace(own_run.config.data.spec, "folder:/mnt/unplugged"))
    for part in ("Classes", "Curves", "Thresholds", "Agreement", "Least sure"):
        test = mine("results", part=part)
        assert not test.exception and not test.error, part
        said = [text.value for text in [*test.info, *test.caption]]
        assert (
            sum("cannot be opened on this machine" in text and "/mnt/unplugged" in text for text in said) == 1
        ), part
        assert not any("There is no ground truth" in text or "labels.csv" in text for text in said), part
        assert any(metric.label == "mAP, validation" for metric in test.metric) == (
            part in ("Classes", "Curves")
        ), part
        splits = [group for group in test.get("button_group") if group.key == "split"]
        # What agrees with labels are the training images' scores.
        assert bool(splits) == (part != "Agreement"), part


def test_a_shared_app_labels_a_folder_of_the_workspace_and_refuses_one_outside(
    mine, own_run, tiny_scenes, monkeypatch
):
    monkeypatch.setenv("CCD_SHARED", "1")
    photos = own_run.path.parent / "photos"
    photos.mkdir()
    for path in sorted((tiny_scenes / "JPEGImages").glob("val*.jpg"))[:3]:
        shutil.copy(path, photos / path.name)
    (photos / "broken.jpg").write_text("no picture")
    test = mine("predict", **{"from": "Folder on this machine", "folder": str(photos), "threshold": "0.0"})
    assert not test.exception and ["broken.jpg" in error.value for error in test.error] == [True]
    assert {metric.label: metric.value for metric in test.metric}["Images"] == "3"
    (photos / "out").symlink_to(Path("/usr"))
    for outside in ("/etc", str(photos / ".." / ".." / ".."), str(photos / "out")):
        refused = mine("predict", **{"from": "Folder on this machine", "folder": outside})
        assert "not open to this app" in refused.error[0].value and "ccd app --data" in refused.error[0].value
    monkeypatch.setenv("CCD_SHARED", "")
    # The user's own machine.
    assert (
        "no images in"
        in mine("predict", **{"from": "Folder on this machine", "folder": "/etc/ssl"}).error[0].value
    )


def test_numbers_in_the_confusion_matrix_take_the_themes_colour_and_noughts_are_left_out():
    rate = np.array([[np.nan, 0.3], [0.001, np.nan]])
    cells, numbers = confusion_matrix(rate, rate / 2, ["cat", "dog"]).data
    assert cells.texttemplate is None and numbers.mode == "text" and numbers.textfont.color is None
    assert list(zip(numbers.y, numbers.x, numbers.text, strict=True)) == [("cat", "dog", "30")]


def test_each_compared_run_is_in_the_legend_once_with_or_without_validation():
    metrics = pd.DataFrame({"epoch": [0, 1], "train_map": [10.0, 20.0], "val_map": [30.0, 40.0]})
    figure = runs_learning({"first": (metrics, 1), "second": (metrics.assign(val_map=np.nan), None)})
    assert [trace.name for trace in figure.data if trace.showlegend] == ["first", "second"]
    stars = [trace for trace in figure.data if trace.marker.symbol == "star"]
    assert len(stars) == 1 and (stars[0].x[0], stars[0].y.tolist()) == (2, [40.0])


def thresholds_of(page) -> dict[str, float]:
    return {slider.label: slider.value for slider in page.slider if slider.label.startswith("Threshold")}


@pytest.mark.parametrize("each", ["false", "true"])
def test_a_threshold_moved_for_one_run_is_not_another_runs(mine, own_run, each):
    saved = Thresholds(dict.fromkeys(own_run.classes, 0.3), per_class=each == "true")
    thresholds.save(Run.open(own_run.path.parent / "other"), saved)
    page = mine("results", part="Thresholds", each=each)
    (name,) = thresholds_of(page)
    next(slider for slider in page.slider if slider.label == name).set_value(0.8).run()
    page.selectbox(key="run").set_value("other").run()
    assert not page.exception and thresholds_of(page) == {name: 0.3}
    page.selectbox(key="run").set_value("mine").run()
    assert thresholds_of(page) == {name: 0.8}  # going back finds it


def test_a_link_that_names_run_and_threshold_opens_as_written(mine):
    assert list(thresholds_of(mine("results", part="Thresholds", threshold="0.7")).values()) == [0.7]


def test_small_curves_of_many_classes_come_in_pages(app, monkeypatch):
    monkeypatch.setattr(results_curves, "SMALL", 6)
    seen = []
    monkeypatch.setattr(
        results_curves, "pr_grid", lambda curves, ap: seen.append(list(curves)) or go.Figure()
    )
    for page in ("1", "2"):
        test = app("results", part="Curves", small="true", pr_page=page)
        assert not test.exception and not test.error
    assert [len(names) for names in seen] == [6, 6] and not set(seen[0]) & set(seen[1])
