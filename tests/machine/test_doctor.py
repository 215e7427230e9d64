"""`ccd doctor` says what this machine has."""

from __future__ import annotations

import json
import subprocess
import sys


def ccd(*arguments: object, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ccd_core.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=240,
        **options,
    )


def test_doctor_says_what_there_is():
    result = ccd("doctor", "--json")
    assert {entry["what"] for entry in json.loads(result.stdout)} >= {
        "python",
        "torch",
        "GPU",
        "disk",
        "weights",
    }
