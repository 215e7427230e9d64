"""A run of another method says so on every page, and loudest where it used labels."""

from __future__ import annotations

import pytest


@pytest.fixture
def run_of(copied_run, app, monkeypatch, tmp_path):
    """`run_of("bce", "overview")`: a page on a run whose settings name that method."""

    def open_page(method: str, page: str):
        run = copied_run("runs/other")
        settings = run.file("config.yaml")
        text = settings.read_text()
        assert "  name: ccd\n" in text
        settings.write_text(text.replace("  name: ccd\n", f"  name: {method}\n"))
        run.remove("views.parquet")
        monkeypatch.setenv("CCD_RUNS", str(tmp_path / "runs"))
        return app(page, run="other")

    return open_page


def test_a_run_that_used_labels_has_a_warning_on_every_page(run_of):
    page = run_of("bce", "results")
    assert not page.exception
    [warning] = [found.value for found in page.warning if "This run used labels" in found.value]
    assert "all labels of the training images" in warning
    assert any("uses **labels**" in caption.value for caption in page.sidebar.caption)


def test_a_page_of_ccd_says_which_method_makes_no_such_thing(run_of):
    page = run_of("an", "cam_boxes")
    assert not page.exception and not page.sidebar.warning
    assert any("Naive AN" in caption.value for caption in page.sidebar.caption)
    assert any("Naive AN, makes none" in text.value for text in page.markdown)
