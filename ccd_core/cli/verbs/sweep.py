"""`ccd sweep`: one setting with several values, the paper's Figures 6 and 7, and its Table 2."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Column, Table

from ccd_core.cli.options import DATASETS, Changes, ClassesFile, ConfigFile, Json
from ccd_core.cli.text import console, escape, say
from ccd_core.cli.verbs.table import (
    Csv,
    Device,
    Latex,
    Out,
    Seeds,
    ShowOnly,
    compute_with_bar,
    parse_seeds,
    preset_for,
    say_failures,
)
from ccd_core.errors import UserError

if TYPE_CHECKING:
    from ccd_core.baselines.tables import SweepFile
    from ccd_core.comparison.sweep import Point


def sweep(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help=DATASETS)],
    out: Out,
    setting: Annotated[
        str | None, typer.Option(help="The setting to vary, such as labels.alpha; `ccd settings` lists them.")
    ] = None,
    values: Annotated[str | None, typer.Option(help="Its values with commas, such as 0,0.2,0.4.")] = None,
    figure: Annotated[
        str | None, typer.Option(help="A figure of the paper: 6a (views), 6b (alpha) or 7 (CAM threshold).")
    ] = None,
    ablation: Annotated[
        bool, typer.Option("--ablation", help="The paper's Table 2, with three controls.")
    ] = False,
    seeds: Seeds = "0",
    preset: Annotated[
        str | None, typer.Option(help="Settings of all points. Without it: as for `ccd run`.")
    ] = None,
    classes: ClassesFile = None,
    config: ConfigFile = None,
    changes: Changes = None,
    device: Device = "auto",
    whole_runs: Annotated[
        bool, typer.Option("--whole-runs", help="Compute every stage of every point, to compare the time.")
    ] = False,
    show_only: ShowOnly = False,
    as_json: Json = False,
    as_csv: Csv = False,
    as_latex: Latex = False,
) -> None:
    """Vary one setting: only the stages that it touches run again.

    ccd sweep demo --figure 6b --out comparisons/alpha

    ccd sweep demo --ablation --seeds 0,1,2 --out comparisons/ablation

    ccd sweep demo --setting training.beta --values 0,0.5,1,2 --out comparisons/beta
    """
    from ccd_core.baselines.tables import SWEEP, write_sweep
    from ccd_core.comparison.collect import check_scorable
    from ccd_core.comparison.plan import missing
    from ccd_core.comparison.shown import sweep_csv, sweep_latex
    from ccd_core.comparison.sweep import check_sweepable, collect_sweep, share_stages, sweep_runs
    from ccd_core.config import load_config
    from ccd_core.data import open_dataset

    quiet = as_json or as_csv or as_latex
    chosen_seeds = parse_seeds(seeds)
    base = load_config(preset_for(preset, config, dataset, out, quiet), config, changes, dataset, classes)
    check_sweepable(base)
    title, name, points = _points(setting, values, figure, ablation, base.data.spec.partition(":")[0])
    planned = sweep_runs(base, points, chosen_seeds, out)
    check_scorable(open_dataset(base.data.spec, base.data.classes))
    failures: list[str] = []
    if not show_only and missing(planned):
        prepare = None if whole_runs else share_stages
        # A point takes over what another one has, so the first of each seed runs before the others.
        first = [one for number, one in enumerate(planned) if number % len(points) == _giver(points, base)]
        failures = compute_with_bar(first, device, quiet, prepare) if not whole_runs else []
        failures += compute_with_bar(planned, device, quiet, prepare)
    known_figure = "table2" if ablation else figure
    made = collect_sweep(planned, points, base, chosen_seeds, out, title, name, known_figure)
    out.mkdir(parents=True, exist_ok=True)
    write_sweep(out, made)
    if as_json:
        print(made.model_dump_json())
    elif as_csv:
        print(sweep_csv(made), end="")
    elif as_latex:
        print(sweep_latex(made), end="")
    else:
        _print(made)
        say("{} is in {}; the page Compare shows it.", SWEEP, out)
    say_failures(list(dict.fromkeys(failures)))


def _points(
    setting: str | None, values: str | None, figure: str | None, ablation: bool, kind: str
) -> tuple[str, str | None, list[Point]]:
    """Title, setting and points of what was asked for. Raises UserError if that is not one thing."""
    from ccd_core.comparison.sweep import FIGURES_OF_PAPER, ablation_points, value_points

    if sum([setting is not None, figure is not None, ablation]) != 1:
        raise UserError("A sweep takes one of --setting with --values, --figure, or --ablation.")
    if ablation:
        return "Table 2: what each module gives", None, ablation_points(kind)
    if figure is not None:
        if figure not in FIGURES_OF_PAPER:
            raise UserError(f"There is no figure {figure!r} to sweep; use {', '.join(FIGURES_OF_PAPER)}.")
        title, name, of_paper = FIGURES_OF_PAPER[figure]
        return title, name, value_points(name, parse_values(values) if values else of_paper, kind)
    if not values:
        raise UserError("--setting needs --values, with commas, such as --values 0,0.2,0.4.")
    assert setting is not None
    return setting, setting, value_points(setting, parse_values(values), kind)


def parse_values(text: str) -> list[Any]:
    """Values with commas, each as YAML: 0.4, true, null, or a word. Raises UserError for none."""
    from ccd_core.yaml_files import NotYaml, parse_yaml

    found: list[Any] = []
    for word in (word.strip() for word in text.split(",")):
        try:
            value = parse_yaml(word)
        except NotYaml:
            raise UserError(f"--values takes values with commas, and {word[:40]!r} is none.") from None
        if isinstance(value, str):
            with suppress(ValueError):
                value = float(value)  # YAML reads 1e-4 as text
        if isinstance(value, (dict, list)) or word == "":
            raise UserError(f"--values takes values with commas, and {word[:40]!r} is none.")
        if value not in found:
            found.append(value)
    return found


def _giver(points: list[Point], base: Any) -> int:
    """The index of the point that the others take stages over from: the method itself, or else the first."""
    from ccd_core.comparison.sweep import changed

    for number, point in enumerate(points):
        if changed(base, point.changes) == base:
            return number
    return 0


def _print(made: SweepFile) -> None:
    from ccd_core.comparison import shown

    grid = Table(
        Column(escape(made.setting or "row"), overflow="fold"),
        *(Column(name, justify="right", no_wrap=True) for name in ("mAP", "labels", "paper", "s")),
        Column("taken over", overflow="fold"),
        title=f"{escape(made.title)}; validation mAP in percent; seeds {', '.join(map(str, made.seeds))}",
    )
    for point in made.points:
        labels = [run.label_mAP for run in point.runs if run.label_mAP is not None]
        of_labels = f"{sum(labels) / len(labels):.1f}" if labels else "-"
        mark = " (base)" if point.is_base else ""
        cells = [shown.with_deviation(point.over_seeds()), of_labels, shown.published(point)]
        taken = ", ".join(point.shared) or "-"
        grid.add_row(escape(point.label) + mark, *cells, shown.seconds(point), taken)
    console.print(grid)
