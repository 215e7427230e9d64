"""What a run records of where it was made."""

from __future__ import annotations

import platform
import subprocess

import torch

from ccd_core.runs.provenance import surroundings
from tests.support import ROOT


def test_versions_and_commit_are_those_of_this_checkout():
    recorded = surroundings()
    assert recorded["python"] == platform.python_version()
    assert recorded["versions"]["torch"] == torch.__version__.partition("+")[0]
    git = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    head = subprocess.run(git, capture_output=True, text=True).stdout.strip()
    assert recorded["git_commit"] == (head or None)
