"""Checkpoints: one safetensors file, whose header holds what is not a tensor."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from ccd_core.files import replacing

Row = dict[str, Any]  # of metrics.csv: epoch, phase, loss, train_map, val_map, seconds


@dataclass
class EpochState:
    """How far an epoch is.

    step: the next one; scores: [N, C] float32 predictions so far; losses: one a step so far; random: the state of the random
    numbers; seconds: time spent on the epoch.
    """

    step: int
    scores: np.ndarray
    losses: list[Tensor]
    random: Tensor
    seconds: float


@dataclass
class Checkpoint:
    """What training goes on from: the next epoch, the metrics so far, weights, the optimiser's state, and a place inside the epoch."""

    epoch: int
    rows: list[Row]
    model: dict[str, Tensor]
    optimizer: dict[int, dict[str, Tensor]]
    inside: EpochState | None = None


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write the checkpoint to `path`, whole or not at all."""
    tensors = {f"model.{name}": value for name, value in checkpoint.model.items()}
    for index, state in checkpoint.optimizer.items():
        tensors |= {f"optimizer.{index}.{key}": torch.as_tensor(value) for key, value in state.items()}
    header = {"epoch": str(checkpoint.epoch), "rows": json.dumps(checkpoint.rows)}
    if checkpoint.inside:
        inside = checkpoint.inside
        tensors["midway.scores"] = torch.from_numpy(inside.scores)
        tensors["midway.losses"] = torch.stack(inside.losses)
        tensors["midway.random"] = inside.random
        header |= {"step": str(inside.step), "seconds": str(inside.seconds)}
    write_tensors(path, tensors, header)


def load_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint in `path`."""
    with safe_open(path, framework="pt") as file:
        header = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    optimizer: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".")
            optimizer.setdefault(int(index), {})[key] = value
    inside = None
    if "step" in header:
        losses = list(tensors["midway.losses"])
        scores = tensors["midway.scores"].numpy()
        step = int(header["step"])
        inside = EpochState(step, scores, losses, tensors["midway.random"], float(header["seconds"]))
    return Checkpoint(
        int(header["epoch"]), json.loads(header["rows"]), model_weights(tensors), optimizer, inside
    )


def load_model_weights(path: Path) -> dict[str, Tensor]:
    """The classifier's weights alone."""
    with safe_open(path, framework="pt") as file:
        names = [name for name in file.keys() if name.startswith("model.")]  # noqa: SIM118 - not a dict
        return model_weights({name: file.get_tensor(name) for name in names})


def model_weights(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix("model."): value for name, value in tensors.items() if name.startswith("model.")
    }


def write_tensors(path: Path, tensors: dict[str, Tensor], header: dict[str, str] | None = None) -> None:
    """Write tensors by name to a safetensors file, whole or not at all."""
    with replacing(path) as partial:
        save_file({name: value.contiguous() for name, value in tensors.items()}, partial, metadata=header)


def random_state(device: torch.device) -> Tensor:
    """uint8: the state of the CPU's random numbers and, behind it, that of a GPU's."""
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    return torch.cat(states)


def set_random_state(state: Tensor, device: torch.device) -> None:
    """Go on with the random numbers at `state`, as `random_state` gave it."""
    cpu = len(torch.get_rng_state())
    torch.set_rng_state(state[:cpu])
    if device.type == "cuda" and len(state) > cpu:
        torch.cuda.set_rng_state(state[cpu:], device)
