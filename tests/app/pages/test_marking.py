"""Page Results without a browser: marking a few images, and what a browser may report of them."""

from __future__ import annotations

import pytest

from app.components.mark_labels import KEYS, _checked
from ccd_core.evaluation import marked


def test_marking_is_a_part_of_results(app, copied_run, monkeypatch):
    run = copied_run("runs/mine")
    monkeypatch.setenv("CCD_RUNS", str(run.path.parent))
    order = marked.sample(run.load_scores("val")["ids"].tolist())
    for image in order:
        marked.save_mark(run, image, [0])
    test = app("results", run="mine", part="Label a few")
    assert not test.exception and not test.error
    assert any(f"All {len(order)} images" in one.value for one in test.success)
    assert any(f"Measured on {len(order)} marked images" in one.value for one in test.header)
    test.button[-1].click().run()
    assert not test.exception and not test.success  # the last image again


def test_marks_of_other_classes_are_a_sentence(app, copied_run, monkeypatch):
    run = copied_run("runs/mine")
    monkeypatch.setenv("CCD_RUNS", str(run.path.parent))
    run.file(marked.FILE).write_text("image,nobody\n")
    test = app("results", run="mine", part="Label a few")
    assert not test.exception and "does not have the columns" in test.error[0].value


def test_thresholds_without_labels_are_offered(app):
    test = app("results", part="Thresholds", by="Without labels")
    assert not test.exception and any("halfway between two" in one.value for one in test.caption)


@pytest.mark.parametrize(
    "reported",
    [
        None,
        3,
        {},
        {"image": "b", "classes": [0]},
        {"image": "a", "classes": [7]},
        {"image": "a", "classes": "0"},
    ],
)
def test_odd_reports_of_a_browser_are_ignored(reported):
    assert _checked(reported, "a", 3) is None


def test_a_report_is_taken_once_and_in_order():
    assert _checked({"image": "a", "classes": [2, 0, 2]}, "a", 3) == ([0, 2],)
    assert len(set(KEYS)) == len(KEYS) and not set(KEYS) & set("nu")
