"""Training: stopped inside of an epoch, it goes on to the same weights."""

from __future__ import annotations

import signal

import pytest

from ccd_core.errors import Stopped
from ccd_core.execution import run_ccd
from ccd_core.method.early_stop import first_local_minimum
from ccd_core.runs.run import Run
from ccd_core.training.checkpoint import load_checkpoint
from tests.support import same_result, tiny_config


def test_stopped_inside_of_an_epoch_it_resumes_to_the_same_weights(tiny_run, tmp_path):
    """After two of three steps of the first epoch, and again after one step of the last."""
    left: list[tuple[str, int, str]] = []

    def reporter(stage: str, done: int, total: int, detail: str) -> None:
        if (stage, done, detail) in left:
            left.remove((stage, done, detail))
            signal.raise_signal(signal.SIGTERM)

    for moment, epoch, step in (
        (("warm-up", 32, "epoch 1 of 4"), 0, 2),
        (("training", 16, "epoch 4 of 4"), 3, 1),
    ):
        left.append(moment)
        with pytest.raises(Stopped):
            run_ccd(tiny_run.config, tmp_path / "run", reporter)
        run = Run.open(tmp_path / "run")
        checkpoint = load_checkpoint(run.file("checkpoints", "last.safetensors"))
        assert run.status == "stopped"
        assert (checkpoint.epoch, checkpoint.inside.step) == (epoch, step)
    assert same_result(tiny_run, run_ccd(tiny_run.config, tmp_path / "run", reporter))
    columns = ["epoch", "phase", "loss", "train_map", "val_map"]
    assert run.load_metrics()[columns].equals(tiny_run.load_metrics()[columns])


def test_each_epoch_leaves_its_row(tiny_run):
    metrics = tiny_run.load_metrics()
    assert metrics["phase"].tolist() == ["warm-up", "warm-up", "main", "main"]
    assert metrics["loss"].between(0, 10).all() and metrics["val_map"].between(0, 100).all()
    assert load_checkpoint(tiny_run.file("checkpoints", "warmup.safetensors")).epoch == 2


def test_early_stopping_keeps_the_first_local_minimum_after_the_labels_were_updated(tiny_scenes, tmp_path):
    """The gains of the warm-up were measured against other labels and do not count."""
    settings = {"epochs": 8, "keep": "first_local_minimum"}
    run = run_ccd(tiny_config(tiny_scenes, training=settings), tmp_path / "run")
    metrics = run.load_metrics()
    train_map = metrics["train_map"][metrics["phase"] == "main"].tolist()
    found = first_local_minimum(train_map)
    assert found in (None, len(train_map) - 1)  # training ends where it is found
    assert run.load_json("checkpoints", "best.json")["epoch"] == len(metrics) - 1
    assert len(metrics) == 8 or found is not None
