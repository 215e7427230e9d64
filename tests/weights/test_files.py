"""Files of weights: tensors by name, whatever a training script wrapped around them."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from ccd_core.weights.files import first_line, read_weights
from ccd_core.errors import UserError

WEIGHTS = {"conv.weight": torch.arange(4.0), "conv.bias": torch.zeros(1)}


@pytest.mark.parametrize(
    "wrapped",
    [
        WEIGHTS,
        {"state_dict": WEIGHTS, "epoch": 3},
        {"state_dict": {f"module.{name}": value for name, value in WEIGHTS.items()}},
    ],
    ids=["plain", "with an epoch", "of several GPUs"],
)
def test_the_wrappings_of_training_scripts_come_off(tmp_path, wrapped):
    torch.save(wrapped, tmp_path / "weights.pth")
    read = read_weights(tmp_path / "weights.pth")
    assert read.keys() == WEIGHTS.keys() and torch.equal(read["conv.weight"], WEIGHTS["conv.weight"])


def test_safetensors_are_read(tmp_path):
    save_file(WEIGHTS, tmp_path / "weights.safetensors")
    assert torch.equal(read_weights(tmp_path / "weights.safetensors")["conv.weight"], WEIGHTS["conv.weight"])


def test_what_is_no_file_of_weights_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"no file of weights .*nothing\.pth"):
        read_weights(tmp_path / "nothing.pth")
    for name in ("words.pth", "words.safetensors"):
        (tmp_path / name).write_text("these are words")
        with pytest.raises(UserError, match=rf"{name} is not a checkpoint that can be read safely") as error:
            read_weights(tmp_path / name)
        assert "\n" not in str(error.value)


def test_of_a_long_error_the_first_line_is_told():
    assert first_line(RuntimeError("The reader failed.\nDetails follow")) == "The reader failed"
    assert first_line(RuntimeError()) == "RuntimeError"
