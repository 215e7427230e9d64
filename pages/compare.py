"""Every method of the paper's Table 1 on the same images, and sweeps of settings (Table 1, Figs. 6, 7)."""

from __future__ import annotations

from app import state
from app.choices import pick_comparison
from app.parts.compare.classes import classes_part
from app.parts.compare.image import image_part
from app.parts.compare.missing import runs_part
from app.parts.compare.sweep import sweep_part
from app.parts.compare.table import table_part
from app.reading.comparing.comparisons import has_sweep, has_table, sweep_now, table_now
from app.widgets import friendly_errors, page_header, pick_part

TABLE, CLASSES, IMAGE, SWEEP = "Methods", "Classes", "One image", "Sweep"
RUNS, SWEEP_RUNS = "Runs", "Runs of the sweep"

page_header(
    "Compare",
    "Which method works best on these images, and how much does a setting matter?",
    "All methods of a table have the same images, classifier and training; they differ in what they are told "
    "of the training images and in what they make of it. Methods with labels are a measure of what labels "
    "would give; they are marked wherever they stand. The score is that of the kept model on validation "
    "images, over several seeds: a difference smaller than the deviations says nothing.",
    r"\bar{s} = \frac{1}{n}\sum_{i=1}^{n} s_i, \qquad "
    r"\sigma = \sqrt{\frac{1}{n-1}\sum_{i=1}^{n} (s_i - \bar{s})^2}",
)
folder = pick_comparison()
parts = [TABLE, CLASSES, IMAGE, RUNS] if has_table(folder) else []
parts += [SWEEP, SWEEP_RUNS] if has_sweep(folder) else []
part = pick_part(parts, state.COMPARE_PART)
with friendly_errors():
    if part == TABLE:
        table_part(table_now(folder), folder)
    elif part == CLASSES:
        classes_part(table_now(folder), folder)
    elif part == IMAGE:
        image_part(table_now(folder), folder)
    elif part == SWEEP:
        sweep_part(sweep_now(folder), folder)
    elif part == SWEEP_RUNS:
        runs_part(lambda: sweep_now(folder).points, folder)
    else:
        runs_part(lambda: table_now(folder).rows, folder)
