"""The learning curves once more, as event files for TensorBoard: tensorboard --logdir RUN/tensorboard"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any


class EventFile:
    """Mirrors the rows of metrics.csv. A process writes one file, which begins with what earlier ones did and replaces theirs."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.written = 0
        self.writer: Any = None

    def write(self, rows: list[dict[str, Any]]) -> None:
        """Add the rows that are new; the step is the epoch, counted from 1 as on the pages."""
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
