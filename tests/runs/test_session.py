"""How a run's time in one process ends: finished, stopped or failed, and what its folder says then."""

from __future__ import annotations

import errno
import logging
import os
import signal

import pytest

from ccd_core.errors import Stopped, UserError
from ccd_core.machine.signals import stoppable
from ccd_core.runs.run import Run
from ccd_core.runs.session import session


@pytest.fixture
def run(tiny_run, tmp_path) -> Run:
    return Run.create(tmp_path / "run", tiny_run.config, tiny_run.classes)


def test_a_session_runs_and_is_finished(run):
    with session(run):
        assert run.status == "running"
        logging.getLogger("ccd").info("a line of the block")
    assert run.status == "finished" and run.state["stage"] == "done"
    assert any("a line of the block" in line for line in run.log_tail())


def test_a_request_to_stop_leaves_it_stopped(run):
    with pytest.raises(Stopped), session(run):
        signal.raise_signal(signal.SIGTERM)
    assert run.status == "stopped" and run.state["error"] is None
    assert f"ccd run --resume --out {run.path}" in run.log_tail()[-1]


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
def test_a_log_that_is_no_ordinary_file_is_refused_at_once(run, make):
    run.file("log.txt").unlink(missing_ok=True)
    make(run.file("log.txt"))
    with pytest.raises(UserError, match=r"log\.txt is a link, or no ordinary file; remove it"), session(run):
        raise AssertionError("the session began")


def test_a_result_that_is_gone_is_named_in_the_log(run):
    with session(run):
        run.write_metrics([{"epoch": 0}])
    run.file("metrics.csv").unlink()
    with session(run):
        pass
    assert any(
        "metrics.csv is gone, which this run wrote; it is made again" in line for line in run.log_tail()
    )


def test_a_mistake_of_the_user_is_kept_as_a_sentence(run):
    with pytest.raises(UserError, match="no images"), session(run):
        raise UserError("There are no images.")
    assert run.status == "failed" and run.state["error"] == "There are no images."
    assert "Traceback" not in run.file("log.txt").read_text()


def test_another_error_is_raised_as_it_is_and_logged_with_its_place(run):
    with pytest.raises(ZeroDivisionError), session(run):
        _ = 1 / 0
    assert run.status == "failed" and "Traceback" in run.file("log.txt").read_text()


def test_a_full_disk_is_a_sentence(run):
    with pytest.raises(UserError, match="is full; free some space and resume"), session(run):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_too_little_memory_on_the_gpu_says_which_setting_to_lower(run):
    OutOfMemoryError = type("OutOfMemoryError", (RuntimeError,), {})
    for stage, setting in (("views", "clip.size"), ("training", "classifier.image_size")):
        with pytest.raises(UserError, match=rf"stage {stage}, .*try a smaller {setting}"), session(run):
            run.update_state(stage=stage)
            raise OutOfMemoryError("CUDA out of memory")


def test_a_closed_terminal_is_a_request_to_stop_unless_nohup_ignores_it(no_nohup):
    heard = []
    with pytest.raises(Stopped), stoppable():
        signal.raise_signal(signal.SIGHUP)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stoppable():
            signal.raise_signal(signal.SIGHUP)
            heard.append("it goes on")
    finally:
        signal.signal(signal.SIGHUP, before)
    assert heard == ["it goes on"]


def test_a_run_whose_folder_is_deleted_or_renamed_ends_and_is_not_made_again(tiny_run, tmp_path):
    run = Run.create(tmp_path / "run", tiny_run.config, tiny_run.classes)
    with pytest.raises(UserError, match="deleted or renamed while its run worked"), session(run):
        run.path.rename(tmp_path / "elsewhere")
    assert not run.path.exists() or not list(run.path.glob("*.json"))
    assert Run.open(tmp_path / "elsewhere").status != "finished"
