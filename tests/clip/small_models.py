"""Small CLIPs of every kind of image tower, with random weights, as folders that open_clip reads."""

from __future__ import annotations

import json

import open_clip
import torch
from safetensors.torch import save_file

TEXT = {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}


SMALL_VIT = {"image_size": 64, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16}


def timm(name: str, size: int, pool: str = "", proj: str | None = "linear") -> dict:
    return {"timm_model_name": name, "image_size": size, "timm_pool": pool, "timm_proj": proj}


# As SO400M-14 at 384: no multiple of 14.
TOWERS = {  # name -> (class, stride, vision_cfg, further settings of the model)
    "resnet": (
        "ModifiedResNet",
        32,
        {"image_size": 96, "layers": [1, 1, 1, 1], "width": 8, "head_width": 32},
        {},
    ),
    "vit": ("VisionTransformer", 16, SMALL_VIT, {"quick_gelu": True}),
    "vit-14": (
        "VisionTransformer",
        14,
        SMALL_VIT | {"image_size": 56, "patch_size": 14},
        {"custom_text": True},
    ),
    "vit-average": (
        "VisionTransformer",
        16,
        SMALL_VIT | {"pool_type": "avg", "final_ln_after_pool": True, "no_ln_pre": True},
        {},
    ),
    "vit-sincos": ("VisionTransformer", 16, SMALL_VIT | {"pos_embed_type": "sin_cos_2d"}, {}),
    "coca": (
        "VisionTransformer",
        16,
        SMALL_VIT | {"attentional_pool": True, "attn_pooler_heads": 2, "output_tokens": True},
        "coca",
    ),
    "siglip": (
        "VisionTransformer",
        16,
        timm("test_vit3", 160, "map", "none"),
        {"embed_dim": 96, "init_logit_bias": -10, "custom_text": True},
    ),
    "timm-vit": (
        "VisionTransformer",
        16,
        timm("vit_tiny_patch16_224", 64, "token", None),
        {"custom_text": True},
    ),
    "eva02": (
        "Eva",
        14,
        timm("eva02_tiny_patch14_224", 60, "token", None),
        {"custom_text": True},
    ),
    "perception": ("Eva", 16, timm("vit_pe_core_tiny_patch16_384", 64, "map"), {}),
    "vitamin": ("VisionTransformer", 16, timm("vitamin_small_224", 64, "avg"), {}),
    "mobileclip": ("FastVit", 32, timm("fastvit_mci0", 64, "avg", None), {}),
    "convnext": ("ConvNeXt", 32, timm("test_convnext", 160), {}),
}


SHALLOW = {  # timm's own classes, built with few layers so that a test takes no time
    "vit_tiny_patch16_224": {"depth": 2, "img_size": 64},
    "eva02_tiny_patch14_224": {"depth": 2, "img_size": 60},
    "vit_pe_core_tiny_patch16_384": {"depth": 2, "img_size": 64},
    "vitamin_small_224": {"depth": 2, "img_size": 64},
    "fastvit_mci0": {"layers": (1, 1, 1, 1), "embed_dims": (16, 32, 64, 128)},
    "swin_tiny_patch4_window7_224": {"depths": (1, 1, 1, 1), "embed_dim": 24, "num_heads": (1, 1, 2, 2)},
}


def write_model(folder, vision: dict, more) -> str:
    """A CLIP of random weights as a folder that open_clip reads."""
    text = dict(TEXT)
    if more == "coca":
        more = {
            "multimodal_cfg": {
                "context_length": 16,
                "vocab_size": 49408,
                "width": 16,
                "heads": 2,
                "layers": 1,
            }
        }
        text |= {"embed_cls": True, "output_tokens": True}
        more["custom_text"] = True
    config = {
        "model_cfg": {"embed_dim": 64, "vision_cfg": vision, "text_cfg": text, **more},
        "preprocess_cfg": {},
    }
    folder.mkdir(exist_ok=True)
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    network = open_clip.create_model(f"local-dir:{folder}")
    with torch.no_grad():
        for name, weight in network.visual.named_parameters():
            if "pos_embed" in name or "positional_embedding" in name or name.endswith("bn3.weight"):
                weight.normal_(std=0.5)  # so that a wrong position shows
        for name, weight in network.named_parameters():
            if name == "text_decoder.text_projection":
                weight.zero_()  # open_clip leaves it as the memory was, which may be NaN
    save_file(network.state_dict(), folder / "open_clip_model.safetensors")
    return f"local-dir:{folder}"
