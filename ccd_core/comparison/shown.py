"""A comparison as rows of text: for the terminal, as CSV and as LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from ccd_core.baselines.tables import GROUPS, MeanAndDeviation, SweepFile, SweepPoint, TableFile, TableRow

MISSING = "-"


def with_deviation(found: MeanAndDeviation | None, plus_minus: str = "±") -> str:
    """`83.7 ± 0.8`, or `83.7` for a single run, or `-`."""
    if found is None:
        return MISSING
    if found.deviation is None:
        return f"{found.mean:.1f}"
    return f"{found.mean:.1f} {plus_minus} {found.deviation:.1f}"


def published(row: TableRow | SweepPoint) -> str:
    return MISSING if row.published is None else f"{row.published:.1f}"


def kept_epochs(row: TableRow) -> str:
    """Which epochs were kept, such as `5` or `4-6`."""
    epochs = sorted({run.epoch for run in row.runs if run.epoch})
    if not epochs:
        return MISSING
    return str(epochs[0]) if len(epochs) == 1 else f"{epochs[0]}-{epochs[-1]}"


def seconds(row: TableRow | SweepPoint) -> str:
    return MISSING if row.seconds is None else f"{row.seconds:.0f}"


def class_rows(table: TableFile) -> tuple[list[str], list[list[str]]]:
    """Tables 3 to 5: header and rows, a row for each class, a column for each method, AP in percent."""
    finished = [row for row in table.rows if row.over_seeds() is not None]
    rows = [[name, *(with_deviation(row.class_ap(name)) for row in finished)] for name in table.classes]
    rows.append(["mAP", *(with_deviation(row.over_seeds()) for row in finished)])
    return ["class", *(row.title for row in finished)], rows


def table_csv(table: TableFile) -> str:
    """One line for each run of each method, with the AP of every class."""
    header = ["method", "title", "group", "labels", "recipe", "epoch_choice", "published", "seed", "status"]
    header += ["epoch", "epochs", "seconds", "mAP", "micro_AP", "F1", "label_mAP", "run"]
    lines = [[*header, *(f"AP {name}" for name in table.classes)]]
    for row in table.rows:
        of_row = [row.method, row.title, row.group, row.labels, row.recipe, row.epoch_choice, row.published]
        for run in row.runs:
            values = [run.seed, run.status, run.epoch, run.epochs, run.seconds]
            values += [run.mAP, run.micro_AP, run.F1, run.label_mAP, run.run]
            lines.append([*map(_cell, [*of_row, *values]), *(_cell(run.AP.get(n)) for n in table.classes)])
    return _csv(lines)


def sweep_csv(sweep: SweepFile) -> str:
    """One line for each run of each point."""
    lines = [["point", "value", "is_control", "published", "seed", "status", "seconds", "mAP", "micro_AP"]]
    lines[0] += ["F1", "label_mAP", "run"]
    for point in sweep.points:
        for run in point.runs:
            values = [point.label, point.value, point.is_control, point.published, run.seed, run.status]
            values += [run.seconds, run.mAP, run.micro_AP, run.F1, run.label_mAP, run.run]
            lines.append(list(map(_cell, values)))
    return _csv(lines)


def table_latex(table: TableFile) -> str:
    """Table 1 as a LaTeX tabular, for booktabs."""
    lines = [f"% {line}" for line in _about(table)]
    lines += [r"\begin{tabular}{llrrrrl}", r"\toprule"]
    lines += [r"Supervision & Method & mAP & Published & Epoch & Seconds & Training labels \\", r"\midrule"]
    group = None
    for row in table.rows:
        if group not in (None, row.group):
            lines.append(r"\midrule")
        shown_group = "" if row.group == group else GROUPS[row.group]
        group = row.group
        cells = [shown_group, row.title, with_deviation(row.over_seeds(), r"$\pm$"), published(row)]
        cells += [kept_epochs(row), seconds(row), row.labels]
        lines.append(" & ".join(cell if "$" in cell else _latex(cell) for cell in cells) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    return "\n".join(lines) + "\n"


def _about(table: TableFile) -> list[str]:
    """What the numbers of a table are, in lines of plain text."""
    choices = sorted({row.epoch_choice for row in table.rows if row.recipe != "none"})
    seeds = ", ".join(map(str, table.seeds))
    return [
        f"Validation mAP in percent on {' '.join(table.dataset.split())}: {table.train_images} training and "
        f"{table.val_images} validation images.",
        f"Recipe {table.recipe}, preset {table.preset}, seeds {seeds}; mean and standard deviation.",
        f"The epoch was chosen without labels: {'; '.join(choices) or '-'}.",
    ]


def sweep_latex(sweep: SweepFile) -> str:
    """A sweep as a LaTeX tabular, for booktabs."""
    lines = [r"\begin{tabular}{lrr}", r"\toprule"]
    lines += [f"{_latex(sweep.setting or 'Row')} & mAP & Published " + r"\\", r"\midrule"]
    for point in sweep.points:
        cells = [_latex(point.label), with_deviation(point.over_seeds(), r"$\pm$"), published(point)]
        lines.append(" & ".join(cells) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    return "\n".join(lines) + "\n"


def classes_latex(table: TableFile) -> str:
    """Tables 3 to 5 as a LaTeX tabular, for booktabs."""
    header, rows = class_rows(table)
    lines = [rf"\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}", r"\toprule"]
    lines += [" & ".join(map(_latex, header)) + r" \\", r"\midrule"]
    for cells in rows:
        words = [_latex(cells[0]), *(cell.replace("±", r"$\pm$") for cell in cells[1:])]
        lines.append(" & ".join(words) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    return "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    """A cell of a CSV file, which no spreadsheet takes for a formula."""
    text = "" if value is None else str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _csv(lines: Sequence[Sequence[str]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(lines)
    return buffer.getvalue()


_SPECIAL = {character: f"\\{character}" for character in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def _latex(text: str) -> str:
    return "".join(_SPECIAL.get(character, character) for character in text)
