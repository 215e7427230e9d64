"""`ccd data check` and `ccd data fetch`."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from ccd_core.cli.options import DATASETS, ClassesFile, Json
from ccd_core.cli.text import console, escape, messages, say
from ccd_core.data.listing.names import shown

if TYPE_CHECKING:
    from ccd_core.data.check import DatasetReport, SplitReport

data_app = typer.Typer(no_args_is_help=True, help="Look at a data set, or download one.")


@data_app.command()
def check(
    spec: Annotated[
        str,
        typer.Argument(
            metavar="SPEC",
            help=DATASETS,
        ),
    ],
    classes: ClassesFile = None,
    quick: Annotated[bool, typer.Option("--quick", help="Do not decode the images; takes seconds.")] = False,
    as_json: Json = False,
) -> None:
    """What is there, what is missing, counts against the published ones, classes, broken images.

    Exit code 0 all is well, 1 something is missing or broken, 2 it cannot be opened.

    ccd data check voc2012:/data/VOCdevkit --quick
    """
    from ccd_core.data.check import examine_dataset

    with _bars("images") as report:
        report("lists and annotations", 0, 0)
        found = examine_dataset(
            spec, classes, decode=not quick, progress=lambda done, total: report("decoding", done, total)
        )
    if as_json:
        print(json.dumps(found.plain()))
    else:
        _print(found)
    if found.problem:
        raise typer.Exit(2)
    raise typer.Exit(0 if found.ok else 1)


@data_app.command()
def fetch(
    kind: Annotated[str, typer.Argument(metavar="NAME", help="voc2007, voc2012, coco2014 or nuswide.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to put it.")],
    mirror: Annotated[
        str | None, typer.Option(help="Address of a folder that has the same archives.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the archives once they are unpacked.")] = False,
) -> None:
    """Download a public data set: goes on where it was cut off, checks MD5s, unpacks.

    ccd data fetch voc2012 /data
    """
    from ccd_core.data.fetch import fetch as fetch_dataset

    with _bars("bytes") as report:
        fetch_dataset(kind, folder, mirror, keep, report)
    say("{} is in {}. Look at it: ccd data check {}", kind, folder, shlex.quote(f"{kind}:{folder}"))


@contextmanager
def _bars(unit: str) -> Iterator[Callable[[str, int, int], None]]:
    """`report(what, done, total)` with a bar and an ETA for each thing done; silent where there is no
    terminal.
    """
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    amount: list[ProgressColumn] = (
        [DownloadColumn(), TransferSpeedColumn()] if unit == "bytes" else [MofNCompleteColumn()]
    )
    columns = [
        TextColumn("{task.description}"),
        BarColumn(),
        *amount,
        TextColumn("ETA"),
        TimeRemainingColumn(),
    ]
    with Progress(*columns, console=messages, disable=not messages.is_terminal) as progress:
        tasks: dict[str, TaskID] = {}

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                for task in progress.tasks:  # what has no known end has ended
                    progress.update(task.id, visible=task.total is not None)
                tasks[what] = progress.add_task(what, total=total or None)
            progress.update(tasks[what], completed=done)

        yield report


def _print(found: DatasetReport) -> None:
    for part in found.parts:
        say("[green]ok[/]      {}" if part.found else "[yellow]missing[/] {}", shown(part.path))
        if not part.found:
            size = f" ({part.size})" if part.size else ""
            say("        [dim]comes with {}{} {}[/]", part.comes_with, size, " ".join(part.urls))
    if found.splits:
        console.print(_facts(found.splits))
    if any(report.class_counts for report in found.splits.values()):
        console.print(_classes(found.splits))
    for report in found.splits.values():
        for reason in report.broken_examples.values():
            say("broken: {}", reason)
    for note in found.notes:
        say("{}", note)
    for sentence in [found.problem] if found.problem else found.advice:
        say("[yellow]![/] {}", sentence)
    if found.ok:
        say("[green]All is well.[/]")


def _facts(splits: dict[str, SplitReport]) -> Table:
    """One column a split."""
    table = Table("", *splits, box=SIMPLE_HEAD)
    for column in table.columns[1:]:
        column.justify = "right"

    def row(name: str, value: Callable[[SplitReport], str]) -> None:
        table.add_row(name, *map(value, splits.values()))

    def count(number: int | None, otherwise: str = "-") -> str:
        return otherwise if number is None else f"{number:,}"

    def published(one: SplitReport) -> str:
        marks = {None: "", True: " [green]ok[/]", False: " [yellow]![/]"}
        return count(one.published) + marks[one.agrees]

    row("images", lambda one: count(one.images))
    row("published", published)
    row("missing", lambda one: count(one.missing))
    row("broken", lambda one: count(one.broken, "not looked for"))
    row("with labels", lambda one: count(one.labelled))
    row("without any class", lambda one: count(one.without_class))
    row(
        "classes an image", lambda one: "-" if one.classes_an_image is None else f"{one.classes_an_image:.2f}"
    )
    row("boxes", lambda one: count(one.boxes))
    return table


def _classes(splits: dict[str, SplitReport]) -> Table:
    """Images of each class, with a bar as long as its share of the split's largest class."""
    labelled = {split: report.class_counts for split, report in splits.items() if report.class_counts}
    names = next(iter(labelled.values()))
    longest = max(6, min(40, (console.width - max(map(len, names)) - 4) // len(labelled) - 11))
    table = Table("images of", *labelled, box=SIMPLE_HEAD)
    for name in names:
        table.add_row(
            escape(name), *(_bar(counts[name], max(counts.values()), longest) for counts in labelled.values())
        )
    return table


def _bar(count: int, largest: int, longest: int) -> str:
    eighths = max(round(8 * longest * count / max(largest, 1)), min(count, 1))
    return f"{count:>7,} [cyan]{'█' * (eighths // 8)}{' ▏▎▍▌▋▊▉'[eighths % 8].strip()}[/]"
