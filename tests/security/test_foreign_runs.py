"""A run from somebody else is data: what it names is not opened unasked, and its links are not followed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit import config as streamlit_config
from streamlit.testing.v1 import AppTest

from app.reading.asking.predictor import attend
from app.reading.readable_folders import paths_to_ask_about
from app.routes import ROUTES, image_url
from ccd_core.errors import UserError
from ccd_core.runs import known_paths
from ccd_core.runs.run import Run
from tests.support import NAVIGATION


@pytest.fixture(autouse=True)
def nothing_named_yet(tmp_path, monkeypatch):
    """This user has not named any path on this machine."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("CCD_OPEN_RUN", raising=False)
    monkeypatch.setenv("CCD_SHARED", "")
    streamlit_config.set_option("server.address", "127.0.0.1")


@pytest.fixture
def foreign(copied_run, tiny_scenes, tmp_path, monkeypatch) -> Run:
    """A run that names images of this machine, and a CLIP which is a pipe: opening it would wait for ever."""
    run = copied_run("runs/foreign")
    os.mkfifo(tmp_path / "clip.pt")
    change(run, recorded={"host": "elsewhere"}, clip={"pretrained": str(tmp_path / "clip.pt")})
    monkeypatch.setenv("CCD_RUNS", str(tmp_path / "runs"))
    return Run.open(run.path)


def change(run: Run, **sections: dict) -> None:
    settings = yaml.safe_load(run.file("config.yaml").read_text())
    for name, values in sections.items():
        settings[name] |= values
    run.file("config.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))


def page(name: str = "overview", **query: str) -> AppTest:
    test = AppTest.from_file(NAVIGATION, default_timeout=120)
    test.query_params["run"] = "foreign"
    for key, value in query.items():
        test.query_params[key] = value
    test.run()
    return test if name == "overview" else test.switch_page(f"../pages/{name}.py").run()


def thumb(run: Run) -> int:
    with TestClient(Starlette(routes=ROUTES)) as client:
        return client.get(image_url(run.name, str(run.load_labels()["ids"][0]), 160)).status_code


def test_paths_of_a_foreign_run_are_opened_when_the_user_says_so(foreign):
    named = {name for name, _ in paths_to_ask_about(foreign)}
    assert named == {"data.spec", "clip.pretrained"}
    assert thumb(foreign) == 404
    with pytest.raises(UserError, match=r"clip\.pretrained .*clip\.pt.* say at the top of the page"):
        attend(foreign, foreign.path / "any.jpg", [0])
    test = page()
    assert not test.exception and "data.spec" in test.warning[0].value and "clip.pt" in test.warning[0].value
    # Its own numbers are shown.
    assert "mAP" in " ".join(metric.label for metric in test.metric) + str(test.main)
    test.button(key="open_paths").click().run()
    assert not test.exception and not any("not used on this machine" in one.value for one in test.warning)
    assert thumb(foreign) == 200 and not paths_to_ask_about(foreign)


def test_every_page_opens_with_such_a_run(foreign):
    for name in ("predict", "labels", "cam_boxes"):
        test = page(name)
        assert not test.exception and "not used on this machine" in test.warning[0].value, name


def test_an_app_that_others_reach_does_not_offer_it(foreign, monkeypatch, tiny_scenes):
    monkeypatch.setenv("CCD_SHARED", "1")
    test = page()
    assert "does not open it" in test.warning[0].value
    assert not [button for button in test.button if button.key == "open_paths"]
    assert thumb(foreign) == 404
    change(foreign, recorded={"host": os.uname().nodename})  # what a run says of itself is no proof
    assert thumb(Run.open(foreign.path)) == 404
    monkeypatch.setenv("CCD_DATA", str(tiny_scenes))
    assert thumb(foreign) == 200


def test_its_settings_and_its_resume_wait_for_the_users_word(foreign):
    state = foreign.file("state.json")
    state.write_text(state.read_text().replace('"finished"', '"stopped"'))
    test = page("train", **{"from": "foreign"})
    assert not test.exception and test.button(key="open_settings_paths")
    spec = next(field.value for field in test.text_input if field.label == "Data set")
    assert spec != foreign.config.data.spec
    test.button(key="resume_foreign").click().run()
    assert any("choose the run on the left" in error.value for error in test.error)


def test_what_this_user_has_named_is_known(tiny_run, tiny_scenes, tmp_path):
    named = {name for name, _ in known_paths.unknown_paths(tiny_run.config, [])}
    assert "data.spec" in named
    Run.create(tmp_path / "mine", tiny_run.config, tiny_run.classes)
    assert not known_paths.unknown_paths(tiny_run.config, [])
    deeper = tiny_run.config.changed(data={"spec": f"folder:{tiny_scenes}/JPEGImages"})
    beside = tiny_run.config.changed(data={"spec": f"folder:{tiny_scenes}2"})
    two = tiny_run.config.changed(data={"spec": f"coco:{tiny_scenes}/a.json,/etc"})
    assert not known_paths.unknown_paths(deeper, [])
    assert known_paths.unknown_paths(beside, []) == [("data.spec", f"{tiny_scenes}2")]
    assert known_paths.unknown_paths(two, []) == [("data.spec", "/etc")]
    assert (tmp_path / "state" / "ccd" / "known_paths.json").stat().st_mode & 0o777 == 0o600


def test_a_damaged_list_of_known_paths_knows_nothing(tmp_path):
    file = tmp_path / "state" / "ccd" / "known_paths.json"
    known_paths.remember(["/a"])
    assert known_paths.known() == {"/a"}
    for content in ("{", "[" * 100_000, '{"a": 1}', "[1, null]", "\xff"):
        file.write_bytes(content.encode("latin-1"))
        assert known_paths.known() == frozenset()
    known_paths.remember(["/b"])
    assert known_paths.known() == {"/b"}


def test_a_link_in_a_folder_that_is_open_may_lead_out_of_it(tiny_run, tmp_path):
    (tmp_path / "workspace").mkdir()
    (tmp_path / "private").mkdir()
    (tmp_path / "workspace" / "images").symlink_to(tmp_path / "private")
    config = tiny_run.config.changed(data={"spec": f"folder:{tmp_path}/workspace/images"})
    assert known_paths.unknown_paths(config, [tmp_path / "workspace"])
    (tmp_path / "workspace" / "own").mkdir()
    config = tiny_run.config.changed(data={"spec": f"folder:{tmp_path}/workspace/own"})
    assert not known_paths.unknown_paths(config, [tmp_path / "workspace"])


# -- what is published -----------------------------------------------------------------------------------


@pytest.fixture
def secret(tmp_path) -> Path:
    path = tmp_path / "key"
    path.write_text("a secret of this machine")
    return path


def test_a_space_follows_no_link(ccd, copied_run, secret, tiny_scenes, tmp_path):
    run = copied_run("linked")
    examples = run.file("examples")
    examples.mkdir()
    photo = min((tiny_scenes / "JPEGImages").glob("val*.jpg"))
    (examples / "own.jpg").write_bytes(photo.read_bytes())
    (examples / "linked.jpg").symlink_to(photo)
    (examples / "key").symlink_to(secret)
    (examples / "folder").symlink_to(tmp_path)
    done = ccd("space", run.path, tmp_path / "space")
    assert done.code == 0 and "3 of its examples were left out" in " ".join(done.out.split())
    shared = tmp_path / "space" / "run"
    assert [path.name for path in (shared / "examples").iterdir()] == ["own.jpg"]
    assert not any(path.is_symlink() for path in (tmp_path / "space").rglob("*"))

    run.file("thresholds.json").unlink(missing_ok=True)
    run.file("thresholds.json").symlink_to(secret)
    refused = ccd("space", run.path, tmp_path / "another")
    assert refused.code == 2 and "thresholds.json is a link" in refused.err
    run.file("thresholds.json").unlink()
    (run.path / "checkpoints").rename(tmp_path / "checkpoints")
    (run.path / "checkpoints").symlink_to(tmp_path / "checkpoints")
    assert ccd("space", run.path, tmp_path / "another").code == 2
    assert not (tmp_path / "another").exists()


def test_a_linked_folder_of_examples_is_left_out(ccd, copied_run, tiny_scenes, tmp_path):
    run = copied_run("linked")
    run.file("examples").symlink_to(tiny_scenes / "JPEGImages")
    assert ccd("space", run.path, tmp_path / "space").code == 0
    assert not (tmp_path / "space" / "run" / "examples").exists()


def test_a_space_publishes_no_path_of_the_machine(ccd, copied_run, tmp_path):
    run = copied_run("named")
    (tmp_path / "words.txt").write_text("a")
    change(
        run,
        data={"spec": f"coco:{tmp_path}/a.json,{tmp_path}/b", "classes": str(tmp_path / "words.txt")},
        clip={"model": f"local-dir:{tmp_path}/clip", "pretrained": f"{tmp_path}/clip.pt"},
        classifier={"weights": f"{tmp_path}/weights.pth"},
    )
    assert ccd("space", run.path, tmp_path / "space").code == 0
    shared = tmp_path / "space" / "run"
    for path in shared.rglob("*.*"):
        assert str(tmp_path).encode() not in path.read_bytes() and os.uname().nodename.encode() not in (
            path.read_bytes() if path.suffix == ".yaml" else b""
        )
    opened = Run.open(shared)
    assert opened.config.data.spec == "coco:taken-out" and opened.config.data.classes is None
    assert opened.classes == run.classes and opened.config.labels == run.config.labels
