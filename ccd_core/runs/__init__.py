"""A run's folder, its state and its progress, and the processes that work on it.

May import `machine`, `config`, `files`, `paths` and `errors`. Everything that reads or writes a run is built
on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ccd_core._lazy import lazy_names

if TYPE_CHECKING:
    from ccd_core.runs.progress import Progress
    from ccd_core.runs.run import Run, list_runs

__all__ = ["Progress", "Run", "list_runs"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {"Progress": "ccd_core.runs.progress", "Run": "ccd_core.runs.run", "list_runs": "ccd_core.runs.run"},
)
