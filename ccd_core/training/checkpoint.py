"""Checkpoints. Each is one safetensors file, with everything that is not a tensor in its header."""

from __future__ import annotations

import errno
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ccd_core.files import replacing

Row = dict[str, Any]  # a row of metrics.csv: epoch, phase, loss, train_map, val_map, seconds


@dataclass
class EpochState:
    """A place within an epoch, between two steps."""

    step: int  # the index of the next step
    scores: np.ndarray  # [N, C] float32, the epoch's predictions so far
    losses: list[Tensor]  # one for each step so far
    random: Tensor  # the state of the random generators
    seconds: float  # time spent on the epoch so far


@dataclass
class Checkpoint:
    """Everything that training needs to go on."""

    epoch: int  # the index of the next epoch, or of the unfinished one
    rows: list[Row]  # the metrics so far
    model: dict[str, Tensor]
    optimizer: dict[int, dict[str, Tensor]]
    inside: EpochState | None = None  # set within an epoch


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write the checkpoint to `path`, completely or not at all."""
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
    """Read a checkpoint that `save_checkpoint` wrote."""
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
    """Read the classifier's weights of a checkpoint, {name: tensor}, and nothing else."""
    with safe_open(path, framework="pt") as file:
        names = [name for name in file.keys() if name.startswith("model.")]  # noqa: SIM118 - not a dict
        return model_weights({name: file.get_tensor(name) for name in names})


def model_weights(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The classifier's weights among all tensors of a checkpoint."""
    return {
        name.removeprefix("model."): value for name, value in tensors.items() if name.startswith("model.")
    }


def write_tensors(path: Path, tensors: dict[str, Tensor], header: dict[str, str] | None = None) -> None:
    """Write {name: tensor} to a safetensors file, completely or not at all."""
    with replacing(path) as partial:
        try:
            save_file({name: value.contiguous() for name, value in tensors.items()}, partial, metadata=header)
        except SafetensorError as error:
            if "No space left" in str(error):  # the library hides the system's error in one of its own
                raise OSError(errno.ENOSPC, "No space left on device", str(path)) from None
            raise


def random_state(device: torch.device) -> Tensor:
    """The state of the CPU's random generator, followed by that of the GPU's if there is one. uint8 [L]."""
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    return torch.cat(states)


def set_random_state(state: Tensor, device: torch.device) -> None:
    """Set the random generators to a `state` that `random_state` returned."""
    cpu = len(torch.get_rng_state())
    torch.set_rng_state(state[:cpu])
    if device.type == "cuda" and len(state) > cpu:
        torch.cuda.set_rng_state(state[cpu:], device)
