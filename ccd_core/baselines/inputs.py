"""What methods without labels are given, and the setting that every method may know.

`supervision.WithLabels` is the type for methods that use labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np
import torch

from ccd_core.errors import UserError

Options = TypeVar("Options")


@dataclass(frozen=True)
class Setting:
    """What every method may know of a run.

    dataset_kind: voc2012, demo, ...; options: `method.options`; seed: the run's; head_width: features of a
    class in the head of SST and SARB.
    """

    dataset_kind: str
    options: dict[str, float]
    seed: int
    head_width: int
    device: torch.device

    def filled(self, defaults: Options) -> Options:
        """The method's constants, a dataclass of numbers, with those that the user has set.

        Raises UserError for a name that the method does not have.
        """
        known = {field.name: type(getattr(defaults, field.name)) for field in fields(defaults)}  # type: ignore[arg-type]
        unknown = sorted(set(self.options) - set(known))
        if unknown:
            there = ", ".join(known) or "none"
            raise UserError(f"This method has no option {unknown[0]}; method.options takes {there}.")
        chosen: dict[str, Any] = {name: known[name](value) for name, value in self.options.items()}
        return type(defaults)(**(vars(defaults) | chosen))


@dataclass(frozen=True)
class LabelFree:
    """For methods without labels. p: [N, C] float32, CLIP's probabilities of whole images (Eq. 2).

    tiles() computes [N, 9, C] float32, CLIP's probabilities of the cells of a 3 x 3 grid, or reads them from
    the cache.
    """

    setting: Setting
    p: np.ndarray
    tiles: Callable[[], np.ndarray]


@dataclass(frozen=True)
class TrainingFree:
    """For methods that only score images.

    p and tiles are as in `LabelFree`, of the images that are scored; similarity: [N, C] float32, cosines.
    """

    setting: Setting
    p: np.ndarray
    similarity: np.ndarray
    tiles: Callable[[], np.ndarray]
