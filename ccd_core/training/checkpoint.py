"""Checkpoints. Each is one safetensors file, with everything that is not a tensor in its header."""

from __future__ import annotations

import errno
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ccd_core.errors import UserError
from ccd_core.files import reading, replacing
from ccd_core.runs.files.digests import check_digest
from ccd_core.runs.run import Run

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
    method: dict[str, Tensor] = field(default_factory=dict)  # the state of a method other than CCD
    average: dict[str, Tensor] = field(default_factory=dict)  # the averaged weights, where there are any


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write the checkpoint to `path`, completely or not at all."""
    tensors = {f"model.{name}": value for name, value in checkpoint.model.items()}
    for index, state in checkpoint.optimizer.items():
        tensors |= {f"optimizer.{index}.{key}": torch.as_tensor(value) for key, value in state.items()}
    tensors |= {f"method.{name}": value for name, value in checkpoint.method.items()}
    tensors |= {f"average.{name}": value for name, value in checkpoint.average.items()}
    header = {"epoch": str(checkpoint.epoch), "rows": json.dumps(checkpoint.rows)}
    if checkpoint.inside:
        inside = checkpoint.inside
        tensors["midway.scores"] = torch.from_numpy(inside.scores)
        tensors["midway.losses"] = torch.stack(inside.losses)
        tensors["midway.random"] = inside.random
        header |= {"step": str(inside.step), "seconds": str(inside.seconds)}
    write_tensors(path, tensors, header)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint that `save_checkpoint` wrote. Raises UserError if it is damaged."""
    with reading(path):
        return _checkpoint(path)


def _checkpoint(path: Path) -> Checkpoint:
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
    rows = json.loads(header["rows"])
    method = _without_prefix(tensors, "method.")
    average = _without_prefix(tensors, "average.")
    return Checkpoint(int(header["epoch"]), rows, model_weights(tensors), optimizer, inside, method, average)


def load_model_weights(path: Path) -> dict[str, Tensor]:
    """Read the classifier's weights of a checkpoint, {name: tensor}, and nothing else.

    Raises UserError if it is damaged.
    """
    with reading(path), safe_open(path, framework="pt") as file:
        names = [name for name in file.keys() if name.startswith("model.")]  # noqa: SIM118 - not a dict
        return model_weights({name: file.get_tensor(name) for name in names})


def load_kept_weights(run: Run) -> dict[str, Tensor]:
    """The weights of the run's final classifier, {name: tensor}.

    Raises UserError if they are not there, are damaged, or are not those that the run wrote.
    """
    path = run.file("checkpoints", "best.safetensors")
    check_digest(run.path, "checkpoints/best.safetensors")
    with reading(path):
        weights = load_file(path)
        for name, value in weights.items():
            if value.is_floating_point() and not torch.isfinite(value).all():
                raise ValueError(f"{name} has values that are no numbers")
    return weights


def set_kept_weights(model: nn.Module, weights: dict[str, Tensor], run: Run) -> None:
    """Give `model` the weights of the run's final classifier. Raises UserError if they do not fit."""
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(
            f"The weights of run {run.name} do not fit the classifier that its settings name: "
            f"{' '.join(str(error).split())[:200]}."
        ) from None


def model_weights(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The classifier's weights among all tensors of a checkpoint."""
    return _without_prefix(tensors, "model.")


def _without_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, without it."""
    found = [name for name in tensors if name.startswith(prefix)]
    return {name.removeprefix(prefix): tensors[name] for name in found}


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
