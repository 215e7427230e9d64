"""Every page on a finished run, without a browser: what a person reads there."""

from __future__ import annotations

import re

import pytest

from app.widgets import literal

PAGES = ["overview", "clip_bias", "cam_boxes", "labels", "view_lab", "results", "compare", "predict", "train"]


@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens_without_an_error(app, page):
    test = app(page)
    assert not test.exception and not test.error
    assert test.title[0].value


def test_overview_shows_the_runs_numbers(app, tiny_run):
    values = {metric.label: metric.value for metric in app("overview").metric}
    report = tiny_run.load_ap()
    assert values["F1 at 0.5"] == f"{report['val']['F1']:.1f} %"
    assert (
        values["Labels against CLIP"]
        == f"{report['labels']['final']['mAP'] - report['labels']['global']['mAP']:+.1f} mAP"
    )
    assert values["Kept epoch"].endswith(f"of {tiny_run.config.training.epochs}")


def test_the_run_is_in_every_link_so_that_a_newer_run_does_not_change_what_it_opens(app, tiny_run):
    test = app("overview", run="")
    assert test.query_params["run"] == ["tiny"] or test.query_params["run"] == "tiny"


def test_an_unknown_run_in_a_link_is_said(app):
    test = app("overview", run="nonsense")
    assert "no run 'nonsense'" in test.error[0].value and test.metric


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("$a$ *b*", r"\$a\$ \*b\*"),
        ("a]b", r"a\]b"),
        ("_x_", r"\_x\_"),
        ("train_01.jpg", "train_01.jpg"),
        (":red[x]", r"\:red\[x\]"),
        ("a\\b", r"a\\b"),
        ("![x](https://e.vil/x.png)", r"!\[x\](https\://e.vil/x.png)"),
        ("two\nlines", "two lines"),
    ],
)
def test_a_name_in_markdown_is_no_formula_and_ends_no_badge(name, written):
    assert literal(name) == written


@pytest.mark.parametrize(
    ("sentence", "written"),
    [
        ("No *run*; use `ccd run --out a*b`.", r"No \*run\*; use `ccd run --out a*b`."),
        ("``![x](y)`` is no run", r"\`\`!\[x\](y)\`\` is no run"),
        ("`![x](y)", r"\`!\[x\](y)"),
    ],
)
def test_in_a_sentence_code_stays_code_and_nothing_else_does(sentence, written):
    assert literal(sentence, keep_code=True) == written


def test_a_name_from_a_link_loads_no_image(app):
    test = app("overview", run="![x](https://e.vil/x.png)")
    assert r"\[x\](https\://e.vil" in test.error[0].value and "![x](" not in test.error[0].value


def test_a_runs_own_name_loads_no_image_and_colours_nothing(app, copied_run, monkeypatch):
    name = "![x](https:e.vil) :red[y]"
    monkeypatch.setenv("CCD_RUNS", str(copied_run(f"runs/{name}").path.parent))
    for page in ("overview", "predict", "results", "train"):
        test = app(page, run=name)
        assert not test.exception and not test.error
        kinds = [test.markdown, test.caption, test.info, test.warning, test.success, test.title, test.header]
        for text in [one.value for kind in kinds for one in kind] + [one.label for one in test.button]:
            shown = re.sub("`[^`]*`", "", text)  # code is shown as it is
            assert "![x](" not in shown and ":red[y]" not in shown, (page, text)


def test_a_damaged_safeguard_is_a_sentence_on_overview(app, copied_run, monkeypatch):
    run = copied_run("runs/odd")
    monkeypatch.setenv("CCD_RUNS", str(run.path.parent))
    run.file("safeguard.json").write_text('{"doubtful": true}')
    test = app("overview", run="odd")
    assert not test.exception
    assert any("safeguard.json" in error.value for error in test.error)
