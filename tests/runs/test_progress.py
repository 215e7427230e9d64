"""Progress: state.json and a listener are told how far a stage is."""

from __future__ import annotations

import pytest

from ccd_core.runs.progress import STAGES, Progress, Silent
from ccd_core.runs.run import Run


@pytest.fixture
def run(tiny_run, tmp_path) -> Run:
    return Run.create(tmp_path / "run", tiny_run.config, tiny_run.classes)


def test_a_listener_hears_every_step_and_state_json_the_last(run):
    heard = []
    with Progress(run, lambda *told: heard.append(told)).stage("views", 4, "pass 1") as advance:
        advance(2)
        advance(4)
    assert heard == [("views", done, 4, "pass 1") for done in (0, 2, 4)]
    state = run.state
    assert (state["stage"], state["detail"], state["done"], state["total"]) == ("views", "pass 1", 4, 4)


def test_seconds_of_a_stage_add_up_over_sessions(run):
    run.update_state(seconds={"global": 3.0, "views": 10.0})
    with Progress(run).stage("views", 2, begin=1) as advance:
        advance(2)
    assert run.state["seconds"]["views"] >= 10 and run.state["seconds"]["global"] == 3.0


def test_the_time_left_is_judged_by_this_session_alone(run):
    progress = Progress(run)
    with progress.stage("global", 1000, begin=900) as advance:
        assert run.state.get("eta_seconds") is None
        progress.written = 0  # state.json was written long ago
        advance(950)
        assert run.state["done"] == 950
        assert 0 <= run.state["eta_seconds"] < 60  # 50 took no time, and 50 are left


def test_what_comes_before_a_stage_is_said(run):
    Progress(run).preparing("loading CLIP demo")
    assert run.state["stage"] == "starting" and run.state["detail"] == "loading CLIP demo"


def test_other_processes_than_the_first_tell_nobody(run):
    with Silent().stage("views", 2) as advance:
        advance(2)
    assert run.state == {}


def test_stages_have_an_order():
    assert STAGES == ("images", "global", "warm-up", "views", "training", "scores", "done")
