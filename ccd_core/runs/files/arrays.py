"""What the arrays of a run must be: each belongs to its images and to the run's classes.

A file that can be read may still hold arrays with lost rows, repeated names or numbers that are none.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ccd_core.files import read_arrays, reading

Arrays = dict[str, np.ndarray]
NEEDED = {  # the arrays without which a file is of no use
    "global": ("ids", "p_global", "entropy"),
    "labels": ("ids", "initial", "local", "final", "n_views"),
    "scores": ("ids", "scores"),
}
SOMETIMES = {"scores": ("classifier",)}  # arrays that some runs have
PROBABILITIES = ("p_global", "final", "scores", "classifier")
ROUNDING = 1e-3  # by which a probability may leave the range from 0 to 1


def read_run_arrays(path: Path, kind: str, classes: int) -> Arrays:
    """The arrays of a file of a run: ids [N], and others with N rows. Those with two axes have C columns.

    kind: one of `NEEDED`. Raises UserError for anything else, and for NaN other than in local labels, where
    it says that an image has no view.
    """
    arrays = read_arrays(path)
    with reading(path):
        present = tuple(name for name in SOMETIMES.get(kind, ()) if name in arrays)
        _check(arrays, NEEDED[kind] + present, classes)
    return arrays


def _check(arrays: Arrays, needed: tuple[str, ...], classes: int) -> None:
    ids = arrays["ids"]
    if ids.dtype.kind != "U" or ids.ndim != 1 or len(np.unique(ids)) != len(ids):
        raise ValueError("names of images that are no text or are there twice")
    for name in needed:
        values = arrays[name]
        if name == "ids":
            continue
        is_table = name not in ("entropy", "n_views")
        if values.shape != ((len(ids), classes) if is_table else (len(ids),)):
            raise ValueError(f"{name} has the shape {values.shape}")
        if values.dtype.kind not in "fiu":
            raise TypeError(f"{name} has no numbers")
        if name != "local" and not np.isfinite(values).all():
            raise ValueError(f"{name} has values that are no numbers")
        if (
            name in PROBABILITIES
            and values.size
            and not (values.min() >= -ROUNDING and values.max() <= 1 + ROUNDING)
        ):
            raise ValueError(f"{name} has values that are no probabilities")
