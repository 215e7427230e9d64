"""Which files of a run's folder may be copied out of it, shown to others or published.

A link in the folder may lead to any file of this machine, and its maker chose where to. So links are left
out wherever a run's files leave its folder.
"""

from __future__ import annotations

import os
from pathlib import Path

from ccd_core.data.kinds.folder import find_images
from ccd_core.errors import UserError


def is_own_file(folder: Path, name: str) -> bool:
    """Whether `name` below `folder` is an ordinary file that really lies there, with no link on the way."""
    path = folder
    for part in Path(name).parts:
        path = path / part
        if path.is_symlink():
            return False
    return path.is_file()


def require_own_file(folder: Path, name: str) -> Path:
    """The path of `name` in the run's `folder`. Raises UserError where a link stands in its place."""
    if not is_own_file(folder, name):
        raise UserError(
            f"{folder / name} is a link, or no ordinary file; what it leads to is not copied. Put the file "
            "itself in its place."
        )
    return folder / name


def shipped_examples(folder: Path) -> list[Path] | None:
    """Images in `examples` of a run's folder, without links; None where the run has no such folder."""
    examples = folder / "examples"
    if not os.path.lexists(examples):
        return None
    if examples.is_symlink() or not examples.is_dir():
        return []
    return [examples / name for name in find_images(examples) if is_own_file(examples, name)]


def links_among_examples(folder: Path) -> int:
    """How many links lie in or in place of `examples`: what `shipped_examples` leaves out."""
    examples = folder / "examples"
    if examples.is_symlink():
        return 1
    return sum(path.is_symlink() for path in examples.rglob("*")) if examples.is_dir() else 0
