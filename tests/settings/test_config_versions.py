"""Settings of runs of earlier and newer versions."""

from __future__ import annotations

import pytest
import yaml

from ccd_core.config import CCDConfig, build_recorded, load_config
from ccd_core.errors import UserError
from ccd_core.execution import run_ccd
from ccd_core.runs.run import Run, damaged_runs, list_runs
from ccd_core.settings.versions import VERSION, of_version_1
from tests.cli.conftest import ccd

__all__ = ["ccd"]


def change(run: Run, edit) -> Run:
    path = run.file("config.yaml")
    values = yaml.safe_load(path.read_text())
    edit(values)
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return Run.open(run.path)


def test_every_setting_of_version_1_is_still_one():
    config = CCDConfig.preset("demo").model_dump()
    for name in of_version_1():
        section, _, key = name.rpartition(".")
        assert key in (config[section] if section else config), name


def test_a_new_run_says_its_version(tiny_run):
    assert yaml.safe_load(tiny_run.file("config.yaml").read_text())["version"] == VERSION
    assert Run.open(tiny_run.path).lost == ()
    assert yaml.safe_load(tiny_run.settings_to_share())["version"] == VERSION
    assert load_config(config_file=tiny_run.file("config.yaml")) == tiny_run.config


def test_a_lost_setting_has_the_value_of_the_preset_and_is_named(copied_run):
    def lose(values):
        values["training"].pop("learning_rate")
        values["training"].pop("schedule")
        del values["bias"]
        del values["version"]

    run = change(copied_run("demo"), lose)
    demo = CCDConfig.preset("demo")
    assert run.config.training.learning_rate == demo.training.learning_rate == 1e-3
    assert run.config.training.schedule == demo.training.schedule and run.config.bias == demo.bias
    assert "training.learning_rate" in run.lost and "bias.mode" in run.lost
    run_ccd(run.config, run.path)
    log = run.file("log.txt").read_text()
    assert "lacks bias.entropy_threshold, bias.floor, bias.mode, training" in log and "the preset demo" in log


def test_a_setting_newer_than_the_run_has_the_default_that_changes_nothing():
    values = CCDConfig.preset("laptop").model_dump(mode="json")
    del values["method"]
    config, lost = build_recorded(values)
    assert lost == [] and config.method == CCDConfig().method


def test_settings_of_a_newer_version_are_named_and_the_run_is_a_row(copied_run, ccd, tmp_path):
    copied_run("runs/good")
    newer = copied_run("runs/newer")

    def add(values):
        values["version"] = VERSION + 1
        values["labels"]["new_thing"] = 3
        values["sounds"] = {"loud": True}

    with pytest.raises(UserError, match=r"newer ccd .* does not know labels\.new_thing, sounds; update ccd"):
        change(newer, add)
    workspace = tmp_path / "runs"
    assert [run.name for run in list_runs(workspace)] == ["good"]
    assert "labels.new_thing" in damaged_runs(workspace)["newer"]
    for verb in ("runs", "jobs"):
        listed = ccd(verb, "list", "--workspace", workspace, "--json")
        rows = {row["run"]: row for row in yaml.safe_load(listed.out)}
        assert rows["newer"]["status"] == "damaged" and "labels.new_thing" in rows["newer"]["error"]
        assert rows["good"]["status"] == "finished"


@pytest.mark.parametrize("version", ["x", True, 0, -1, 1.5, None])
def test_a_version_is_a_number(version):
    with pytest.raises(UserError, match="setting version"):
        build_recorded({"version": version} | CCDConfig.preset("demo").model_dump(mode="json"))
