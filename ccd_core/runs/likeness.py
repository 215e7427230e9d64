"""The run's file likeness.npz: what its training images are like, for `method.likeness`."""

from __future__ import annotations

import numpy as np

from ccd_core.errors import UserError
from ccd_core.files import read_arrays, write_arrays
from ccd_core.method.likeness import Likeness
from ccd_core.runs.run import Run

FILE = "likeness.npz"


def write_likeness(run: Run, made: Likeness) -> None:
    """Write the file. Directions take half precision, which is enough and keeps the file small."""
    write_arrays(
        run.file(FILE),
        mean=made.mean,
        directions=made.directions.astype(np.float16),
        variance=made.variance,
        rest=np.array(made.rest, np.float32),
        distances=made.distances,
    )


def read_likeness(run: Run) -> Likeness | None:
    """What the file holds; None for a run without it, as those of older versions are, or a damaged one."""
    if not run.has(FILE):
        return None
    try:
        arrays = read_arrays(run.file(FILE))
        mean = arrays["mean"].astype(np.float32)
        directions = arrays["directions"].astype(np.float32)
        variance = arrays["variance"].astype(np.float32)
        distances = arrays["distances"].astype(np.float32)
        rest = float(arrays["rest"])
    except (UserError, KeyError, ValueError, TypeError):
        return None
    fits = (
        mean.ndim == 1 and directions.shape == (len(variance), len(mean)) and distances.size > 0 and rest > 0
    )
    return Likeness(mean, directions, variance, rest, distances) if fits else None
