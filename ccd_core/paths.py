"""Where the project's own files lie, and where it keeps what can be made again."""

from __future__ import annotations

import os
from pathlib import Path

# The checkout, or the folder that the package was installed into.
ROOT = Path(__file__).resolve().parent.parent
DEMO_CLIP = ROOT / "assets" / "demo_clip"
DEMO_RUN = ROOT / "assets" / "demo_run"


def home() -> Path:
    """Where the project keeps what can be made again: $CCD_HOME, or ~/.cache/ccd."""
    return Path(os.environ.get("CCD_HOME") or "~/.cache/ccd").expanduser()


def demo_root() -> Path:
    """Where the demo's images are drawn."""
    return home() / "toy-scenes-v2"
