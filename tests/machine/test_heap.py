"""A computing process keeps the memory that it has freed, and other processes do not."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from ccd_core.cli import commands
from ccd_core.machine.heap import keep_freed_memory
from tests.support import ROOT

# Pages that the kernel hands out for ten blocks of 16 MB, each freed before the next one is asked for.
FAULTS = """
import ctypes, resource, sys
from ccd_core.machine.heap import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def use():
    libc.free.argtypes = [ctypes.c_void_p]
    libc.malloc.restype = ctypes.c_void_p
    block = libc.malloc(ctypes.c_size_t(16 * 2**20))
    ctypes.memset(block, 1, 16 * 2**20)
    libc.free(block)
libc = ctypes.CDLL(None)
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(way: str, **environment: str) -> int:
    command = [sys.executable, "-c", FAULTS, way]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of glibc")
def test_freed_blocks_are_used_again_without_the_kernel():
    assert 5 * faults("kept") < faults("default")  # with large pages everywhere there are few of them


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of glibc")
def test_what_the_user_has_set_counts():
    assert faults("kept", MALLOC_MMAP_THRESHOLD_="131072") > 5 * faults("kept")


@pytest.mark.parametrize(("set_before", "found"), [(None, "1"), ("0", "0")])
def test_torch_takes_large_pages_unless_the_user_says_no(set_before, found, monkeypatch):
    monkeypatch.setenv("MALLOC_ARENA_TEST", "8")  # so that this process stays as it is
    monkeypatch.delenv("THP_MEM_ALLOC_ENABLE", raising=False)
    if set_before:
        monkeypatch.setenv("THP_MEM_ALLOC_ENABLE", set_before)
    keep_freed_memory()
    assert os.environ["THP_MEM_ALLOC_ENABLE"] == found


@pytest.mark.parametrize(
    ("verb", "keeps"), [("run", True), ("predict", True), ("app", False), ("jobs", False)]
)
def test_commands_that_compute_keep_their_memory(verb, keeps, monkeypatch):
    asked = []
    monkeypatch.setattr(commands, "keep_freed_memory", lambda: asked.append(True))
    CliRunner().invoke(commands.app, [verb, "--help"])
    assert bool(asked) == keeps
