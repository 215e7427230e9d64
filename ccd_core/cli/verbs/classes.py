"""`ccd classes`: what CLIP makes of the class names, on some images and before anything long starts."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from ccd_core.cli.options import Changes, ClassesFile, ConfigFile, Json
from ccd_core.cli.text import console, escape, say
from ccd_core.errors import UserError

if TYPE_CHECKING:
    from ccd_core.config import CCDConfig
    from ccd_core.predict.class_names import NamedSample
    from ccd_core.settings.prompts import Names


def classes(
    data: Annotated[
        str, typer.Argument(metavar="DIR", help="A folder of images, or any data set as --dataset has it.")
    ],
    names: Annotated[
        list[str] | None,
        typer.Option(
            "--name",
            metavar="CLASS=WORDS",
            help="Other words for a class in prompts, several separated by commas and averaged. Repeatable.",
        ),
    ] = None,
    classes: ClassesFile = None,
    preset: Annotated[
        str | None, typer.Option(help="Whose CLIP is asked. Without it: that which `ccd run` would take.")
    ] = None,
    config: ConfigFile = None,
    changes: Changes = None,
    ask: Annotated[
        bool, typer.Option("--ask", help="Go on asking for other words, as long as somebody types some.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what CLIP says of the class names on 12 images.

    Warns of names that CLIP confuses or never predicts, from up to 192 images.

    ccd classes photos --name "tvmonitor=tv monitor, television"
    """
    from ccd_core.config import load_config
    from ccd_core.machine.advice import preset_of
    from ccd_core.settings.prompts import parse_names

    spec = f"folder:{data}" if Path(data).expanduser().is_dir() else data
    words = parse_names(names or [])
    preset, advice = preset_of(preset, config is not None, spec)
    settings = load_config(preset, config, changes, spec, classes)
    if advice and not as_json:
        say("CLIP of preset [bold]{}[/], because {}.", advice.preset, advice.why)
    sample = _sample(settings)
    if as_json:
        from ccd_core.predict.class_names import facts

        print(json.dumps(facts(sample, words)))
        return
    _print(sample, words)
    while ask and sys.stdin.isatty():
        typed = console.input("Other words (CLASS=WORDS; nothing ends): ").strip()
        if not typed:
            return
        try:
            tried = {**words, **parse_names([typed])}
            _print(sample, tried)
            words = tried
        except UserError as error:
            say("[yellow]{}[/]", error)


def _sample(settings: CCDConfig) -> NamedSample:
    from ccd_core.clip.check import check_teacher
    from ccd_core.data import open_dataset

    dataset = open_dataset(settings.data.spec, settings.data.classes)
    check_teacher(settings.clip, dataset.classes)
    from ccd_core.predict.class_names import NamedSample

    with console.status("CLIP looks at some images ..."):
        return NamedSample(settings, dataset)


def _print(sample: NamedSample, words: Names) -> None:
    report = sample.about(words)
    shown = Table("image", "CLIP's first", "second", "third", title="What CLIP says")
    for image in sample.shown(words):
        cells = [f"{escape(name)} {p:.2f}" for name, p in image["top"]]
        shown.add_row(escape(str(image["id"])), *cells, *[""] * (3 - len(cells)))
    console.print(shown)
    before = sample.about() if words else report
    table = Table("class", "asked as", f"first of {report.images}", "highest", title="Class by class")
    known = {**sample.config.clip.names, **words}
    for row, name in enumerate(report.classes):
        said = known.get(name) or name
        first = str(report.first[row])
        highest = f"{report.highest[row]:.2f}"
        if name in words:
            first = f"{before.first[row]} -> {first}"
            highest = f"{before.highest[row]:.2f} -> {highest}"
        table.add_row(
            escape(name), escape(said if isinstance(said, str) else ", ".join(said)), first, highest
        )
    console.print(table)
    for warning in report.warnings:
        say("[yellow]![/] {}", warning)
    if not report.warnings:
        say("[green]No name stands out.[/]")
    if words:
        say("Use them with: --set {}", f"'clip.names={json.dumps(known, ensure_ascii=False)}'")
