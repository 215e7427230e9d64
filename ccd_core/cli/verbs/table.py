"""`ccd table`: every method of the paper's Table 1 on one data set, on equal terms."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table

from ccd_core.cli.options import DATASETS, Changes, ClassesFile, ConfigFile, Json
from ccd_core.cli.standing import StandingBar
from ccd_core.cli.text import console, escape, messages, say, say_preset
from ccd_core.errors import Stopped, UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ccd_core.baselines.tables import TableFile
    from ccd_core.comparison.plan import PlannedRun
    from ccd_core.config import CCDConfig

Seeds = Annotated[str, typer.Option(help="Seeds of the runs, with commas.")]
Out = Annotated[Path, typer.Option(help="The comparison's folder: its runs, table.json, sweep.json.")]
Device = Annotated[
    str,
    typer.Option(
        help="auto, cpu, cuda, cuda:N, or several, such as cuda:0,1 or cpu:0,1: one run at a time on each."
    ),
]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV.")]
Latex = Annotated[bool, typer.Option("--latex", help="Print LaTeX.")]
ShowOnly = Annotated[
    bool, typer.Option("--show-only", help="Compute nothing: show what the folder has already.")
]


def table(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help=DATASETS)],
    out: Out,
    methods: Annotated[
        str,
        typer.Option(
            help="Names with commas, such as cdul,ccd; or groups: full, partial, single, label_free, "
            "training_free; or all."
        ),
    ] = "all",
    seeds: Seeds = "0,1,2",
    recipe: Annotated[
        str, typer.Option(help="common: the same training for all; own: that of each method's authors.")
    ] = "common",
    preset: Annotated[
        str | None,
        typer.Option(help="Settings that all methods share. Without it: as for `ccd run`."),
    ] = None,
    classes: ClassesFile = None,
    config: ConfigFile = None,
    changes: Changes = None,
    device: Device = "auto",
    per_class: Annotated[
        bool, typer.Option("--per-class", help="Show the AP of each class (Tables 3 to 5).")
    ] = False,
    show_only: ShowOnly = False,
    as_json: Json = False,
    as_csv: Csv = False,
    as_latex: Latex = False,
) -> None:
    """The paper's Table 1 on a data set: runs what is missing, and prints means and deviations.

    Stopped or killed, the same command goes on. CLIP is asked about the images once for all methods. Methods
    that use labels of the training images are given them, and the table says which.

    ccd table demo --out comparisons/demo

    ccd table voc2012:/data/VOCdevkit --methods cdul,ccd --seeds 0 --out comparisons/voc12
    """
    from ccd_core.baselines.tables import EXAMPLES, TABLE, write_examples, write_table
    from ccd_core.comparison.collect import check_scorable, collect_examples, collect_table
    from ccd_core.comparison.plan import missing, table_runs
    from ccd_core.comparison.shown import classes_latex, table_csv, table_latex
    from ccd_core.config import load_config
    from ccd_core.data import open_dataset

    quiet = as_json or as_csv or as_latex
    chosen_seeds = parse_seeds(seeds)
    base = load_config(preset_for(preset, config, dataset, out, quiet), config, changes, dataset, classes)
    opened = open_dataset(base.data.spec, base.data.classes)
    check_scorable(opened)
    chosen = _that_the_clip_allows(chosen_methods(methods), methods, base, opened.classes, out, show_only)
    planned = table_runs(base, chosen, chosen_seeds, recipe, out, changes or [])
    failures: list[str] = []
    if not show_only and missing(planned):
        if not quiet:
            _say_labels(planned)
        failures = compute_with_bar(planned, device, quiet)
    made = collect_table(planned, base, chosen_seeds, recipe, out)
    out.mkdir(parents=True, exist_ok=True)
    write_table(out, made)
    if (examples := collect_examples(planned, base)) is not None:
        write_examples(out, examples)
    if as_json:
        print(made.model_dump_json())
    elif as_csv:
        print(table_csv(made), end="")
    elif as_latex:
        print(classes_latex(made) if per_class else table_latex(made), end="")
    else:
        print_table(made, per_class)
        say("{} and {} are in {}; the page Compare shows them.", TABLE, EXAMPLES, out)
    say_failures(failures)


def chosen_methods(text: str) -> list[str]:
    """The methods that names and groups with commas stand for."""
    from ccd_core.baselines.registry import METHODS
    from ccd_core.baselines.tables import GROUPS

    found: list[str] = []
    for word in filter(None, map(str.strip, text.split(","))):
        if word == "all":
            found += METHODS
        elif word in GROUPS:
            found += [name for name, method in METHODS.items() if method.group == word]
        else:
            found.append(word.replace("-", "_"))
    if not found:
        raise UserError("--methods names no method; write names with commas, such as cdul,ccd, or all.")
    return list(dict.fromkeys(found))


def _that_the_clip_allows(
    chosen: list[str], text: str, base: CCDConfig, classes: Sequence[str], out: Path, show_only: bool
) -> list[str]:
    """The chosen methods without those that need patch features, where the image tower gives none.

    text: what was asked for. Where nothing is computed, those that have no run are left out. Raises UserError
    if one was asked for by its name and cannot be.
    """
    from ccd_core.baselines.registry import METHODS
    from ccd_core.clip.patches import NoPatches
    from ccd_core.comparison.plan import RUNS

    named = {word.strip().replace("-", "_") for word in text.split(",")}
    patches = [name for name in chosen if name in METHODS and base.with_method(name).method.from_patches]
    without: list[str] = []
    if show_only:
        without = [name for name in patches if name not in named and not any(out.glob(f"{RUNS}/{name}-*"))]
    elif patches:
        from ccd_core.clip.check import check_teacher

        try:
            check_teacher(base.clip, classes, patches=True)
        except NoPatches as error:
            if named & set(patches):
                raise
            without = patches
            say("[yellow]Left out:[/] {}. {}", ", ".join(without), error, to=messages)
    return [name for name in chosen if name not in without]


def parse_seeds(text: str) -> list[int]:
    """Whole numbers from 0 on, with commas. Raises UserError for anything else."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words or not all(word.isascii() and word.isdigit() and len(word) < 10 for word in words):
        raise UserError(f"--seeds takes whole numbers with commas, such as 0,1,2, and got {text[:40]!r}.")
    return list(dict.fromkeys(map(int, words)))


def preset_for(preset: str | None, config: Path | None, dataset: str, out: Path, quiet: bool) -> str | None:
    """The preset where none was named: that of the runs in `out`, or else the one that `ccd run` takes."""
    from ccd_core.comparison.plan import preset_of_runs
    from ccd_core.machine.advice import preset_of

    if preset is None and config is None and (begun := preset_of_runs(out)):
        return begun
    preset, advice = preset_of(preset, config is not None, dataset)
    if advice and not quiet:
        say_preset(advice)
    return preset


def compute_with_bar(planned: list[PlannedRun], device: str, quiet: bool, prepare=None) -> list[str]:
    """Compute what is missing, with a bar over all runs. Leaves with exit code 1 where it is stopped."""
    from ccd_core.comparison.compute import compute
    from ccd_core.machine.gpus import devices_of
    from ccd_core.machine.signals import stoppable

    devices = devices_of(device)
    with StandingBar(quiet) as bar:
        try:
            with stoppable():
                return compute(planned, devices, bar.show, prepare)
        except (Stopped, KeyboardInterrupt):
            bar.say("[yellow]Stopped.[/] The same command goes on where the runs are.")
            raise typer.Exit(1) from None


def _say_labels(planned: list[PlannedRun]) -> None:
    from ccd_core.baselines.registry import METHODS

    names = [name for name in dict.fromkeys(one.row for one in planned) if METHODS[name].uses_labels]
    if names:
        say("[yellow]These methods use labels of the training images:[/] {}.", ", ".join(names))


def say_failures(failures: list[str]) -> None:
    """Say which runs failed. Exit code 1 if any did."""
    for failure in failures:
        say("[red]Failed:[/] {}", failure, to=messages)
    if failures:
        raise typer.Exit(1)


def print_table(made: TableFile, per_class: bool) -> None:
    """Table 1, or the AP of each class."""
    from ccd_core.baselines.tables import GROUPS
    from ccd_core.comparison import shown

    if per_class:
        header, rows = shown.class_rows(made)
        # Many methods do not fit beside each other, so a column is a method's and lines fold.
        grid = Table(*(Column(escape(name), overflow="fold") for name in header))
        for cells in rows:
            grid.add_row(*map(escape, cells))
        console.print(grid)
        return
    grid = Table(
        Column("method", overflow="fold"),
        Column("mAP", justify="right", no_wrap=True),
        Column("paper", justify="right", no_wrap=True),
        Column("epoch", justify="right", no_wrap=True),
        Column("s", justify="right", no_wrap=True),
        Column("training labels", overflow="fold"),
        title=f"Validation mAP in percent; recipe {made.recipe}; seeds {', '.join(map(str, made.seeds))}",
    )
    group = None
    for row in made.rows:
        if row.group != group:
            group = row.group
            words = f"[bold]{GROUPS[group]}[/]" + (" [yellow](uses labels)[/]" if row.uses_labels else "")
            if grid.row_count:
                grid.add_section()
            grid.add_row(words)
        cells = [shown.with_deviation(row.over_seeds()), shown.published(row), shown.kept_epochs(row)]
        grid.add_row("  " + escape(row.title), *cells, shown.seconds(row), escape(row.labels))
    console.print(grid)
    choices = {row.epoch_choice for row in made.rows if row.recipe != "none"}
    say("How the epoch was chosen, without labels: {}.", "; ".join(sorted(choices)) or "-")
    for row in made.rows:
        if row.note:
            say("{}: {}", row.title, row.note)
