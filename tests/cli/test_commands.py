"""All commands: their help, and one sentence for a mistake."""

from __future__ import annotations

import pytest

from tests.support import ccd_process


@pytest.mark.parametrize(
    "command", [[], ["run"], ["eval"], ["predict"], ["runs"], ["doctor"], ["app"], ["gradio"]]
)
def test_help(ccd, command):
    result = ccd(*command, "--help")
    assert result.code == 0 and "Usage" in result.out


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """An empty folder to be in."""
    monkeypatch.setenv("CCD_RUNS", "runs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["eval", "/nowhere"], "/nowhere is not a run"),
        (["predict", "/nowhere", "a.jpg"], "/nowhere is not a run"),
        (["gradio", "/nowhere"], "/nowhere is not a run"),
        (["run", "--preset", "papre"], "no preset 'papre'"),
        (["run", "--dataset", "folder:/nowhere"], "no folder /nowhere"),
        (["run", "--dataset", "vco2012:/data"], "no data set 'vco2012:/data'"),
        (["run", "--dataset", "voc2012:/nowhere"], "VOCtrainval_11-May-2012.tar"),
        (["run", "--set", "labels.alpha=7"], "labels.alpha"),
        (["run", "--resume"], "--resume needs --out"),
        (["run", "--set", "device=tpu"], "no device 'tpu'"),
        (["run", "--set", "device=tpu", "--queue"], "no device 'tpu'"),
        (["app", "--address", "0.0.0.0"], "everyone who reaches this machine could start and delete runs"),
        (["app", "--token", "short"], "A token needs at least 16 characters"),
        (["app", "--data", "/nowhere"], "There is no folder /nowhere for --data"),
    ],
)
def test_a_mistake_gets_one_sentence_and_exit_code_2(ccd, elsewhere, arguments, sentence):
    result = ccd(*arguments)
    assert result.code == 2 and sentence in " ".join(result.err.split())
    assert not any(elsewhere.iterdir())  # no run is left behind that cannot run


def test_a_mistake_shows_no_traceback_in_a_shell(elsewhere):
    result = ccd_process("run", "--set", "labels.alpha=7")
    assert result.returncode == 2 and result.stderr.startswith("Error: setting labels.alpha")
    assert "Traceback" not in result.stderr and not any(elsewhere.iterdir())
