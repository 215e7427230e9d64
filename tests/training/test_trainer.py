"""Training: stopped inside of an epoch, it goes on to the same weights."""

from __future__ import annotations

import signal

import pytest
from safetensors import safe_open

from ccd_core.errors import Stopped
from ccd_core.pipeline import run_ccd
from ccd_core.runs.run import Run
from tests.support import same_result


def test_stopped_inside_of_epochs_it_resumes_to_the_same_weights(tiny_run, tmp_path):
    """Two of three steps of the first epoch, then one of the last, then the rest; metrics.csv is that of an undisturbed run."""
    moments = {("warm-up", 32, "epoch 1 of 4"): 2, ("training", 16, "epoch 4 of 4"): 1}

    def reporter(stage: str, done: int, total: int, detail: str) -> None:
        if (stage, done, detail) in left:
            left.remove((stage, done, detail))
            signal.raise_signal(signal.SIGTERM)

    for (stage, done, detail), step in moments.items():
        left = [(stage, done, detail)]
        with pytest.raises(Stopped):
            run_ccd(tiny_run.config, tmp_path / "run", reporter)
        run = Run.open(tmp_path / "run")
        with safe_open(run.file("checkpoints", "last.safetensors"), "pt") as file:
            assert (
                run.status == "stopped"
                and file.metadata()["step"] == str(step)
                and file.metadata()["epoch"] == str(int(detail[6]) - 1)
            )
    left = []
    assert same_result(tiny_run, run_ccd(tiny_run.config, tmp_path / "run", reporter))
    columns = ["epoch", "phase", "loss", "train_map", "val_map"]
    assert run.load_metrics()[columns].equals(tiny_run.load_metrics()[columns])
