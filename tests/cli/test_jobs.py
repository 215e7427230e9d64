"""`ccd jobs`: start, watch, list, stop, resume and follow from a terminal."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from ccd_core.cli import jobs as cli_jobs
from ccd_core.cli.commands import app
from ccd_core.errors import UserError
from ccd_core.jobs import control as jobs
from ccd_core.runs.run import Run
from tests.support import tiny_config, wait_for


def test_the_terminal_starts_watches_and_lists(workspace, tiny_scenes):
    settings = workspace.parent / "settings.yaml"
    settings.write_text(tiny_config(tiny_scenes, training={"epochs": 2, "warmup_epochs": 1}).to_yaml())
    run = CliRunner()
    started = run.invoke(
        app, ["jobs", "start", "--config", str(settings), "--name", "one", "--workspace", str(workspace)]
    )
    assert started.exit_code == 0 and started.stdout.strip() == str(workspace / "one")
    watched = run.invoke(app, ["jobs", "watch", "one", "--workspace", str(workspace)])
    assert watched.exit_code == 0 and "one: finished" in watched.stdout
    listed = json.loads(run.invoke(app, ["jobs", "list", "--json", "--workspace", str(workspace)]).stdout)
    assert [(job["run"], job["status"], job["place"]) for job in listed] == [("one", "finished", "local")]
    assert "finished" in run.invoke(app, ["jobs", "logs", "one", "--workspace", str(workspace)]).stdout
    Run.open(workspace / "one").update_state(status="failed", error="It broke.")
    shown = run.invoke(app, ["jobs", "show", "one", "--workspace", str(workspace)])
    assert shown.exit_code == 1 and "It broke." in shown.stdout


def test_the_terminal_stops_resumes_and_follows(workspace, tiny_scenes):
    for name in ("one", "two"):
        jobs.start(tiny_config(tiny_scenes, training={"epochs": 2, "warmup_epochs": 1}), workspace / name)
    one, two = (Run.open(workspace / name) for name in ("one", "two"))
    run, at = CliRunner(), ["--workspace", str(workspace)]
    wait_for(lambda: one.state.get("stage"))
    assert (
        one.state["stage"] == "starting"
        and one.state["detail"].startswith("loading")
        and "starting (loading" in cli_jobs._progress(one.state)
    )
    stopped = run.invoke(app, ["jobs", "stop", "two", "one", *at])
    assert stopped.exit_code == 0 and "two: stopped" in stopped.stdout and "one: stopped" in stopped.stdout
    assert one.status == two.status == "stopped"
    again = run.invoke(app, ["jobs", "stop", "one", *at])
    assert isinstance(again.exception, UserError) and "is not running" in str(again.exception)
    assert run.invoke(app, ["jobs", "logs", "one", "--follow", *at]).exit_code == 1  # it was stopped
    resumed = run.invoke(app, ["jobs", "resume", "one", *at])
    assert resumed.exit_code == 0 and "one: queued" in resumed.stdout
    followed = run.invoke(app, ["jobs", "logs", "one", "--follow", "--lines", "1", *at])
    lines = followed.stdout.splitlines()
    assert (
        followed.exit_code == 0
        and lines[-1].endswith("finished")
        and sum("epoch 1 (main)" in line for line in lines) == 1
    )
    assert two.status == "stopped"


@pytest.mark.parametrize(
    "words, message",
    [(["--place", "moon"], "no place"), (["--place", "slurm", "--sbatch", "account"], "KEY=VALUE")],
)
def test_wrong_places_are_said(words, message, tmp_path):
    from typer.testing import CliRunner

    from ccd_core.cli.commands import app

    result = CliRunner().invoke(
        app, ["jobs", "start", "--preset", "demo", "--workspace", str(tmp_path), *words]
    )
    assert isinstance(result.exception, UserError) and message in str(result.exception)
