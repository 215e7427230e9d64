"""The page itself: head, style sheet, a part for each run, and a comparison of several."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ccd_core.data.types import Dataset
from ccd_core.report.comparison import comparison
from ccd_core.report.markup import text
from ccd_core.report.one_run import sections_of
from ccd_core.report.sources import Sources, any_path, open_data
from ccd_core.runs.provenance import own_version
from ccd_core.runs.run import Run

STYLE = Path(__file__).with_name("style.css")
# Nothing outside of the file is loaded, and nothing in it runs, whatever a name in it looks like.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def html_report(
    runs: Sequence[Run],
    pictures: bool = True,
    opener: Callable[[Run], Dataset] = open_data,
    permitted: Callable[[Run, Path], Path] = any_path,
) -> str:
    """One HTML page about one or several runs, with all that it needs inside.

    pictures: with images of the data set. opener: opens a run's data set. permitted: raises UserError for a
    picture that may not be shown.
    """
    names = _names(runs)
    title = names[0] if len(runs) == 1 else f"{len(runs)} runs compared"
    parts = [
        f"<h1>{text(title)}</h1>",
        '<p class="quiet">Multi-label image classifiers from images without labels, by Classifier-guided '
        f"CLIP Distillation (CVPR 2025). Report of {time.strftime('%Y-%m-%d')}, CCD Studio "
        f"{text(own_version())}.</p>",
    ]
    if len(runs) > 1:
        links = "".join(f'<a href="#run{place}">{text(name)}</a>' for place, name in enumerate(names))
        parts += [f"<nav>{links}</nav>", *comparison(runs, names)]
    for place, (run, name) in enumerate(zip(runs, names, strict=True)):
        if len(runs) > 1:
            parts.append(f'<h2 id="run{place}">{text(name)}</h2>')
        parts += sections_of(Sources.of(run, opener, permitted), pictures)
    parts.append(
        "<footer>mAP: mean over the classes of average precision. F1: mean over the classes, a score of 0.5 "
        "or more being a label. Ground truth, where there is any, scored the result and trained nothing."
        "</footer>"
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title><style>{STYLE.read_text(encoding='utf-8')}</style></head>\n"
        f"<body>{chr(10).join(parts)}</body></html>\n"
    )


def _names(runs: Sequence[Run]) -> list[str]:
    """The name of each run; a name that several have gets its place in front, and a number if need be."""
    names: list[str] = []
    for run in runs:
        name = run.name
        if [other.name for other in runs].count(name) > 1:
            name = f"{run.path.resolve().parent.name}/{name}"
        number = 2
        unique = name
        while unique in names:
            unique = f"{name} ({number})"
            number += 1
        names.append(unique)
    return names
