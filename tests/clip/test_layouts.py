"""CLIPs of other libraries: their names become open_clip's, and the same features come out.

`transformers` is no dependency. Its files are written here from open_clip's weights, with the names that
transformers' CLIPModel and SiglipModel give them.
"""

from __future__ import annotations

import json

import open_clip
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from ccd_core.clip.teacher import ClipTeacher
from ccd_core.errors import UserError
from tests.clip.small_models import TOWERS, write_model
from tests.clip.small_models import timm as timm_tower


def thirds(joint: torch.Tensor) -> dict[str, torch.Tensor]:
    return dict(zip(("q_proj", "k_proj", "v_proj"), joint.chunk(3), strict=True))


def layers_of_transformers(state: dict, blocks: str, tower: str, joint: str, names: dict[str, str]) -> dict:
    """A tower's blocks as transformers names them. names: open_clip's or timm's -> transformers'."""
    made = {}
    for name, value in state.items():
        if not name.startswith(f"{blocks}."):
            continue
        number, _, rest = name.removeprefix(f"{blocks}.").partition(".")
        layer = f"{tower}encoder.layers.{number}."
        for kind in ("weight", "bias"):
            if rest == joint.format(kind):
                made |= {f"{layer}self_attn.{part}.{kind}": third for part, third in thirds(value).items()}
        for ours, theirs in names.items():
            if rest.startswith(f"{ours}."):
                made[layer + theirs + rest.removeprefix(ours)] = value
    return made


OF_BLOCK = {
    "attn.out_proj": "self_attn.out_proj",
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
OF_TIMM = {
    "attn.proj": "self_attn.out_proj",
    "norm1": "layer_norm1",
    "norm2": "layer_norm2",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}


def clip_model(state: dict) -> dict[str, torch.Tensor]:
    """The state dict of transformers' CLIPModel."""
    made = {
        "logit_scale": state["logit_scale"],
        "vision_model.embeddings.class_embedding": state["visual.class_embedding"],
        "vision_model.embeddings.patch_embedding.weight": state["visual.conv1.weight"],
        "vision_model.embeddings.position_embedding.weight": state["visual.positional_embedding"],
        "vision_model.embeddings.position_ids": torch.arange(17)[None],
        "visual_projection.weight": state["visual.proj"].T,
        "text_model.embeddings.token_embedding.weight": state["token_embedding.weight"],
        "text_model.embeddings.position_embedding.weight": state["positional_embedding"],
        "text_model.embeddings.position_ids": torch.arange(16)[None],
        "text_projection.weight": state["text_projection"].T,
    }
    for kind in ("weight", "bias"):
        made[f"vision_model.pre_layrnorm.{kind}"] = state[f"visual.ln_pre.{kind}"]
        made[f"vision_model.post_layernorm.{kind}"] = state[f"visual.ln_post.{kind}"]
        made[f"text_model.final_layer_norm.{kind}"] = state[f"ln_final.{kind}"]
    joint = "attn.in_proj_{}"
    made |= layers_of_transformers(state, "visual.transformer.resblocks", "vision_model.", joint, OF_BLOCK)
    return made | layers_of_transformers(state, "transformer.resblocks", "text_model.", joint, OF_BLOCK)


def siglip_model(state: dict) -> dict[str, torch.Tensor]:
    """The state dict of transformers' SiglipModel, whose two scalars are vectors of one."""
    trunk, pool = "visual.trunk", "visual.trunk.attn_pool"
    made = {
        "logit_scale": state["logit_scale"].reshape(1),
        "logit_bias": state["logit_bias"].reshape(1),
        "vision_model.embeddings.position_embedding.weight": state[f"{trunk}.pos_embed"][0],
        "vision_model.head.probe": state[f"{pool}.latent"],
        "text_model.embeddings.token_embedding.weight": state["text.token_embedding.weight"],
        "text_model.embeddings.position_embedding.weight": state["text.positional_embedding"],
    }
    for kind in ("weight", "bias"):
        made[f"vision_model.embeddings.patch_embedding.{kind}"] = state[f"{trunk}.patch_embed.proj.{kind}"]
        made[f"vision_model.post_layernorm.{kind}"] = state[f"{trunk}.norm.{kind}"]
        joint = torch.cat([state[f"{pool}.q.{kind}"], state[f"{pool}.kv.{kind}"]])
        made[f"vision_model.head.attention.in_proj_{kind}"] = joint
        made[f"vision_model.head.attention.out_proj.{kind}"] = state[f"{pool}.proj.{kind}"]
        made[f"vision_model.head.layernorm.{kind}"] = state[f"{pool}.norm.{kind}"]
        for part in ("fc1", "fc2"):
            made[f"vision_model.head.mlp.{part}.{kind}"] = state[f"{pool}.mlp.{part}.{kind}"]
        made[f"text_model.final_layer_norm.{kind}"] = state[f"text.ln_final.{kind}"]
        made[f"text_model.head.{kind}"] = state[f"text.text_projection.{kind}"]
    made |= layers_of_transformers(state, f"{trunk}.blocks", "vision_model.", "attn.qkv.{}", OF_TIMM)
    blocks = "text.transformer.resblocks"
    return made | layers_of_transformers(state, blocks, "text_model.", "attn.in_proj_{}", OF_BLOCK)


@pytest.fixture
def clip(tmp_path):
    """(name, weights) of a small CLIP in open_clip's own layout."""
    name = write_model(tmp_path / "clip", *TOWERS["vit"][2:])
    return name, load_file(tmp_path / "clip" / "open_clip_model.safetensors")


@pytest.fixture
def siglip(tmp_path, monkeypatch):
    """The same of a SigLIP: timm's tower without class token, few layers, a text projection with bias."""
    build = timm.create_model
    small = {"depth": 2, "embed_dim": 96, "num_heads": 3, "img_size": 64}
    monkeypatch.setattr(timm, "create_model", lambda name, **settings: build(name, **settings, **small))
    vision = timm_tower("vit_base_patch16_siglip_224", 64, "map", "none")
    folder = tmp_path / "siglip"
    name = write_model(folder, vision, {"embed_dim": 96, "init_logit_bias": -10, "custom_text": True})
    settings = json.loads((folder / "open_clip_config.json").read_text())
    settings["model_cfg"]["text_cfg"]["proj_bias"] = True
    (folder / "open_clip_config.json").write_text(json.dumps(settings))
    network = open_clip.create_model(name, load_weights=False)
    save_file(network.state_dict(), folder / "open_clip_model.safetensors")
    return name, network.state_dict()


@pytest.mark.parametrize("prefix", ["", "model.", "clip."])
@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_files_of_transformers_give_the_same_features(kind, prefix, tmp_path, request):
    name, state = request.getfixturevalue(kind)
    theirs = (clip_model if kind == "clip" else siglip_model)(state)
    save_file(
        {prefix + key: value.clone().contiguous() for key, value in theirs.items()},
        tmp_path / "m.safetensors",
    )
    own, read = ClipTeacher.load(name), ClipTeacher.load(name, str(tmp_path / "m.safetensors"))
    assert {key: tuple(value.shape) for key, value in read.model.state_dict().items()} == {
        key: tuple(value.shape) for key, value in own.model.state_dict().items()
    }
    for key, value in own.model.state_dict().items():
        assert torch.equal(read.model.state_dict()[key], value), key
    image = torch.randn(1, 3, *own.native_size)
    assert torch.equal(own.encode_image(image), read.encode_image(image))
    assert torch.equal(own.encode_text(["cat"]), read.encode_text(["cat"]))


def test_the_image_tower_alone_is_said(clip, tmp_path):
    name, state = clip
    vision = {key: value.contiguous() for key, value in clip_model(state).items() if key.startswith("vision")}
    save_file(vision, tmp_path / "vision.safetensors")
    with pytest.raises(UserError, match="the image tower of a CLIP alone"):
        ClipTeacher.load(name, str(tmp_path / "vision.safetensors"))


def test_what_a_file_of_transformers_lacks_is_named_as_open_clip_names_it(clip, tmp_path):
    name, state = clip
    theirs = {key: value.contiguous() for key, value in clip_model(state).items()}
    del theirs["vision_model.encoder.layers.1.mlp.fc1.weight"]
    save_file(theirs, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match=r"visual\.transformer\.resblocks\.1\.mlp\.c_fc\.weight is missing"):
        ClipTeacher.load(name, str(tmp_path / "model.safetensors"))
