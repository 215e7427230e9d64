"""Weights from files of this machine, never an arbitrary pickle."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path

import torch
from torch import Tensor

from ccd_core.errors import UserError


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name, without the wrappings of training scripts. Nothing in the file is executed.

    Raises UserError where there is no such file, or none that can be read so.
    """
    if not path.is_file():
        raise UserError(f"There is no file of weights {path}.")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        with warnings.catch_warnings():  # torch's advice on TorchScript and pickle protocols
            warnings.simplefilter("ignore")
            try:
                loaded = torch.load(
                    path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
                )
            except Exception as error:  # torch has many kinds for a file it will not read
                try:
                    return dict(
                        torch.jit.load(str(path), map_location="cpu").state_dict()
                    )  # OpenAI's archives are TorchScript
                except Exception:
                    raise error from None
    except Exception as error:
        raise UserError(
            f"{path} is not a checkpoint that can be read safely (safetensors, or tensors saved by torch): {first_line(error)}."
        ) from None
    state = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else {}
    return {key.removeprefix("module."): value for key, value in state.items() if isinstance(value, Tensor)}


def first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")[:200]
