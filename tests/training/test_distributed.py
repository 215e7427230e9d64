"""One run on two devices: two processes over gloo, compared with one; what happens when one of them dies."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from safetensors.torch import load_file

from ccd_core.config import CCDConfig
from ccd_core.errors import UserError
from ccd_core.execution import run_ccd
from ccd_core.runs.run import Run
from tests.support import tiny_config, wait_for

BATCH = 12  # 40 images: three batches of 12 and one of 4, no multiple of anything


@pytest.fixture(scope="module")
def config(tiny_scenes) -> CCDConfig:
    return tiny_config(tiny_scenes, training={"batch_size": BATCH})


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> dict[str, str]:
    """Every number computed anew, by one thread a process."""
    return os.environ | {
        "OMP_NUM_THREADS": "1",
        "CCD_HOME": str(tmp_path_factory.mktemp("home")),
        "CCD_DEBUG": "",
    }


def start(run: Run, environment: dict[str, str], *more: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "ccd_core.cli", "run", "--resume", "--out", str(run.path), *more]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )


@pytest.fixture(scope="module")
def on_one(config, environment, tmp_path_factory) -> Run:
    threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CCD_HOME", environment["CCD_HOME"] + "-one")
        torch.set_num_threads(1)
        run = run_ccd(config, tmp_path_factory.mktemp("one") / "run")
        torch.set_num_threads(threads)
    return run


def assert_same_labels(one: Run, other: Run) -> None:
    for key, values in one.load_labels().items():
        np.testing.assert_array_equal(values, other.load_labels()[key], err_msg=key)
    assert one.load_views().equals(other.load_views())
    assert (one.load_view_probabilities() == other.load_view_probabilities()).all()


def assert_same_model(one: Run, other: Run) -> None:
    """To rounding: sums over a batch are taken in another order."""
    weights = load_file(other.file("checkpoints", "best.safetensors"))
    for name, value in load_file(one.file("checkpoints", "best.safetensors")).items():
        torch.testing.assert_close(value, weights[name], atol=2e-3, rtol=1e-3, msg=name)
    np.testing.assert_allclose(one.load_metrics()["train_map"], other.load_metrics()["train_map"], atol=1.0)
    assert one.load_ap()["val"]["mAP"] == pytest.approx(other.load_ap()["val"]["mAP"], abs=1.0)


def workers(process: subprocess.Popen) -> list[psutil.Process]:
    """The processes of a run that `process` launched, one a device."""
    children = psutil.Process(process.pid).children(recursive=True)
    return [child for child in children if "ccd_core.worker" in " ".join(child.cmdline())]


def seen_while_running(condition, process: subprocess.Popen) -> None:
    """Wait for `condition`; a run that ends before it fails with its output."""
    wait_for(lambda: condition() or process.poll() is not None)
    assert condition(), process.communicate()[0]


@pytest.mark.slow
def test_two_processes_make_the_labels_of_one_to_the_bit_also_after_one_was_lost(
    config, on_one, environment, tmp_path
):
    run = Run.create(tmp_path / "run", config.changed(device="cpu:0,1"), on_one.classes)
    process = start(run, environment)
    seen_while_running(lambda: run.state.get("stage") == "warm-up", process)
    both = workers(process)
    assert len(both) == 2 and run.state["pid"] == process.pid and run.status == "running"
    both[1].kill()
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 2 and "on cpu:" in said and "SIGKILL" in said and "Traceback" not in said
    assert run.status == "failed" and "SIGKILL" in run.state["error"]
    assert not any(one.is_running() for one in both)

    process = start(run, environment)
    assert process.wait(100) == 0, process.communicate()[0]
    assert run.status == "finished"
    assert_same_labels(on_one, run)
    assert_same_model(on_one, run)
    assert not list(run.path.rglob("*.partial")) and not list(run.file("partial").glob("*"))
    assert run.load_metrics()["phase"].tolist() == ["warm-up", "warm-up", "main", "main"]


@pytest.mark.slow
def test_a_stopped_run_of_two_devices_goes_on_on_one(config, on_one, environment, tmp_path):
    run = Run.create(tmp_path / "run", config.changed(device="cpu:0,1"), on_one.classes)
    process = start(run, environment)
    seen_while_running(lambda: run.has("views.parquet"), process)
    both = workers(process)
    process.terminate()
    assert process.wait(30) == 1
    assert run.status == "stopped" and not any(one.is_running() for one in both)
    process = start(run, environment, "--device", "cpu")
    assert process.wait(100) == 0, process.communicate()[0]
    assert_same_labels(on_one, run)
    assert_same_model(on_one, run)


def test_devices_that_are_not_there_are_said_before_anything_starts(config, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(UserError, match="no usable CUDA GPU"):
        run_ccd(config.changed(device="cuda:0,1"), Path(tmp_path) / "run")


FULL = """
import os
import torch

if os.environ.get("LOCAL_RANK") == "1":  # one of the two processes, and not the one that launches them
    from ccd_core.method.classifier import CamClassifier

    forward = CamClassifier.forward

    def forward_few(self, x, return_cam=False):
        if self.training and torch.is_grad_enabled() and len(x) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return forward(self, x, return_cam)

    CamClassifier.forward = forward_few
"""


@pytest.mark.slow
def test_where_one_of_two_runs_out_of_memory_both_go_on_with_half_and_the_labels_are_the_same(
    config, on_one, environment, tmp_path
):
    """The second process holds 3 of the 6 images that it gets of a batch."""
    (tmp_path / "sitecustomize.py").write_text(FULL)
    run = Run.create(tmp_path / "run", config.changed(device="cpu:0,1"), on_one.classes)
    paths = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    process = start(run, environment | {"PYTHONPATH": paths})
    said = process.communicate(timeout=100)[0]
    assert process.returncode == 0, said
    assert run.status == "finished" and "3 images in one pass" in run.file("log.txt").read_text()
    assert_same_labels(on_one, run)
    assert run.load_metrics()["phase"].tolist() == ["warm-up", "warm-up", "main", "main"]
    assert run.load_metrics()["loss"].tolist() == pytest.approx(on_one.load_metrics()["loss"], abs=0.05)
