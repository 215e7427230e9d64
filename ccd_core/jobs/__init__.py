"""Runs as background jobs, here or on a SLURM cluster: started, watched, stopped, resumed, estimated.

May import all of the library but `cli`. The app and the command line use it; no torch is loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ccd_core._lazy import lazy_names

if TYPE_CHECKING:
    from ccd_core.jobs.control import Job, delete, list_jobs, look, new_folder, resume, start, stop

__all__ = ["Job", "delete", "list_jobs", "look", "new_folder", "resume", "start", "stop"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Job": "ccd_core.jobs.control",
        "delete": "ccd_core.jobs.control",
        "list_jobs": "ccd_core.jobs.control",
        "look": "ccd_core.jobs.control",
        "new_folder": "ccd_core.jobs.control",
        "resume": "ccd_core.jobs.control",
        "start": "ccd_core.jobs.control",
        "stop": "ccd_core.jobs.control",
    },
)
