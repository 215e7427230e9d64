"""Put the table of a comparison into assets/, for the page Compare of the demo.

    ccd table demo --out comparisons/demo
    python assets/ship_table.py comparisons/demo assets/demo_table

Runs do not ship, so the page shows the table and the examples, and no run behind them.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ccd_core.baselines.tables import (
    read_examples,
    read_sweep,
    read_table,
    write_examples,
    write_sweep,
    write_table,
)
from ccd_core.errors import UserError


def ship(source: Path, target: Path) -> None:
    """Copy table.json and sweep.json, whichever are there, and examples.npz, checked as they are read."""
    target.mkdir(parents=True, exist_ok=True)
    if (source / "table.json").is_file():
        write_table(target, read_table(source))
    if (source / "sweep.json").is_file():
        write_sweep(target, read_sweep(source))
    if (examples := read_examples(source)) is not None:
        write_examples(target, examples)
    if not any(target.iterdir()):
        raise UserError(f"{source} has neither a table.json nor a sweep.json.")


if __name__ == "__main__":
    ship(Path(sys.argv[1]), Path(sys.argv[2]))
