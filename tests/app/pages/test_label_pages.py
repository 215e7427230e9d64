"""The pages CLIP bias and Labels on a finished run: what their sliders and links change."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from ccd_core.config import CCDConfig
from ccd_core.evaluation.metrics import summary
from ccd_core.method.labels import final_labels, initial_labels, local_labels

ALL, CHANGED = "The whole data set", "Images that change most"


def metrics(test) -> dict[str, str]:
    return {metric.label: metric.value for metric in test.metric}


def test_the_entropy_slider_changes_what_is_measured(app):
    test = app("clip_bias")
    before = metrics(test)
    test.slider(key="entropy").set_value(0.05).run()
    assert not test.exception and int(metrics(test)["Images used"].split()[0]) < int(
        before["Images used"].split()[0]
    )


def test_no_image_of_low_entropy_is_said_and_the_page_goes_on(app):
    test = app("clip_bias", entropy="0.05")
    if metrics(test)["Images used"].startswith("0 "):
        assert any("Raise the threshold" in warning.value for warning in test.warning)
    assert not test.exception and metrics(test)["Classes without a measurement"]


def test_a_class_in_the_link_is_the_one_whose_images_are_shown(app, tiny_run):
    name = tiny_run.classes[3]
    test = app("clip_bias", **{"class": name})
    assert test.selectbox(key="class").value == name
    assert any(f"says {name} first" in heading.value for heading in test.header)


@pytest.mark.parametrize("truth", [True, False])
@pytest.mark.parametrize(
    ("page", "key", "parts"),
    [
        ("clip_bias", "bias_part", ["Bias by class", "Before and after", "Label counts"]),
        ("labels", "label_part", ["How good they are", "Class by class", CHANGED]),
    ],
)
def test_every_part_of_a_page_has_its_link_and_its_figure(
    app, tiny_run, copied_run, tmp_path, monkeypatch, page, key, parts, truth
):
    run = tiny_run.path.name
    if not truth:
        run = "elsewhere"
        config = copied_run(run).file("config.yaml")
        config.write_text(config.read_text().replace(tiny_run.config.data.spec, "voc2012:/nowhere"))
        monkeypatch.setenv("CCD_RUNS", str(tmp_path))
        parts = [part.replace("How good they are", "Their distribution") for part in parts]
    seen = []
    for part in parts:
        test = app(page, run=run, show=ALL, alpha="0.9", **{key: part})
        assert not test.exception and not test.error
        assert [option.content for option in test.button_group(key=key).proto.options] == parts
        seen.append([element.proto.id for element in test.main if element.type == "plotly_chart"])
    assert len({tuple(figures) for figures in seen}) == 3  # each part draws its own, and only those


def test_label_settings_are_handed_on(app, tiny_run):
    test = app("labels", show=ALL)
    test.slider(key="alpha").set_value(0.8).run()
    assert not test.exception and any(
        "--set labels.alpha=0.8 --set bias.floor=0.05" in block.value for block in test.code
    )
    link = next(element for element in test.main if element.type == "page_link")
    assert link.proto.label == "Train with these settings"
    assert (
        "from=tiny" in link.proto.query_string
        and "labels.alpha%3D0.8%3Bbias.floor%3D0.05" in link.proto.query_string
    )


def test_every_slider_follows_the_run_wherever_it_was_chosen(app, copied_run, tmp_path, monkeypatch):
    copied_run("first")
    settings = copied_run("second").config
    monkeypatch.setenv("CCD_RUNS", str(tmp_path))
    test = app("labels", run="first", show=ALL)
    test.slider(key="alpha").set_value(0.8).run()
    test.slider(key="entropy").set_value(0.2).run()
    test.switch_page("../pages/clip_bias.py").run()
    test.selectbox(key="run").set_value("second").run()
    test.switch_page("../pages/labels.py")
    test.query_params["show"] = ALL
    test.run()
    assert (
        test.slider(key="alpha").value == settings.labels.alpha
        and test.slider(key="entropy").value == settings.bias.entropy_threshold
    )


def test_measures_are_those_of_a_run_with_these_settings(app, tiny_run):
    from ccd_core.data import open_dataset
    from ccd_core.method.bias import clip_bias

    test = app("labels", show=ALL)
    test.slider(key="alpha").set_value(0.8).run()
    test.toggle(key="debias").set_value(False).run()
    config = tiny_run.config.changed(labels={"alpha": 0.8}, bias={"mode": "none"})
    p, ids = tiny_run.load_global()["p_global"], tiny_run.load_global()["ids"].tolist()
    bias = clip_bias(p, config.bias.entropy_threshold)
    rows = tiny_run.load_views()["image"].map({image: row for row, image in enumerate(ids)}).to_numpy(int)
    local = local_labels(len(ids), rows, tiny_run.load_view_probabilities(), bias, config)
    targets = open_dataset(config.data.spec).ground_truth("train").rows(ids)
    made = summary(final_labels(initial_labels(p, bias, config), local, config), targets)
    own = summary(tiny_run.load_labels()["final"], targets)
    assert metrics(test)["mAP, change"] == f"{100 * (made['mAP'] - own['mAP']):+.2f}"
    assert metrics(test)["F1, change"] == f"{100 * (made['F1'] - own['F1']):+.2f}"


def test_the_runs_own_settings_change_nothing(app):
    test = app("labels", show=ALL, label_part=CHANGED)
    assert metrics(test)["mAP, change"] == "+0.00" and any(
        "No label changes" in info.value for info in test.info
    )


def test_nor_do_they_where_images_of_no_class_were_left_out(app, copied_run, tmp_path, monkeypatch):
    from ccd_core.method.none_images import none_images, zero_none_images
    from ccd_core.runs.run import Run

    config = copied_run("filtered").file("config.yaml")
    config.write_text(config.read_text().replace("filter: 'off'", "filter: similarity"))
    run = Run.open(tmp_path / "filtered")
    assert run.config.none_images.filter == "similarity"
    labels = run.load_labels()
    clip = run.load_global()
    none = none_images(clip["p_global"], clip.get("similarity"), run.config.none_images)
    final = zero_none_images(labels["final"], none)
    assert (final != labels["final"]).any()
    np.savez(run.file("labels.npz"), **labels | {"final": final})
    monkeypatch.setenv("CCD_RUNS", str(tmp_path))
    test = app("labels", run="filtered", show=ALL, label_part=CHANGED)
    assert metrics(test)["F1, change"] == "+0.00" and any(
        "No label changes" in info.value for info in test.info
    )


def test_an_image_in_the_link_is_shown_with_its_views(app, tiny_run):
    views = tiny_run.load_views()
    image = views["image"].iloc[-1]
    test = app("labels", image=image)
    count = int((views["image"] == image).sum())
    assert not test.exception and any(
        f"{image}: {count} local views" in caption.value for caption in test.caption
    )


@pytest.mark.parametrize("page", ["clip_bias", "labels"])
def test_a_run_that_has_just_begun_gets_a_hint(app, tiny_run, tmp_path, monkeypatch, page):
    from ccd_core.runs.run import Run

    Run.create(tmp_path / "young", tiny_run.config, tiny_run.classes)
    monkeypatch.setenv("CCD_RUNS", str(tmp_path))
    test = app(page, run="young")
    assert not test.exception and not test.error and any("has no" in text.value for text in test.header)


def test_without_ground_truth_labels_are_compared_but_not_scored(
    app, tiny_run, copied_run, tmp_path, monkeypatch
):
    config = copied_run("elsewhere").file("config.yaml")
    config.write_text(config.read_text().replace(tiny_run.config.data.spec, "voc2012:/nowhere"))
    monkeypatch.setenv("CCD_RUNS", str(tmp_path))
    test = app("labels", run="elsewhere", show=ALL)
    assert not test.exception and any("ground truth is not known here" in info.value for info in test.info)
    assert "mAP, change" not in metrics(test)
    assert not app("clip_bias", run="elsewhere").exception


def test_statistics_need_no_truth():
    from app.figures.labels import differences, label_histogram

    figure = differences(
        ["a", "b", "c"],
        np.array([0.1, 0.2, np.nan]),
        np.array([0.3, 0.1, np.nan]),
        np.array([0.2, 0.2, 0.0]),
        "AP",
    )
    assert list(figure.data[-1].y) == ["a", "b"] and figure.data[-1].x[0] == pytest.approx(0.2)
    assert len(label_histogram({"this run": np.array([3, 0]), "as set": np.array([1, 2])}).data) == 2


def test_the_view_lab_sweeps_around_true_objects(app, tiny_run):
    test = app("view_lab", crop="0.2, 0.2, 0.6, 0.6")
    assert not test.exception and not test.error
    assert any("Where would CLIP see" in text.value for text in test.markdown)
    places = test.button_group(key="around")
    assert places.options[0] == "the crop" and len(places.options) > 1
    assert test.text_input(key="crop").value == "0.2, 0.2, 0.6, 0.6"
    test.text_input(key="crop").set_value("nonsense").run()
    assert not test.exception and not test.error  # the crop goes back to where it starts


def test_numbers_of_views_that_share_a_corner_do_not_hide_each_other():
    def page():
        from app.components.marked_image import marked_image

        marked_image("x.jpg", "x", [(0.1, 0.1, 0.5, 0.5), (0.1, 0.1, 0.9, 0.9), (0.1, 0.12, 0.5, 0.9)])

    body = AppTest.from_function(page).run().get("html")[0].proto.body
    places = re.findall(r'<i style="(.*?);background', body)
    # The last two boxes end far from each other.
    assert places == [
        "left:0;top:0",
        "right:0;top:0",
        "right:0;top:0",
    ]


def test_numbers_of_boxes_around_the_whole_image_do_not_pile_up():
    def page():
        from app.components.marked_image import marked_image

        marked_image("x.jpg", "x", [(0, 0, 1, 1)] * 20)

    body = AppTest.from_function(page).run().get("html")[0].proto.body
    places = re.findall(r'<i style="(.*?);background', body)
    assert len(set(places)) == 20


@pytest.fixture
def partly(copied_run, tiny_scenes, tmp_path, monkeypatch):
    """A run on the same images, of which every third has ground truth: rows and targets of those."""
    from ccd_core.data import open_dataset

    photos = tmp_path / "photos"
    photos.mkdir()
    run = copied_run("runs/partly")
    ids, classes = run.load_labels()["ids"], run.classes
    rows = np.arange(0, len(ids), 3)
    targets = open_dataset(run.config.data.spec).ground_truth("train").rows(ids[rows].tolist())
    for image in ids:
        (photos / f"{image}.jpg").symlink_to(tiny_scenes / "JPEGImages" / f"{image}.jpg")
    lines = [
        f"{ids[row]}.jpg,{','.join(str(int(value)) for value in target)}"
        for row, target in zip(rows, targets, strict=True)
    ]
    (photos / "labels.csv").write_text("\n".join([f"file,{','.join(classes)}", *lines]))
    (photos / "classes.txt").write_text("\n".join(classes))
    for name, arrays in (("global.npz", run.load_global()), ("labels.npz", run.load_labels())):
        np.savez(run.file(name), **arrays | {"ids": np.array([f"{image}.jpg" for image in ids])})
    run.file("views.parquet").unlink()
    run.file("config.yaml").write_text(
        run.file("config.yaml").read_text().replace(run.config.data.spec, f"folder:{photos}")
    )
    monkeypatch.setenv("CCD_RUNS", str(tmp_path / "runs"))
    return rows, targets


def test_labels_are_compared_with_the_truth_over_the_images_that_have_it(app, tiny_run, partly):
    from app.reading.labels import compared_outputs, pseudo_label_counts
    from app.reading.runs import known_runs
    from ccd_core.runs.run import Run

    rows, targets = partly
    said = f"the {len(rows)} of 40 images with ground truth"
    for part in ("Before and after", "Label counts"):
        test = app("clip_bias", run="partly", bias_part=part)
        assert (
            not test.exception and not test.error and any(said in caption.value for caption in test.caption)
        )
    test = app("labels", run="partly", show=ALL)
    assert not test.exception and any(said in caption.value for caption in test.caption)
    final, p = tiny_run.load_labels()["final"][rows], tiny_run.load_global()["p_global"][rows]
    error = next(metric for metric in test.metric if metric.label == "Rate error")
    assert f"{np.abs(final.mean(0) - targets.mean(0)).mean():.3f} in this run" in error.proto.help
    run = Run.open(known_runs()["partly"])
    assert (pseudo_label_counts(run) == (final > 0.5).sum(0)).all()
    assert [len(of_class) for of_class in compared_outputs(run).by_class] == np.bincount(
        p.argmax(1), minlength=len(run.classes)
    ).tolist()


@pytest.fixture
def with_settings(copied_run, tmp_path, monkeypatch):
    """`with_settings("mode: class", "mode: none")`: a copy of the run, named `set`, with another setting."""
    from ccd_core.runs.run import Run

    def copied(before: str, after: str) -> Run:
        config = copied_run("set").file("config.yaml")
        assert config.read_text().count(before) == 1
        config.write_text(config.read_text().replace(before, after))
        monkeypatch.setenv("CCD_RUNS", str(tmp_path))
        return Run.open(tmp_path / "set")

    return copied


@pytest.mark.parametrize("mode", ["none", "constant"])
def test_pages_debias_as_the_run_does(app, with_settings, mode):
    from app.reading.labels import debiasing
    from ccd_core.method.bias import clip_bias
    from ccd_core.method.labels import initial_labels

    run = with_settings("mode: class", f"mode: {mode}")
    p = run.load_global()["p_global"]
    assert debiasing(run)(p) == pytest.approx(
        initial_labels(p, clip_bias(p, run.config.bias.entropy_threshold), run.config), abs=1e-5
    )
    told = {"none": "labels are not debiased", "constant": "mean CLIP bias of all classes"}[mode]
    assert any(told in caption.value for caption in app("cam_boxes", run="set").caption)
    told = {"none": "labels are not debiased", "constant": "divides every class by the same number"}[mode]
    assert any(
        told in caption.value for caption in app("clip_bias", run="set", bias_part="Before and after").caption
    )
    assert told in app("view_lab", run="set").toggle(key="debiased").help


@pytest.mark.parametrize(
    ("required", "told"),
    [
        ("true", "its final label is its initial one"),
        ("false", "its local label is that of a probability of 0 in every class"),
    ],
)
def test_an_image_without_views_is_said_to_have_the_labels_that_the_settings_give_it(
    app, with_settings, required, told
):
    run = with_settings("views_required: true", f"views_required: {required}")
    views = pd.read_parquet(run.file("views.parquet"))
    image = str(views["image"].iloc[0])
    views[views["image"] != image].to_parquet(run.file("views.parquet"))
    test = app("labels", run="set", image=image)
    assert any(f"0 local views, so {told}" in caption.value for caption in test.caption)


def test_an_image_taken_to_show_no_class_is_said_to_have_no_labels(app, with_settings):
    from app.reading.labels import clip_outputs

    run = with_settings("filter: 'off'", "filter: entropy")
    image = run.load_labels()["ids"][clip_outputs(run).none[0]]
    assert any(
        "its final labels are 0" in caption.value
        for caption in app("labels", run="set", image=str(image)).caption
    )


def test_labels_from_patches_are_said_to_be_that():
    from app.parts.labels.image import _meanings

    for name, words in (
        ("ccd", "CLIP's probability"),
        ("ccd_patch", "PIAA's recipe"),
        ("cdul_patch", "PIAA's"),
    ):
        config = CCDConfig.preset("demo").with_method(name)
        assert words in _meanings(SimpleNamespace(config=config)).split(".")[0]
