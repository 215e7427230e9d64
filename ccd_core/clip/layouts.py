"""Names of weights in other libraries' CLIPs, made open_clip's.

| file | what differs |
|---|---|
| transformers' CLIPModel | q, k and v are three matrices; projections are transposed; other names |
| transformers' SiglipModel | the same, and timm's names for the image tower |
| open_clip before custom text towers | the text tower's weights lie beside the image tower's |
| Apple's MobileCLIP | open_clip converts it |
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ccd_core.errors import UserError, first_line
from ccd_core.weights.fitting import load_into, unwrap

log = logging.getLogger("ccd")
PATCHES = "vision_model.embeddings.patch_embedding.weight"  # of both models of transformers
SCALES = (0.0, 7.0)  # of logit_scale; CLIP starts at 2.66 and is kept below 4.61, SigLIP ends near 4.7

LAYER = {  # transformers -> open_clip's residual block
    "self_attn.out_proj": "attn.out_proj",
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}
TIMM_LAYER = {  # transformers -> timm's block
    "self_attn.out_proj": "attn.proj",
    "layer_norm1": "norm1",
    "layer_norm2": "norm2",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}
CLIP_NAMES = {
    "logit_scale": "logit_scale",
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
    "vision_model.pre_layrnorm": "visual.ln_pre",  # so spelled in transformers
    "vision_model.post_layernorm": "visual.ln_post",
    "visual_projection.weight": "visual.proj",
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "text_model.final_layer_norm": "ln_final",
    "text_projection.weight": "text_projection",
}
SIGLIP_NAMES = {
    "logit_scale": "logit_scale",
    "logit_bias": "logit_bias",
    "vision_model.embeddings.patch_embedding": "visual.trunk.patch_embed.proj",
    "vision_model.embeddings.position_embedding.weight": "visual.trunk.pos_embed",
    "vision_model.post_layernorm": "visual.trunk.norm",
    "vision_model.head.probe": "visual.trunk.attn_pool.latent",
    "vision_model.head.attention.out_proj": "visual.trunk.attn_pool.proj",
    "vision_model.head.layernorm": "visual.trunk.attn_pool.norm",
    "vision_model.head.mlp": "visual.trunk.attn_pool.mlp",
    "text_model.embeddings.token_embedding.weight": "text.token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "text.positional_embedding",
    "text_model.final_layer_norm": "text.ln_final",
    "text_model.head": "text.text_projection",
}


def from_transformers(found: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The weights under open_clip's names, where they are those of transformers' CLIPModel or SiglipModel."""
    prefixes = [name.removesuffix(PATCHES) for name in found if name.endswith(PATCHES)]
    if not prefixes:
        return dict(found)
    prefix = min(prefixes, key=len)
    state = {name.removeprefix(prefix): value for name, value in found.items() if name.startswith(prefix)}
    siglip = "vision_model.head.probe" in state
    if not siglip and not any(name.startswith("text_model.") for name in state):
        raise UserError(f"{path} holds the image tower of a CLIP alone; classes need the text tower as well.")
    log.info("%s: weights of transformers' %s", path, "SiglipModel" if siglip else "CLIPModel")
    return _siglip(state) if siglip else _clip(state)


def _clip(state: dict[str, Tensor]) -> dict[str, Tensor]:
    made = _renamed(state, CLIP_NAMES)
    made |= _blocks(state, "vision_model.", "visual.transformer.resblocks", "attn.in_proj_{}", LAYER)
    made |= _blocks(state, "text_model.", "transformer.resblocks", "attn.in_proj_{}", LAYER)
    for name in ("visual.proj", "text_projection"):
        if name in made:
            made[name] = made[name].T
    return made


def _siglip(state: dict[str, Tensor]) -> dict[str, Tensor]:
    made = _renamed(state, SIGLIP_NAMES)
    made |= _blocks(state, "vision_model.", "visual.trunk.blocks", "attn.qkv.{}", TIMM_LAYER)
    made |= _blocks(state, "text_model.", "text.transformer.resblocks", "attn.in_proj_{}", LAYER)
    if "visual.trunk.pos_embed" in made:
        made["visual.trunk.pos_embed"] = made["visual.trunk.pos_embed"][None]
    for part in ("weight", "bias"):
        joint = state.get(f"vision_model.head.attention.in_proj_{part}")
        if joint is not None:
            third = len(joint) // 3
            made[f"visual.trunk.attn_pool.q.{part}"] = joint[:third]
            made[f"visual.trunk.attn_pool.kv.{part}"] = joint[third:]
    return made


def _renamed(state: Mapping[str, Tensor], names: Mapping[str, str]) -> dict[str, Tensor]:
    """What `names` knows; each of them is a weight or a module."""
    made = {}
    for name, value in state.items():
        for theirs, ours in names.items():
            if name == theirs or name.startswith(f"{theirs}."):
                made[ours + name.removeprefix(theirs)] = value
    return made


def _blocks(
    state: Mapping[str, Tensor], tower: str, blocks: str, joint: str, names: Mapping[str, str]
) -> dict[str, Tensor]:
    """The transformer's blocks of a tower. joint: the name of q, k and v in one matrix."""
    made = {}
    for name in state:
        match = re.fullmatch(rf"{re.escape(tower)}encoder\.layers\.(\d+)\.(.+)\.(weight|bias)", name)
        if not match:
            continue
        number, part, kind = match.groups()
        if part in names:
            made[f"{blocks}.{number}.{names[part]}.{kind}"] = state[name]
        elif part == "self_attn.q_proj":
            three = [state.get(name.replace("q_proj", f"{letter}_proj")) for letter in "qkv"]
            made[f"{blocks}.{number}.{joint.format(kind)}"] = torch.cat(
                [one for one in three if one is not None]
            )
    return made


def load_clip(network: Any, found: Mapping[str, Tensor], path: Path, name: str) -> None:
    """Copy weights under open_clip's names into an open_clip network.

    Positions of another grid or context length are resized, as open_clip does. Raises UserError, one
    sentence, where they do not fit `name`.
    """
    from open_clip.convert import convert_state_dict
    from open_clip.model import convert_to_custom_text_state_dict, resize_pos_embed, resize_text_pos_embed

    names = network.state_dict().keys()
    state = unwrap(found, {*names, *(name.removeprefix("text.") for name in names)}, path)
    try:
        state = convert_state_dict(network, state)
    except (RuntimeError, KeyError, AttributeError, IndexError, ValueError, TypeError) as error:
        log.debug("conversion failed", exc_info=True)
        raise UserError(f"The weights in {path} do not fit CLIP {name}: {first_line(error)}.") from None
    if "positional_embedding" in state and not hasattr(network, "positional_embedding"):
        state = convert_to_custom_text_state_dict(state)
    for scalar in ("logit_scale", "logit_bias"):
        if scalar in state and scalar in names and state[scalar].numel() == 1:
            state[scalar] = state[scalar].reshape(network.state_dict()[scalar].shape)
    state.pop("text.transformer.embeddings.position_ids", None)
    if _is_grid(state.get("visual.positional_embedding"), network):
        resize_pos_embed(state, network)
    if _same_width(state, network, "positional_embedding") or _same_width(
        state, network, "text.positional_embedding"
    ):
        resize_text_pos_embed(state, network)
    load_into(network, state, path, f"CLIP {name}", may_lack=("logit_scale", "logit_bias"))


def _is_grid(positions: Tensor | None, network: Any) -> bool:
    """Whether these are positions of a square of patches and the class token, as wide as the network's."""
    own = network.state_dict().get("visual.positional_embedding")
    if positions is None or own is None or positions.ndim != 2 or not positions.is_floating_point():
        return False
    side = round((len(positions) - 1) ** 0.5)
    return positions.shape[1] == own.shape[1] and side > 0 and side**2 + 1 == len(positions)


def _same_width(state: Mapping[str, Tensor], network: Any, name: str) -> bool:
    positions, own = state.get(name), network.state_dict().get(name)
    return (
        positions is not None
        and own is not None
        and positions.ndim == 2
        and positions.is_floating_point()
        and positions.shape[1] == own.shape[1]
    )


def check_scale(network: Any, what: str) -> None:
    """Raises UserError where logit_scale, the logarithm of 1 / tau in Eq. 2, is no CLIP's."""
    scale = float(network.logit_scale.detach())
    low, high = SCALES
    if not low <= scale <= high:
        raise UserError(
            f"{what}: logit_scale is {scale:.4g}, so cosines would be multiplied by exp({scale:.4g}); a "
            "CLIP's lies "
            f"between {low:g} and {high:g} (it is the logarithm of 1 / tau)."
        )
