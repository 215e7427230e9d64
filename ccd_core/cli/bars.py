"""Progress bars of the terminal, one for each stage of a run."""

from __future__ import annotations

import logging
import time
from typing import Any

from rich.console import Console

from ccd_core.cli.text import console as standard_output
from ccd_core.cli.text import say

log = logging.getLogger("ccd")


class Warnings(logging.Handler):
    """Shows what the library warns of on a console."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.WARNING)
        self.console = console

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno == logging.WARNING:  # errors end the command, which says them itself
            say("[yellow]Note:[/] {}", record.getMessage(), to=self.console)


class StageBars:
    """One progress bar a stage, with ETA; plain lines where output is no terminal. Warnings stand above."""

    def __init__(self, console: Console | None = None) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        columns = [
            TextColumn("{task.description:<28}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
        ]
        self.console = console or standard_output
        self.progress = Progress(*columns, console=self.console, disable=not self.console.is_terminal)
        self.tasks: dict[str, Any] = {}
        self.warnings = Warnings(self.console)

    def report(self, stage: str, done: int, total: int, detail: str) -> None:
        name = f"{stage} ({detail})" if detail else stage
        if name not in self.tasks:
            self.tasks[name] = self.progress.add_task(name, total=total)
            if not self.console.is_terminal:
                say("{} {}: {} images", time.strftime("%H:%M:%S"), name, total, to=self.console)
        self.progress.update(self.tasks[name], completed=done)

    def __enter__(self) -> StageBars:
        self.propagated, log.propagate = log.propagate, False
        log.addHandler(self.warnings)
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()
        log.removeHandler(self.warnings)
        log.propagate = self.propagated
