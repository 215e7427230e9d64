"""CDUL with labels by PIAA's recipe: g comes from CLIP's patches, not from the whole image.

The probabilities of `ccd_core.method.patch_labels`, which has the source and the formula, stand in for g of
`cdul`. The tiles, and all else, are CDUL's.
"""

from __future__ import annotations

from dataclasses import dataclass

from ccd_core.baselines.inputs import LabelFree
from ccd_core.baselines.without_labels import cdul
from ccd_core.baselines.without_labels.label_makers import tiled
from ccd_core.method.patch_labels import PatchOptions
from ccd_core.training.objective import Objective


@dataclass(frozen=True)
class Options(cdul.Options, PatchOptions):
    """The constants of both, of which the patches' are used before."""


def make(inputs: LabelFree) -> Objective:
    """p of the inputs is from patches."""
    options = inputs.setting.filled(Options())
    return cdul.Cdul(tiled(inputs.p, inputs.tiles(), options.zeta), options)
