"""Names of weights in the package EfficientNet-PyTorch, made timm's."""

from __future__ import annotations

import logging
from pathlib import Path

from torch import Tensor, nn

log = logging.getLogger("ccd")

OUTER = {  # EfficientNet-PyTorch -> timm
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
SQUEEZE = {"_se_reduce": "se.conv_reduce", "_se_expand": "se.conv_expand"}
WITHOUT_EXPANSION = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
WITH_EXPANSION = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def from_efficientnet_pytorch(found: dict[str, Tensor], network: nn.Module, path: Path) -> dict[str, Tensor]:
    """Weights with the names of the package EfficientNet-PyTorch under timm's names; any others as they are.

    That package numbers the blocks through; timm numbers stages and the blocks of each.
    """
    heads = [name.removesuffix("_conv_stem.weight") for name in found if name.endswith("_conv_stem.weight")]
    stages = getattr(network, "blocks", None)
    if not heads or not isinstance(stages, nn.Sequential):
        return found
    places = [f"blocks.{s}.{b}" for s, stage in enumerate(stages) for b, _ in enumerate(stage.children())]
    made = {}
    for name, value in found.items():
        part, _, rest = name.removeprefix(heads[0]).partition(".")
        if part == "_blocks":
            number, _, rest = rest.partition(".")
            inner, _, rest = rest.partition(".")
            expands = f"{heads[0]}_blocks.{number}._expand_conv.weight" in found
            names = SQUEEZE | (WITH_EXPANSION if expands else WITHOUT_EXPANSION)
            place = (
                places[int(number)] if number.isdigit() and int(number) < len(places) else f"blocks.{number}"
            )
            made[f"{place}.{names.get(inner, inner)}.{rest}"] = value
        else:
            made[f"{OUTER.get(part, part)}.{rest}"] = value
    norm = getattr(network, "bn1", None)
    same = isinstance(norm, nn.BatchNorm2d) and norm.eps == 1e-3
    log.info("%s: names of EfficientNet-PyTorch", path)
    if not same:
        log.warning(
            "%s was trained with TensorFlow's padding and batch norm; timm's networks tf_efficientnet_* have "
            "them, this one has not",
            path,
        )
    return made
