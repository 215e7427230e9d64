"""Tensors of torch's files, read without torch: the same to the bit as what torch reads from a good file."""

from __future__ import annotations

import argparse
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from ccd_core.errors import UserError
from ccd_core.weights.files import read_weights
from ccd_core.weights.torch_files import read_torch_file


class Inner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.small = nn.Linear(3, 2).half()
        self.register_buffer("steps", torch.arange(3))
        self.register_buffer("passing", torch.ones(2), persistent=False)
        self.mask = torch.full((2, 2), 7.0)  # neither parameter nor buffer
        self.sizes = [1, 2]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.mask.sum()


class Network(nn.Module):
    """fp16 matrices, nested modules, buffers of several kinds, shared and strided tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Inner()
        self.again = self.inner
        self.blocks = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.PReLU())
        self.tall = nn.Parameter(torch.arange(6.0).view(2, 3).T)
        whole = torch.arange(20.0)
        self.part = nn.Parameter(whole[3:15].view(3, 4)[:, ::2])
        self.other_part = nn.Parameter(whole[5:9])
        self.register_buffer("flags", torch.tensor([True, False]))
        self.register_buffer("wide", torch.ones(1, 3).expand(2, 3))
        self.register_buffer("number", torch.tensor(2.5, dtype=torch.float64))
        self.register_buffer("none", torch.zeros(0, 4))
        self.register_buffer("brain", torch.ones(3, dtype=torch.bfloat16) / 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(self.blocks(x)) + torch.ones(1)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Network().eval()


def assert_same(read: dict, expected: dict) -> None:
    """Names in their order, kinds, shapes, strides and bits."""
    assert list(read) == list(expected)
    for name, value in expected.items():
        found = read[name]
        assert (found.dtype, found.shape) == (value.dtype, value.shape), name
        assert found.numel() == 0 or found.stride() == value.stride(), name
        assert torch.equal(found, value), name


@pytest.mark.parametrize("made", ["script", "trace"])
def test_a_torchscript_archive(tmp_path, network, made):
    path = str(tmp_path / "archive.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        example = torch.zeros(1, 1, 5, 5)
        script = torch.jit.script(network) if made == "script" else torch.jit.trace(network, example)
        torch.jit.save(script, path)
        expected = torch.jit.load(path).state_dict()
    assert "inner.mask" not in expected and len(expected) > 20
    assert_same(read_torch_file(tmp_path / "archive.pt"), dict(expected))


@pytest.mark.parametrize("new", [True, False], ids=["zip", "before torch 1.6"])
def test_a_state_dict(tmp_path, network, new):
    path = tmp_path / "weights.pt"
    torch.save(network.state_dict(), path, _use_new_zipfile_serialization=new)
    assert_same(read_torch_file(path), torch.load(path, weights_only=True))


@pytest.mark.parametrize("new", [True, False], ids=["zip", "before torch 1.6"])
def test_a_whole_network_gives_its_state_dict(tmp_path, network, new):
    """`torch.save(network)` names the network's class, which is not looked up."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save({"model": network}, tmp_path / "weights.pt", _use_new_zipfile_serialization=new)
    read = read_torch_file(tmp_path / "weights.pt")
    expected = {f"model.{name}": value for name, value in network.state_dict().items()}
    assert read.keys() == expected.keys()
    assert all(torch.equal(read[name], expected[name]) for name in expected)


def test_what_a_training_script_keeps_beside_the_weights(tmp_path):
    """numpy's scalars (open_clip's own files have them), settings, optimisers and objects of any class."""
    weights = {"conv.weight": nn.Parameter(torch.arange(3.0)), "conv.bias": torch.zeros(1)}
    optimizer = torch.optim.AdamW([torch.ones(2, requires_grad=True)])
    content = {
        "epoch": np.int64(3),
        "best": np.float64(0.25),
        "curve": np.arange(4),
        "args": argparse.Namespace(lr=1e-3, device=torch.device("cpu"), sizes={1, 2}, path=tmp_path),
        "optimizer": optimizer.state_dict(),
        "size": torch.Size([2, 3]),
        "state_dict": weights,
    }
    torch.save(content, tmp_path / "training.pt")
    read = read_torch_file(tmp_path / "training.pt")
    assert read.keys() == {"state_dict.conv.weight", "state_dict.conv.bias"}
    assert torch.equal(read["state_dict.conv.weight"], torch.arange(3.0))


def test_reading_again_is_not_disturbed_by_writing_into_what_was_read(tmp_path):
    torch.save({"weight": torch.zeros(4)}, tmp_path / "weights.pt")
    read_torch_file(tmp_path / "weights.pt")["weight"].fill_(1)
    assert torch.equal(read_torch_file(tmp_path / "weights.pt")["weight"], torch.zeros(4))


def test_a_flipped_bit_in_a_record_is_told_by_its_checksum(tmp_path):
    path = tmp_path / "weights.pt"
    torch.save({"weight": torch.arange(1000.0)}, path)
    content = bytearray(path.read_bytes())
    at = bytes(content).index(torch.tensor([500.0]).numpy().tobytes())
    content[at] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="is damaged: the checksum of"):
        read_weights(path)
