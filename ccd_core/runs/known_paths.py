"""Files and folders that this user has named on this machine, as opposed to those that a run names.

A run's folder may come from somebody else. It is data: its settings name a data set, class names and weights,
and whoever made it chose those paths. A page opens such a path only if it lies in a folder that the app may
read anyway, or if the user has named it before: in a run started here, or by saying so on the page. On the
app of one user, the data set of a run that says that it was made here is opened, too: a forged run could show
users nothing but their own images.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from filelock import FileLock

from ccd_core.config import CCDConfig
from ccd_core.files import write_atomic
from ccd_core.paths import DEMO_CLIP, home, private_folder, state_home

MOST = 5000  # paths that are remembered; the oldest go first


def _file() -> Path:
    return state_home() / "known_paths.json"


def remember(paths: Iterable[str]) -> None:
    """Note that this user has named these paths. Where that cannot be written, a page asks once more."""
    new = [os.path.abspath(path) for path in paths]
    if set(new) <= known():
        return
    with suppress(OSError):
        private_folder(_file().parent)
        with FileLock(_file().with_suffix(".lock"), timeout=10):
            kept = list(dict.fromkeys([*_read(_file()), *new]))[-MOST:]
            write_atomic(_file(), json.dumps(kept, indent=0) + "\n")
            os.chmod(_file(), 0o600)


def known() -> frozenset[str]:
    """All that was noted."""
    try:
        changed = _file().stat().st_mtime_ns
    except OSError:
        return frozenset()
    return _noted(str(_file()), changed)


@lru_cache(maxsize=4)
def _noted(path: str, changed: int) -> frozenset[str]:
    return frozenset(_read(Path(path)))


def _read(path: Path) -> list[str]:
    try:
        noted = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return []
    return [name for name in noted if isinstance(name, str)] if isinstance(noted, list) else []


def made_here(folder: Path, recorded: dict[str, Any]) -> bool:
    """Whether the run in `folder` says that it was made on this machine, and belongs to this user."""
    try:
        owner = (folder / "config.yaml").stat().st_uid
    except OSError:
        return False
    return recorded.get("host") == socket.gethostname() and owner == os.getuid()


def unknown_paths(config: CCDConfig, folders: Iterable[Path]) -> list[tuple[str, str]]:
    """(setting, path) of all paths in `config` that neither lie in `folders` nor were named by this user.

    None of these paths is opened: the first look at a path may already reach another machine.
    """
    roots = [os.path.abspath(folder) for folder in (*folders, home(), DEMO_CLIP)]
    return [(name, path) for name, path in config.named_paths() if not _is_known(path, roots)]


def _is_known(path: str, roots: list[str]) -> bool:
    place = Path(os.path.abspath(os.path.expanduser(path)))
    if known() & {str(place), *map(str, place.parents)}:
        return True
    # What lies in one of the folders by its name may be a link that leads out of it.
    return any(place.is_relative_to(root) and _stays_in(place, root) for root in roots)


def _stays_in(place: Path, root: str) -> bool:
    try:
        return place.resolve().is_relative_to(Path(root).resolve())
    except (OSError, RuntimeError):  # a loop of links
        return False
