"""What a run can be taken away as: one small file a format, and `FORMATS`, where each has its line.

A format is a function from an `Export` to files in an empty folder. `export_run` makes that folder and puts
it in its place when it is complete. This package may import `predict`, `runs` and what these import; it
loads without torch.
"""

from __future__ import annotations

from ccd_core.export.formats import FORMATS, Export, Format, export_run

__all__ = ["FORMATS", "Export", "Format", "export_run"]
