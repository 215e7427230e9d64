"""Every page on a finished run, without a browser: what a person reads there."""

from __future__ import annotations

import pytest

PAGES = ["overview", "clip_bias", "cam_boxes", "labels", "view_lab", "results", "predict", "train"]


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_without_an_error(app, page):
    test = app(page)
    assert not test.exception and not test.error
    assert test.title[0].value


def test_overview_shows_the_runs_numbers(app, tiny_run):
    values = {metric.label: metric.value for metric in app("overview").metric}
    assert values["Validation mAP"] == f"{tiny_run.load_ap()['val']['mAP']:.1f} %"
    assert values["Training images"] == "40"


def test_an_unknown_run_in_a_link_is_said(app):
    test = app("overview", run="nonsense")
    assert "no run 'nonsense'" in test.error[0].value and test.metric
