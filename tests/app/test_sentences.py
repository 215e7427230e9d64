"""What goes wrong with files while the app runs is one sentence that names the file."""

from __future__ import annotations

import ast
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from app.access import TokenAccess, cookie_name
from app.parts.cam_boxes.panels import number_or
from app.reading import ground_truth
from app.reading.images import image_path
from app.reading.labels import clip_outputs
from app.reading.uploads import store_uploads
from app.widgets import friendly_errors
from ccd_core.errors import UserError
from ccd_core.runs.run import Run

ROOT = Path(__file__).parents[2]
ALL = "The whole data set"


@pytest.fixture
def odd(copied_run, monkeypatch) -> Run:
    """A copy of the run, to be damaged, in a workspace whose path has a space."""
    run = copied_run("my runs/odd")
    monkeypatch.setenv("CCD_RUNS", str(run.path.parent))
    return run


@pytest.fixture
def pages(app, odd, monkeypatch):
    monkeypatch.setenv("CCD_RUNS", str(odd.path.parent))  # `app` has set another
    return lambda page, **query: app(page, run="odd", **query)


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("file", "page", "query"),
    [
        ("global.npz", "overview", {}),
        ("global.npz", "clip_bias", {}),
        ("labels.npz", "labels", {"show": ALL}),
        ("views.parquet", "labels", {"show": ALL}),
        ("scores/val.npz", "results", {"part": "Thresholds"}),
        ("scores/ap.json", "results", {}),
        ("bias.json", "overview", {}),
    ],
)
def test_a_damaged_file_is_named_on_its_page(pages, odd, file, page, query):
    half(odd.file(file))
    test = pages(page, **query)
    assert not test.exception
    assert f"{file} is damaged" in test.error[0].value and "ccd run --resume" in test.error[0].value


def test_an_empty_table_of_metrics_is_damaged_too(odd):
    odd.file("metrics.csv").write_text("")
    with pytest.raises(UserError, match=r"metrics\.csv is damaged"):
        odd.load_metrics()


def test_what_was_damaged_is_made_again_as_the_sentence_says(odd, tiny_run):
    from ccd_core.execution import run_ccd

    odd.file("global.npz").unlink()
    odd.file("metrics.csv").unlink()
    run_ccd(odd.config, odd.path)
    assert (odd.load_global()["ids"] == tiny_run.load_global()["ids"]).all() and len(
        odd.load_metrics()
    ) == len(tiny_run.load_metrics())


def test_a_mistake_in_a_fragment_is_a_sentence(pages, odd):
    odd.file("thresholds.json").write_text('{"unicorn": 0.5}')
    test = pages("results", part="Thresholds")
    assert not test.exception and "'unicorn'" in test.error[0].value


def test_every_fragment_and_dialog_says_its_mistakes_itself():
    """Streamlit shows what they raise before the page around them can."""
    found = []
    for path in [*(ROOT / "app").rglob("*.py"), *(ROOT / "pages").glob("*.py")]:
        for function in ast.walk(ast.parse(path.read_text())):
            decorators = [ast.unparse(one) for one in getattr(function, "decorator_list", [])]
            if any(one.startswith(("st.fragment", "st.dialog")) for one in decorators):
                found.append(function.name)
                assert decorators[-1] == "friendly_errors()", f"{path.name}: {function.name}"
    assert len(found) > 5


def test_a_run_deleted_while_it_is_open_is_a_sentence(odd, monkeypatch):
    said = []
    monkeypatch.setattr(st, "error", said.append)
    shutil.rmtree(odd.path)
    with friendly_errors():
        clip_outputs(odd)
    assert len(said) == 1 and "odd is gone" in said[0]


def test_an_image_file_that_is_gone_is_a_sentence(pages, odd, tiny_scenes, tmp_path):
    scenes = tmp_path / "scenes"
    shutil.copytree(tiny_scenes, scenes)
    odd.file("config.yaml").write_text(
        odd.file("config.yaml").read_text().replace(str(tiny_scenes), str(scenes))
    )
    views = odd.load_views()
    image = str(views["image"].iloc[0])
    path = image_path(Run.open(odd.path), image)
    path.unlink()
    test = pages("labels", image=image)
    assert not test.exception and path.name in test.error[0].value


def test_ground_truth_without_a_single_class_scores_no_labels(pages, odd, tiny_run, monkeypatch):
    truth = ground_truth.ground_truth(tiny_run)
    monkeypatch.setattr(
        ground_truth,
        "ground_truth",
        lambda run, split="train": replace(truth, targets=np.zeros_like(truth.targets)),
    )
    test = pages("labels", show=ALL)
    assert (
        not test.exception and not test.metric and any("cannot be scored" in info.value for info in test.info)
    )


# -- one run does not spoil the page for the others ------------------------------------------------


def test_a_job_with_damaged_files_says_so_in_its_card(pages, odd, copied_run):
    copied_run("my runs/whole")
    odd.file("metrics.csv").write_text("")
    test = pages("train", job="odd")
    assert not test.exception and "metrics.csv is damaged" in test.error[0].value
    assert {"open_odd", "open_whole"} <= {button.key for button in test.button}


def test_a_deleted_run_is_in_no_link_any_more(pages, odd, copied_run):
    copied_run("my runs/whole")
    test = pages("train", job="odd")
    test.session_state["delete"] = "odd"
    test.run()
    test.session_state["delete"] = "odd"  # here a click runs the whole page, in a browser the dialog alone
    test.button(key="delete_yes").click().run()
    assert not test.exception and not test.error and not odd.path.exists()
    assert "odd" not in str(dict(test.query_params))


def test_a_finished_run_that_took_no_views_says_why(pages, odd):
    odd.file("config.yaml").write_text(
        odd.file("config.yaml").read_text().replace("update: true", "update: false")
    )
    for file in ("views.parquet", "view_threshold.json"):
        odd.file(file).unlink()
    test = pages("cam_boxes")
    (title,) = (header.value for header in test.header)
    assert (
        "no local views" in title
        and "yet" not in title
        and any("`labels.update` is off" in text.value for text in test.markdown)
    )


# -- paths, links and cookies ------------------------------------------------------------------------


def test_a_path_that_is_too_long_is_said_beside_its_field(app):
    test = app("train", data=f"folder:{'a' * 300}")
    assert not test.exception and any("File name too long" in caption.value for caption in test.caption)


def test_commands_can_be_pasted_where_a_path_has_a_space(pages, odd):
    test = pages("labels", show=ALL)
    (command,) = (block.value for block in test.code if block.value.startswith("ccd run"))
    assert f"--config '{odd.path}/config.yaml' --set" in command


def test_numbers_of_a_link_that_are_none_are_left_out():
    assert [number_or(text, 40.0) for text in ("nan", "inf", "-inf", "x", None, "12")] == [40.0] * 5 + [12.0]


@pytest.mark.parametrize("others", ["", "prefs=a b; ", 'x={"a":1}; ', "a/b=c; ", "alone; "])
def test_cookies_of_other_apps_do_not_hide_the_token(monkeypatch, others):
    monkeypatch.setenv("CCD_TOKEN", "a-token-for-this-test")
    page = Route("/", lambda request: PlainTextResponse("the page"))
    client = TestClient(
        Starlette(routes=[page], middleware=[Middleware(TokenAccess, token="a-token-for-this-test")])
    )
    assert (
        client.get("/", headers={"cookie": f"{others}{cookie_name()}=a-token-for-this-test"}).text
        == "the page"
    )
    assert client.get("/", headers={"cookie": f"{others}{cookie_name()}=another"}).status_code == 401


# -- uploads -----------------------------------------------------------------------------------------


class Upload:
    name, file_id = "cat.jpg", "one"

    def getvalue(self) -> bytes:
        return b"bytes"


def test_who_uploads_nothing_leaves_no_folder(pages, odd):
    assert not pages("predict").error
    assert not (odd.path.parent / ".uploads").exists()


def test_only_an_upload_needs_a_workspace_to_write_to(pages, odd, monkeypatch):
    (odd.path.parent / ".uploads").write_text("in the way")
    test = pages("predict")
    assert not test.exception and not test.error
    monkeypatch.setattr(st, "session_state", {})
    with pytest.raises(UserError, match="Uploads cannot be stored"):
        store_uploads([Upload()])


def test_old_uploads_that_another_session_removes_at_the_same_moment(odd, monkeypatch):
    monkeypatch.setattr(st, "session_state", {})
    (odd.path.parent / ".uploads").mkdir()
    (odd.path.parent / ".uploads" / "old").symlink_to("gone")
    assert store_uploads([Upload()])["cat.jpg"].read_bytes() == b"bytes"
