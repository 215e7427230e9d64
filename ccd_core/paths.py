"""Paths: the project's own files, the caches, and paths in the names of data sets."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from ccd_core.errors import UserError

# The checkout, or the folder that the package was installed into.
ROOT = Path(__file__).resolve().parent.parent
DEMO_CLIP = ROOT / "assets" / "demo_clip"
PHOTO_WORDS = ROOT / "assets" / "photo_words"
DEMO_RUN = ROOT / "assets" / "demo_run"


def home() -> Path:
    """The folder of all caches, whose files can be made again: $CCD_HOME, or ~/.cache/ccd.

    Raises UserError if neither is known, as for a user without a home folder in a container.
    """
    try:
        return Path(os.environ.get("CCD_HOME") or "~/.cache/ccd").expanduser()
    except RuntimeError:
        raise UserError(
            "This user has no home folder for caches; set CCD_HOME to a folder that may be written to."
        ) from None


def state_home() -> Path:
    """The folder of this user's decisions: $XDG_STATE_HOME/ccd, or ~/.local/state/ccd.

    If the user has no home folder, as in some containers, it is `home()`.
    """
    try:
        return Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "ccd"
    except RuntimeError:
        return home()


def private_folder(folder: Path) -> Path:
    """`folder`; if it is not there, it is made with what is missing above it, for this user alone.

    A folder that is there keeps its permissions. Where it cannot be made, whoever writes into it says so.
    """
    with suppress(OSError):
        missing = [place for place in (folder, *folder.parents) if not place.exists()]
        for place in reversed(missing):
            place.mkdir(mode=0o700, exist_ok=True)
    return folder


def demo_root() -> Path:
    """The folder of the demo's images."""
    return home() / "toy-scenes-v2"


def split_place(place: str) -> tuple[str, str | None]:
    """The two paths of a place such as ANNOTATIONS.json,IMAGES. The second is None if there is only one."""
    first, comma, second = place.rpartition(",")
    if not comma or not first or Path(place).expanduser().exists():
        return place, None
    return first, second


def absolute_place(place: str) -> str:
    """A data set's place with absolute paths."""
    paths = [path for path in split_place(place) if path]
    return ",".join(os.path.abspath(Path(path).expanduser()) for path in paths)
