"""The logs in a run's folder, to which lines are added: log.txt, and job.log of a job's process."""

from __future__ import annotations

import os
from pathlib import Path

from ccd_core.errors import UserError
from ccd_core.runs.files.shared_files import is_own_file


def log_file(folder: Path, name: str) -> Path:
    """Path of the log `name` in the run's `folder`, to be opened for adding to it.

    Raises UserError where a link, a pipe or a folder stands in its place: a link may lead to any file of this
    machine, and a pipe makes the writer wait for ever.
    """
    path = folder / name
    if os.path.lexists(path) and not is_own_file(folder, name):
        raise UserError(f"{path} is a link, or no ordinary file; remove it, and go on.")
    return path
