"""The learning curves as event files for TensorBoard. To see them: tensorboard --logdir RUN/tensorboard"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any


class EventFile:
    """Repeats the rows of metrics.csv in one event file.

    A process writes its own file. It replaces the files of earlier processes, whose rows it repeats first.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.written = 0
        self.writer: Any = None

    def write(self, rows: list[dict[str, Any]]) -> None:
        """Add the rows that have not been written yet. The step is the epoch, counted from 1."""
        if self.writer is None:
            from torch.utils.tensorboard import SummaryWriter

            for path in self.folder.glob("events.out.tfevents.*"):
                path.unlink()
            self.writer = SummaryWriter(str(self.folder))
        for row in rows[self.written :]:
            for name, value in row.items():
                if name not in ("epoch", "phase") and value is not None and math.isfinite(value):
                    self.writer.add_scalar(name, value, row["epoch"] + 1)
        self.written = len(rows)
        self.writer.flush()
