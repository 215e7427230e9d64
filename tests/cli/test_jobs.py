"""`ccd jobs`: start, watch, list, stop, resume and follow from a terminal."""

from __future__ import annotations

import json

import pytest

from ccd_core.cli.verbs import jobs as cli_jobs
from ccd_core.jobs import control
from ccd_core.runs.run import Run
from tests.support import tiny_config, wait_for

SHORT = {"epochs": 2, "warmup_epochs": 1}


def test_a_job_is_started_watched_listed_and_shown(ccd, workspace, tiny_scenes, tmp_path):
    (tmp_path / "settings.yaml").write_text(tiny_config(tiny_scenes, training=SHORT).to_yaml())
    at = ["--workspace", workspace]
    started = ccd("jobs", "start", "--config", tmp_path / "settings.yaml", "--name", "one", *at)
    assert started.code == 0 and started.out.strip() == str(workspace / "one")
    watched = ccd("jobs", "watch", "one", *at)
    assert watched.code == 0 and "one: finished" in watched.out
    (listed,) = json.loads(ccd("jobs", "list", "--json", *at).out)
    assert (listed["run"], listed["status"], listed["place"]) == ("one", "finished", "local")
    assert "finished" in ccd("jobs", "logs", "one", *at).out
    Run.open(workspace / "one").update_state(status="failed", error="It broke.")
    shown = ccd("jobs", "show", "one", *at)
    assert shown.code == 1 and "It broke." in shown.out


def test_jobs_are_stopped_resumed_and_followed(ccd, workspace, tiny_scenes):
    at = ["--workspace", workspace]
    one, two = (
        control.start(tiny_config(tiny_scenes, training=SHORT), workspace / name) for name in ("one", "two")
    )
    wait_for(lambda: one.state.get("stage"))
    assert one.state["stage"] == "starting" and one.state["detail"].startswith("loading")
    assert "starting (loading" in cli_jobs._progress(one.state)
    stopped = ccd("jobs", "stop", "two", "one", *at)
    assert stopped.code == 0 and "two: stopped" in stopped.out and "one: stopped" in stopped.out
    assert one.status == two.status == "stopped"
    again = ccd("jobs", "stop", "one", *at)
    assert again.code == 2 and "is not running" in again.err
    assert ccd("jobs", "logs", "one", "--follow", *at).code == 1  # it was stopped
    resumed = ccd("jobs", "resume", "one", *at)
    assert resumed.code == 0 and "one: queued" in resumed.out
    followed = ccd("jobs", "logs", "one", "--follow", "--lines", 1, *at)
    lines = followed.out.splitlines()
    assert followed.code == 0 and lines[-1].endswith("finished")
    assert sum("epoch 1 (main)" in line for line in lines) == 1
    assert two.status == "stopped"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [(["--place", "moon"], "no place"), (["--place", "slurm", "--sbatch", "account"], "KEY=VALUE")],
)
def test_a_wrong_place_is_one_sentence(ccd, words, sentence, tmp_path):
    result = ccd("jobs", "start", "--preset", "demo", "--workspace", tmp_path, *words)
    assert result.code == 2 and sentence in result.err
