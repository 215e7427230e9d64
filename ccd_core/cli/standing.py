"""One bar for all runs of a comparison, with the time left."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.console import Console

from ccd_core.cli.text import escape, messages

if TYPE_CHECKING:
    from ccd_core.comparison.compute import Standing

PLAIN_SECONDS = 30  # time between two lines where output is no terminal


class StandingBar:
    """A bar with what is at work below it; a line twice a minute where there is no terminal.

    All of it goes to stderr, so that it never mixes with a table.
    """

    def __init__(self, quiet: bool = False, console: Console = messages):
        from rich.live import Live

        self.quiet = quiet
        self.console = console
        self.live = Live(console=console, auto_refresh=False, transient=True)
        self.last = 0.0

    def show(self, standing: Standing) -> None:
        if self.quiet and not self.console.is_terminal:
            return
        text = f"{standing.done} of {standing.total} runs, {100 * standing.part:.0f} %, {_left(standing)}"
        if self.console.is_terminal:
            lines = [_bar(standing.part) + " " + text, *(f"  {line}" for line in standing.at_work)]
            self.live.update(escape("\n".join(lines)), refresh=True)
        elif time.time() - self.last > PLAIN_SECONDS:
            self.last = time.time()
            self.console.print(f"{time.strftime('%H:%M:%S')} {escape(text)}", highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        self.console.print(text, highlight=False)

    def __enter__(self) -> StandingBar:
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.console.is_terminal:
            self.live.stop()


def _bar(part: float, width: int = 30) -> str:
    done = round(width * min(1.0, max(0.0, part)))
    return "━" * done + "┄" * (width - done)


def _left(standing: Standing) -> str:
    if standing.eta_seconds is None:
        return "time left unknown"
    minutes, seconds = divmod(round(standing.eta_seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min left"
    return f"{minutes} min {seconds} s left" if minutes else f"{seconds} s left"
