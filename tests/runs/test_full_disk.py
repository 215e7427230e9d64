"""A disk that fills up while a run works ends it with one sentence, and the run goes on later."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from ccd_core.errors import UserError
from ccd_core.runs.run import Run
from ccd_core.runs.session import session
from ccd_core.training.checkpoint import write_tensors


@pytest.fixture
def small_disk(tmp_path) -> Path:
    """A disk of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting a disk needs more rights than this user has")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_one_sentence_and_the_state_says_failed(small_disk, tiny_run):
    run = Run(small_disk / "run", tiny_run.config, tiny_run.classes)
    shutil.copytree(
        tiny_run.path, run.path, ignore=lambda *_: {"checkpoints", "views.parquet", "tensorboard"}
    )
    with pytest.raises(UserError, match="The disk that holds .* is full"), session(run):
        write_tensors(run.file("checkpoints", "last.safetensors"), {"weights": torch.zeros(1_000_000)})
    assert run.status == "failed" and "full" in run.state["error"]
    assert not list(run.path.rglob("*.partial"))
