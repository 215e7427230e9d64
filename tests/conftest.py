from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="session")
def golden():
    """`golden("bias")`: arrays recorded from the authors' implementation."""

    def read(name: str) -> dict[str, np.ndarray]:
        with np.load(GOLDEN / f"{name}.npz") as file:
            return {key: file[key] for key in file.files}

    return read


@pytest.fixture(scope="session")
def golden_json():
    return lambda name: json.loads((GOLDEN / f"{name}.json").read_text())
