"""Files are whole or not there, and a damaged file of a run is a sentence."""

from __future__ import annotations

import os
import stat

import numpy as np
import pytest
import torch

from ccd_core.errors import UserError
from ccd_core.files import read_arrays, replacing, write_arrays, write_atomic, write_json
from ccd_core.training.checkpoint import write_tensors


def test_a_file_is_replaced_when_it_is_whole_and_not_before(tmp_path):
    path = tmp_path / "deep" / "notes.txt"
    write_atomic(path, "old")
    with replacing(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old" and partial.parent == path.parent
    assert path.read_text() == "new" and list(path.parent.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "state.json"
    write_json(path, {"stage": "views"})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, {"eta": float("nan")})
    with pytest.raises(KeyboardInterrupt), replacing(path) as partial:
        partial.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == '{\n "stage": "views"\n}\n' and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077])
def test_every_kind_of_file_has_the_permissions_of_the_users_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        write_json(tmp_path / "state.json", {})
        write_arrays(tmp_path / "labels.npz", ids=np.arange(2))
        write_tensors(tmp_path / "best.safetensors", {"weight": torch.ones(2)})
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o666 & ~umask}


def test_arrays_come_back_as_they_were(tmp_path):
    ids = np.array(["a", "b"])
    write_arrays(tmp_path / "labels.npz", ids=ids, final=np.eye(2, dtype=np.float32))
    arrays = read_arrays(tmp_path / "labels.npz")
    assert arrays["ids"].tolist() == ["a", "b"] and arrays["final"].dtype == np.float32
    np.testing.assert_array_equal(arrays["final"], np.eye(2))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"half of something else"])
def test_a_damaged_file_is_named_with_what_to_do(tmp_path, content):
    (tmp_path / "labels.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"labels\.npz is damaged; delete this file and .*--resume"):
        read_arrays(tmp_path / "labels.npz")


def test_a_file_that_is_gone_is_said_to_be_gone(tmp_path):
    with pytest.raises(UserError, match="is gone; its run was deleted or moved"):
        read_arrays(tmp_path / "labels.npz")


def test_arrays_that_would_execute_something_are_refused(tmp_path):
    np.savez(tmp_path / "labels.npz", ids=np.array([{"a": 1}], object))
    with pytest.raises(UserError, match="is damaged"):
        read_arrays(tmp_path / "labels.npz")
