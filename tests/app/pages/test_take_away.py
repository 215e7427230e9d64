"""Overview offers a run as a report and as exports; nothing is made before somebody asks."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest
import streamlit as st

from app.reading import exports
from ccd_core.errors import UserError


@pytest.fixture
def downloads(monkeypatch) -> dict[str, tuple]:
    """Title of a download -> (a function that gives what it holds, its name), as offered last."""
    offered = {}
    monkeypatch.setattr(
        st,
        "download_button",
        lambda title, content, name, *_, **__: offered.update({title.split(" (")[0]: (content, name)}),
    )
    return offered


def test_the_report_is_made_when_it_is_downloaded(app, downloads, monkeypatch, tiny_run):
    asked = []
    monkeypatch.setattr(exports, "html_report", lambda runs, **how: asked.append(runs) or "<!DOCTYPE html>")
    page = app("overview")
    assert not page.exception and asked == []
    content, name = downloads["Report"]
    assert content() == b"<!DOCTYPE html>" and name == "tiny-report.html" and len(asked) == 1


def test_the_report_of_the_page_has_pictures(tiny_run):
    assert exports.report(tiny_run).count(b"data:image/jpeg") >= 12


def test_an_export_is_made_on_request_and_can_be_downloaded(app, downloads):
    page = app("overview")
    page.selectbox("export_format").set_value("csv").run()
    assert "Download" not in downloads
    page.button("make_export").click().run()
    assert not page.exception and not page.error
    content, name = downloads["Download"]
    with zipfile.ZipFile(io.BytesIO(content())) as archive:
        files = {Path(file).name for file in archive.namelist()}
        record = json.loads(archive.read("tiny-csv/export.json"))
    assert name == "tiny-csv.zip" and {"labels.csv", "boxes.csv", "classes.txt"} <= files
    assert record["images"] == 56


def test_a_failed_export_is_a_sentence(copied_run, tmp_path):
    run = copied_run()
    run.file("checkpoints", "best.safetensors").write_bytes(b"no weights")
    with pytest.raises(UserError, match=r"^The export failed: .*best\.safetensors"):
        exports.make_export(run, "huggingface", False, tmp_path)
    assert list(tmp_path.glob("*.zip")) == []


def test_what_is_missing_is_said_before(tiny_run, monkeypatch):
    monkeypatch.setattr(exports, "find_spec", lambda name: None)
    assert "ccd-studio[export]" in exports.why_not(tiny_run, "onnx")
    assert exports.why_not(tiny_run, "huggingface") == ""


def test_an_app_of_others_exports_no_data_set_with_a_link_out(tiny_run, tmp_path, monkeypatch):
    from app.reading import readable_folders

    monkeypatch.setenv("CCD_SHARED", "1")
    monkeypatch.setenv("CCD_RUNS", str(tiny_run.path.parent))

    def refuse(path, also=()):
        raise UserError(f"{path} is not open to this app")

    monkeypatch.setattr(exports, "permitted", refuse)
    assert readable_folders.readable_folders() is not None
    with pytest.raises(UserError, match="not open to this app"):
        exports.make_export(tiny_run, "csv", False, tmp_path)


def test_a_run_without_a_classifier_offers_nothing(app, copied_run, downloads, monkeypatch):
    run = copied_run("runs/mine")
    run.file("checkpoints", "best.safetensors").unlink()
    monkeypatch.setenv("CCD_RUNS", str(run.path.parent))
    app("overview", run="mine")
    assert downloads == {}
