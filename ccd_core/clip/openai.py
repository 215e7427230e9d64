"""OpenAI's own files, which carry their architecture: it is read off the shapes of their weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from ccd_core.errors import UserError
from ccd_core.weights.fitting import load_into

ENTRIES = ("input_resolution", "context_length", "vocab_size")  # numbers beside the weights
VISUAL = re.compile(r"visual\.(conv1|layer1)\.")  # of both kinds of image tower


def is_openai(name: str, state: Mapping[str, Tensor]) -> bool:
    """Whether these are OpenAI's weights, which carry their own architecture.

    Their archives say so by three extra entries. Without these, two more cases leave no other reading: a name
    for which only OpenAI's weights exist, and matrices in half precision beside norms in full precision,
    which only OpenAI's files have.
    """
    import open_clip

    if "input_resolution" in state:
        return True
    plain = {"text_projection", "ln_final.weight"} <= state.keys() and any(map(VISUAL.match, state))
    if ":" in name or not plain:
        return False
    matrix, norm = state["text_projection"], state["ln_final.weight"]
    halves = matrix.dtype == torch.float16 and norm.dtype == torch.float32
    only_openai = open_clip.list_pretrained_tags_by_model(name) == ["openai"]
    return halves or only_openai


def openai_network(state: Mapping[str, Tensor], path: Path, look: bool = False) -> nn.Module:
    """OpenAI's CLIP on the CPU in float32, with these weights.

    look: the weights are compared with the network, which is on torch's device "meta" and has no numbers.
    Raises UserError where they are none of OpenAI's.
    """
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg, convert_weights_to_fp16

    weights = {name: value for name, value in state.items() if name not in ENTRIES}
    try:
        text_width = weights["ln_final.weight"].shape[0]
        text = CLIPTextCfg(
            context_length=weights["positional_embedding"].shape[0],
            vocab_size=weights["token_embedding.weight"].shape[0],
            width=text_width,
            heads=text_width // 64,
            layers=_count(weights, r"transformer\.resblocks\.(\d+)\."),
        )
        with torch.device("meta" if look else "cpu"):
            network = CLIP(
                weights["text_projection"].shape[1], CLIPVisionCfg(**_vision(weights)), text, quick_gelu=True
            )
    except KeyError as error:
        raise UserError(
            f"The weights in {path} do not fit OpenAI's CLIP: {error.args[0]} is missing."
        ) from None
    except (IndexError, ValueError, AssertionError, ZeroDivisionError, RuntimeError):
        raise UserError(
            f"The weights in {path} do not fit OpenAI's CLIP: their shapes are those of no ResNet or ViT."
        ) from None
    convert_weights_to_fp16(network)  # OpenAI's networks were published so
    load_into(network, weights, path, "OpenAI's CLIP", may_lack=("logit_scale",))
    return network.float()


def _vision(weights: Mapping[str, Tensor]) -> dict[str, object]:
    """open_clip's settings of the image tower."""
    if "visual.proj" in weights:
        width, _, _, patch = weights["visual.conv1.weight"].shape
        grid = round((weights["visual.positional_embedding"].shape[0] - 1) ** 0.5)
        layers = _count(weights, r"visual\.transformer\.resblocks\.(\d+)\.attn\.in_proj_weight")
        return {"layers": layers, "width": width, "patch_size": patch, "image_size": patch * grid}
    grid = round((weights["visual.attnpool.positional_embedding"].shape[0] - 1) ** 0.5)
    stages = tuple(_count(weights, rf"visual\.layer{stage}\.(\d+)\.") for stage in range(1, 5))
    width = weights["visual.layer1.0.conv1.weight"].shape[0]
    return {"layers": stages, "width": width, "patch_size": None, "image_size": grid * 32}


def _count(weights: Mapping[str, Tensor], pattern: str) -> int:
    """How many numbers stand where the pattern's group is."""
    return len({match[1] for match in map(re.compile(pattern).match, weights) if match})
