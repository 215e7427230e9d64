"""Progress in a terminal, and where output is no terminal."""

from __future__ import annotations

import io
import logging

from rich.console import Console

from ccd_core.cli.bars import StageBars


def test_in_a_file_each_stage_is_one_line():
    console = Console(file=io.StringIO(), width=80)
    with StageBars(console) as bars:
        for done in range(3):
            bars.report("views", done, 2, "pass 1")
        bars.report("scores", 0, 4, "")
    lines = console.file.getvalue().splitlines()
    assert [line.partition(" ")[2] for line in lines] == ["views (pass 1): 2 images", "scores: 4 images"]


def test_in_a_terminal_a_bar_shows_how_far_it_is():
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    with StageBars(console) as bars:
        bars.report("views", 1, 2, "")
        bars.progress.refresh()
    assert "views" in console.file.getvalue() and "1/2" in console.file.getvalue()


def test_warnings_are_shown_as_they_are_and_other_lines_of_the_log_are_not():
    console = Console(file=io.StringIO(), width=100)
    log = logging.getLogger("ccd")
    with StageBars(console):
        log.warning("no image shows %s", "[red]cat[/red]")
        log.info("a line of the log")
    log.warning("after the last bar")
    assert console.file.getvalue() == "Note: no image shows [red]cat[/red]\n"
