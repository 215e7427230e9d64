"""`ccd report` writes one file, and refuses in sentences."""

from __future__ import annotations


def test_report_writes_a_page_beside_nothing_else(ccd, tiny_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = ccd("report", tiny_run.path, "--no-pictures")
    file = tmp_path / f"{tiny_run.name}-report.html"
    assert done.code == 0 and file.name in done.out
    assert file.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    again = ccd("report", tiny_run.path, "--no-pictures")
    assert again.code == 2 and "--force" in again.err
    assert ccd("report", tiny_run.path, "--no-pictures", "--force").code == 0


def test_report_takes_several_runs_and_no_folders(ccd, tiny_run, tmp_path):
    out = tmp_path / "both.html"
    done = ccd("report", tiny_run.path, tiny_run.path, "--no-pictures", "--out", out)
    assert done.code == 0 and "2 runs compared" in out.read_text(encoding="utf-8")
    assert "is a folder" in ccd("report", tiny_run.path, "--out", tmp_path).err
    assert "no run" in ccd("report", tmp_path).err or "not a run" in ccd("report", tmp_path).err
