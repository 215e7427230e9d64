"""Which epoch's model is kept (Sec. 4.1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def first_local_minimum(train_map_per_epoch: Sequence[float]) -> int | None:
    """The epoch whose model is kept: the first whose gain in mAP exceeds the gain before it (Sec. 4.1).

    The gain of epoch e is map[e] - map[e - 1]; an increase means that the gain before was a local minimum. None where
    that never happens; comparisons with NaN never count.
    """
    values = np.asarray(train_map_per_epoch, np.float64)
    gains = np.diff(values)
    for epoch in range(2, len(values)):
        if gains[epoch - 1] > gains[epoch - 2]:
            return epoch
    return None
