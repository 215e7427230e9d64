"""Overview says what makes a run doubtful, and shows the stages that the run's method has."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from app.parts import overview
from ccd_core.config import CCDConfig
from ccd_core.files import write_json
from ccd_core.runs.needs import stages_of


@pytest.mark.parametrize(
    ("changes", "left_out"),
    [
        ({}, set()),
        ({"labels": {"update": False}}, {"views", "training"}),
        ({"method": {"name": "clip_zero_shot"}}, {"warm-up", "views", "training", "scores"}),
        ({"method": {"name": "role"}}, {"views"}),
        ({"method": {"name": "bce"}}, {"global", "views"}),
    ],
)
def test_only_the_stages_of_the_method_are_shown(changes, left_out):
    every = {"images", "global", "warm-up", "views", "training", "scores"}
    assert set(stages_of(CCDConfig.preset("demo").changed(**changes))) == every - left_out


def test_a_method_without_training_is_not_said_to_wait_for_an_epoch(copied_run, monkeypatch):
    said = []
    monkeypatch.setattr(overview.st, "caption", said.append)
    run = SimpleNamespace(
        config=CCDConfig.preset("demo").changed(method={"name": "clip_zero_shot"}),
        load_metrics=list,
        has=lambda *_: False,
    )
    overview.curves_part(run)
    assert ["trains nothing" in text for text in said] == [True]


def test_a_classifier_that_contradicts_its_teacher_is_warned_of(copied_run):
    run = copied_run("doubtful")
    write_json(run.file("safeguard.json"), {"images": 89, "share": 0.76, "split": "val", "doubtful": True})
    assert any("89 images of val" in text and "76%" in text for text in overview.run_warnings(run))


@pytest.mark.parametrize(("large", "apart", "warned"), [(0.4, 0.9, 1), (0.1, 0.5, 1), (0.1, 0.9, 0)])
def test_views_that_say_nothing_new_are_warned_of(tiny_run, monkeypatch, large, apart, warned):
    monkeypatch.setattr(overview, "view_statistics", lambda run: (100, large, apart))
    assert sum("local views" in text for text in overview.run_warnings(tiny_run)) == warned


@pytest.mark.parametrize("keep", ["first_local_minimum", "last"])
def test_an_early_stop_that_rests_on_few_labels_is_warned_of(tiny_run, monkeypatch, keep):
    monkeypatch.setattr(tiny_run, "config", tiny_run.config.changed(training={"keep": keep}))
    monkeypatch.setattr(overview, "_few_positives", lambda run: (3, 40))
    found = [text for text in overview.run_warnings(tiny_run) if "early stop rests on 40" in text]
    assert len(found) == (keep != "last")
