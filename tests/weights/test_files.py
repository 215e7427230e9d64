"""Files of weights, told by their content: every kind is read, or gets the sentence that says what it is."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ccd_core.errors import UserError
from ccd_core.weights.files import read_weights

WEIGHTS = {"conv.weight": torch.arange(4.0), "conv.bias": torch.zeros(1)}


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in other)


def sentence(path) -> str:
    with pytest.raises(UserError) as error:
        read_weights(path)
    said = str(error.value)
    assert "\n" not in said and "weights_only" not in said and said.count(str(path)) >= 1
    return said


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.ckpt", "weights.pt"])
def test_safetensors_are_read_under_any_name(tmp_path, name):
    save_file(WEIGHTS, tmp_path / name)
    assert same(read_weights(tmp_path / name), WEIGHTS)


@pytest.mark.parametrize("name", ["weights.pth", "weights.bin", "weights.safetensors"])
@pytest.mark.parametrize("new", [True, False], ids=["zip", "before torch 1.6"])
def test_tensors_of_torch_are_read_under_any_name(tmp_path, name, new):
    torch.save(WEIGHTS, tmp_path / name, _use_new_zipfile_serialization=new)
    assert same(read_weights(tmp_path / name), WEIGHTS)


def test_names_of_nested_dictionaries_are_joined(tmp_path):
    torch.save({"epoch": 3, "state_dict": {"module.conv": torch.ones(2)}}, tmp_path / "weights.pt")
    assert same(read_weights(tmp_path / "weights.pt"), {"state_dict.module.conv": torch.ones(2)})


def write(path, content: bytes):
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (bytes(2000), "begins with zeros only"),
        (b"these are words", "not a checkpoint that can be read safely"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 605157884\n", "git-LFS pointer"),
        (b"<!DOCTYPE html><html>404</html>", "web page"),
        (b"\n <html><body>Sign in</body></html>", "web page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "web page"),
        (b"\x93NUMPY\x01\x00v\x00", "numpy array"),
        (b"\x1f\x8b\x08\x00" + bytes(20), "compressed"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"\x89PNG\r\n\x1a\n", "picture"),
        (b"\x80\x04K\x01.", "pickle that torch did not write"),
        (b"\x80\x04", "cut off or damaged"),
    ],
)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_what_is_no_file_of_weights_is_said(tmp_path, content, said, suffix):
    assert said in sentence(write(tmp_path / f"weights{suffix}", content))


def test_a_file_that_is_not_there(tmp_path):
    assert "no file of weights" in sentence(tmp_path / "nothing.pth")


def test_a_folder_names_what_to_give(tmp_path):
    assert "a folder without a file of weights" in sentence(tmp_path)
    save_file(WEIGHTS, tmp_path / "model.safetensors")
    assert f"give a file in it, such as {tmp_path / 'model.safetensors'}" in sentence(tmp_path)


@pytest.mark.parametrize("form", ["safetensors", "zip", "old"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.999])
def test_a_download_that_was_cut_off(tmp_path, form, share):
    weights = {"conv.weight": torch.arange(4000.0), "conv.bias": torch.zeros(1000)}
    path = tmp_path / "weights"
    if form == "safetensors":
        save_file(weights, path)
    else:
        torch.save(weights, path, _use_new_zipfile_serialization=form == "zip")
    whole = path.read_bytes()
    assert "cut off" in sentence(write(path, whole[: int(len(whole) * share)]))


def test_archives_of_other_things(tmp_path):
    np.savez(tmp_path / "arrays.npz", weight=np.zeros(3))
    assert "numpy arrays" in sentence(tmp_path / "arrays.npz")
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        archive.writestr("clip.pt", b"x")
    assert "zip archive of other files (clip.pt)" in sentence(tmp_path / "packed.zip")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"state_dict": None}, "state_dict is empty"),
        ([torch.zeros(1)], "a list of 1"),
        ({0: torch.zeros(1), 1: torch.zeros(1)}, "numbers, not names"),
        (torch.zeros(3), "one tensor without a name"),
        ({}, "empty dictionary"),
        ({"epoch": 3, "loss": 0.5}, "a dictionary with the keys epoch, loss"),
        (3, "one value"),
    ],
)
def test_what_torch_saved_without_named_tensors(tmp_path, content, said):
    torch.save(content, tmp_path / "weights.pt")
    assert said in sentence(tmp_path / "weights.pt")


@pytest.fixture
def sharded(tmp_path):
    """A file in two shards with its index."""
    parts = {f"model-0000{number}-of-00002.safetensors": name for number, name in enumerate(WEIGHTS, 1)}
    for file, name in parts.items():
        save_file({name: WEIGHTS[name]}, tmp_path / file)
    index = {"metadata": {}, "weight_map": {name: file for file, name in parts.items()}}
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(json.dumps(index))
    return path


def test_shards_are_read_through_their_index(sharded):
    assert same(read_weights(sharded), WEIGHTS)


def test_one_shard_alone_is_told_of_the_index(sharded):
    shard = sharded.with_name("model-00001-of-00002.safetensors")
    assert "one of 2 shards" in sentence(shard) and sharded.name in sentence(shard)
    sharded.unlink()
    assert "is missing here" in sentence(shard)


@pytest.mark.parametrize(
    ("index", "said"),
    [
        ("[]", "no index of shards"),
        ("{", "no index of shards"),
        ('{"weight_map": {"a": 3}}', "do not lie beside it"),
        ('{"weight_map": {"a": "../secret.safetensors"}}', "do not lie beside it"),
        ('{"weight_map": {"a": "gone.safetensors"}}', "1 are missing beside it: gone.safetensors"),
        ('{"weight_map": {"a": "model-00001-of-00002.safetensors"}}', "in none of its shards: a"),
        ("[" * 100_000, "no index of shards"),
    ],
)
def test_an_index_that_is_wrong(sharded, index, said):
    sharded.write_text(index)
    assert said in sentence(sharded)


def test_a_shard_that_is_cut_off_is_named(sharded):
    shard = sharded.with_name("model-00002-of-00002.safetensors")
    write(shard, shard.read_bytes()[:-2])
    assert shard.name in sentence(sharded) and "cut off" in sentence(sharded)
