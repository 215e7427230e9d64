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


def state_home() -> Path:
    """Where the project remembers what this user has said: $XDG_STATE_HOME/ccd, or ~/.local/state/ccd.

    It is in `home()` for a user without a folder of their own, as in a container.
    """
    try:
        return Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "ccd"
    except RuntimeError:
        return home()


def demo_root() -> Path:
    """Where the demo's images are drawn."""
    return home() / "toy-scenes-v2"


def split_place(place: str) -> tuple[str, str | None]:
    """The two paths of a place such as ANNOTATIONS.json,IMAGES; None for a second that is not there."""
    first, comma, second = place.rpartition(",")
    if not comma or not first or Path(place).expanduser().exists():
        return place, None
    return first, second


def absolute_place(place: str) -> str:
    """A data set's place with its paths made independent of the current folder."""
    paths = [path for path in split_place(place) if path]
    return ",".join(os.path.abspath(Path(path).expanduser()) for path in paths)
