"""A run as a report or in another program's format, made when somebody asks for it.

Exports are made by `ccd export` in a process of its own, because the app never loads torch.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from app.reading.ground_truth import dataset
from app.reading.readable_folders import data_folders, permitted, readable_folders, refuse_unknown
from ccd_core.data.types import Dataset
from ccd_core.errors import UserError
from ccd_core.export import FORMATS
from ccd_core.report import html_report
from ccd_core.runs.run import Run

SECONDS = 1800  # that an export may take
MOST_WITH_BOXES = 5000  # images; boxes of more take long, and are made by the command


def report(run: Run) -> bytes:
    """One HTML page about the run. Pictures that may not be shown here are left out."""

    def opener(of: Run) -> Dataset:
        refuse_unknown(of, "data.spec", "data.classes")
        return dataset(of)

    def shown(of: Run, path: Path) -> Path:
        return permitted(path, data_folders(of))

    return html_report([run], opener=opener, permitted=shown).encode()


def why_not(run: Run, to: str) -> str:
    """Why this format of the run cannot be made here; empty if it can be tried."""
    if missing := [name for name in FORMATS[to].extra if find_spec(name) is None]:
        return f"This needs {' and '.join(missing)}: run `pip install 'ccd-studio[export]'`."
    if FORMATS[to].of_labels:
        try:
            refuse_unknown(run, "data.spec", "data.classes")
            dataset(run)
        except UserError as error:
            return f"The run's data set cannot be opened on this machine. {error}"
    return ""


def make_export(run: Run, to: str, boxes: bool, folder: Path) -> Path:
    """Export the run into a zip file in `folder`, without images, and return the file.

    Raises UserError with the sentence of `ccd export`, or if it takes longer than `SECONDS`.
    """
    if FORMATS[to].of_labels:
        refuse_unknown(run, "data.spec", "data.classes")
        _refuse_links_out(run)
    name = f"{run.name}-{to}"
    with tempfile.TemporaryDirectory(dir=folder) as place:
        options = ["--images", "none", *([] if boxes else ["--no-boxes"])]
        out = Path(place) / name
        _ccd("export", str(run.path), "--to", to, "--out", str(out), *options)
        return Path(shutil.make_archive(str(folder / name), "zip", place, name))


def _refuse_links_out(run: Run) -> None:
    """Where others reach the app, no image of the data set may be a link that leads out of it."""
    if readable_folders() is None:
        return
    also = data_folders(run)
    for images in dataset(run).splits.values():
        for path in images.paths:
            permitted(path, also)


def _ccd(*arguments: str) -> None:
    command = [sys.executable, "-m", "ccd_core.cli", *arguments]
    environment = os.environ | {"CCD_DEBUG": "", "COLUMNS": "10000", "OMP_WAIT_POLICY": "passive"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=SECONDS, env=environment
        )
    except subprocess.TimeoutExpired:
        raise UserError(
            f"The export took longer than {SECONDS // 60} minutes; use the command in a terminal instead."
        ) from None
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
        sentence = (
            said[-1].removeprefix("Error: ") if said else "it ended unexpectedly, perhaps out of memory."
        )
        raise UserError(f"The export failed: {sentence}")
