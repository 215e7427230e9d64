"""Early stopping: which epoch's model is the final one (Sec. 4.1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def first_local_minimum(train_map_per_epoch: Sequence[float]) -> int | None:
    """The epoch whose model is kept: the first whose gain in mAP is larger than the one before (Sec. 4.1).

    train_map_per_epoch: mAP of the training labels after each epoch, [E]. The gain of epoch e is map[e] -
    map[e - 1]. If the gain grows at epoch e, then the gain of epoch e - 1 was a local minimum. Returns an
    index of [E], or None if there is no such epoch. A comparison with NaN counts as false.
    """
    values = np.asarray(train_map_per_epoch, np.float64)
    gains = np.diff(values)
    for epoch in range(2, len(values)):
        if gains[epoch - 1] > gains[epoch - 2]:
            return epoch
    return None
