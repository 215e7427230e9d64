"""Checkpoints: what is saved comes back bit by bit, between epochs and inside of one."""

from __future__ import annotations

import numpy as np
import torch

from ccd_core.training.checkpoint import (
    Checkpoint,
    EpochState,
    load_checkpoint,
    load_model_weights,
    save_checkpoint,
)

ROWS = [{"epoch": 0, "phase": "warm-up", "loss": 0.5, "train_map": 33.0, "val_map": None, "seconds": 1.5}]
MODEL = {"head.weight": torch.randn(3, 4), "backbone.steps": torch.tensor(7)}
OPTIMIZER = {0: {"step": torch.tensor(2.0), "exp_avg": torch.randn(3, 4)}}


def test_a_checkpoint_between_epochs_comes_back(tmp_path):
    save_checkpoint(tmp_path / "last.safetensors", Checkpoint(1, ROWS, MODEL, OPTIMIZER))
    loaded = load_checkpoint(tmp_path / "last.safetensors")
    assert (loaded.epoch, loaded.rows, loaded.inside) == (1, ROWS, None)
    assert loaded.model.keys() == MODEL.keys()
    assert all(torch.equal(loaded.model[name], value) for name, value in MODEL.items())
    assert torch.equal(loaded.optimizer[0]["exp_avg"], OPTIMIZER[0]["exp_avg"])


def test_a_place_inside_of_an_epoch_comes_back_with_its_random_numbers(tmp_path):
    scores = np.random.default_rng(0).random((5, 3), dtype=np.float32)
    losses = [torch.tensor(0.75), torch.tensor(0.5)]
    inside = EpochState(2, scores, losses, torch.get_rng_state(), 3.25)
    save_checkpoint(tmp_path / "last.safetensors", Checkpoint(1, ROWS, MODEL, OPTIMIZER, inside))
    expected = torch.rand(4)
    back = load_checkpoint(tmp_path / "last.safetensors").inside
    torch.set_rng_state(back.random)
    assert torch.equal(torch.rand(4), expected)
    assert (back.step, back.seconds, back.losses) == (2, 3.25, losses)
    np.testing.assert_array_equal(back.scores, scores)


def test_the_models_weights_are_read_alone(tmp_path):
    save_checkpoint(tmp_path / "warmup.safetensors", Checkpoint(1, ROWS, MODEL, OPTIMIZER))
    weights = load_model_weights(tmp_path / "warmup.safetensors")
    assert weights.keys() == MODEL.keys() and torch.equal(weights["head.weight"], MODEL["head.weight"])
