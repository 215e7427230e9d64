"""Folders and repositories with an `open_clip_config.json`: what such a file may ask for.

open_clip passes parts of the file on to other libraries, which would fetch models and tokenizers under any
name and run code that lies beside them if the file says so. Here a file may describe an architecture, name a
model of timm, and name a tokenizer or a text model of the hub that needs no code of its own.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from ccd_core.errors import UserError

CONFIG = "open_clip_config.json"
MAX_JSON = 2**20  # bytes of a file of settings
WEIGHTS = (  # in the order in which open_clip prefers them
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.pth",
    "model.safetensors",
    "pytorch_model.bin",
    "pytorch_model.pth",
    "model.pth",
)
TOKENIZER_OPTIONS = {"additional_special_tokens", "clean", "language", "reduction_mask", "strip_sep_token"}
NAMES = {  # settings that name something elsewhere -> what such a name looks like
    "timm_model_name": re.compile(r"[\w.-]+"),
    "hf_model_name": re.compile(r"\w[\w.-]*(/\w[\w.-]*)?"),
    "hf_tokenizer_name": re.compile(r"\w[\w.-]*(/\w[\w.-]*)?"),
}
MOST = {  # no CLIP is larger; a network beyond would fill the memory before its weights are looked at
    "embed_dim": 16_384,
    "image_size": 8_192,
    "width": 16_384,
    "head_width": 16_384,
    "heads": 1_024,
    "layers": 256,
    "context_length": 16_384,
    "vocab_size": 2_000_000,
    "patch_size": 1_024,
    "attn_pooler_queries": 16_384,
}


def read_json(path: Path) -> dict[str, Any]:
    """A small file of settings; empty where there is none that can be read."""
    try:
        with open(path, "rb") as file:
            content = json.loads(file.read(MAX_JSON))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def weights_in(folder: Path) -> Path:
    """The file of weights in a folder that `local-dir:` names. Raises UserError where there is none."""
    for name in WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    indices = sorted(folder.glob("*.index.json"))
    others = sorted(path for path in folder.iterdir() if path.suffix in (".safetensors", ".bin", ".pth"))
    if indices or others:
        return (indices or others)[0]
    raise UserError(f"The weights of CLIP local-dir:{folder} are missing; put {WEIGHTS[0]} beside {CONFIG}.")


def refuse_code(name: str) -> None:
    """Raises UserError where the settings of a folder or repository would run code, or build what is no CLIP.

    name: "local-dir:FOLDER" or "hf-hub:NAME". A repository's settings are fetched.
    """
    import open_clip

    if name.startswith("local-dir:"):
        _look_at_folder(Path(name.removeprefix("local-dir:")))
    config = open_clip.get_model_config(name)
    parts = [config] if isinstance(config, dict) else []
    parts += [config[key] for key in ("vision_cfg", "text_cfg") if key in config] if parts else []
    if len(parts) != 3 or not all(isinstance(part, dict) for part in parts):
        raise UserError(f"The settings of CLIP {name} ({CONFIG}) lack vision_cfg or text_cfg.")
    for part in parts:
        _look_at_part(name, part)
    hub_model = config["text_cfg"].get("hf_model_name")
    if hub_model:
        import transformers

        # Raises where the text model needs code of its own. Without the argument it would ask the user.
        transformers.AutoConfig.from_pretrained(hub_model, trust_remote_code=False)


def tokenizer_options(name: str) -> dict[str, Any]:
    """What a tokenizer of the hub, or one in a folder, is made with beside the settings."""
    import open_clip

    if ":" in name and (open_clip.get_model_config(name) or {}).get("text_cfg", {}).get("hf_tokenizer_name"):
        return {"trust_remote_code": False}
    return {}


def _look_at_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise UserError(f"CLIP local-dir:{folder} could not be loaded: there is no such folder.")
    if (folder / CONFIG).is_file():
        if "model_cfg" not in read_json(folder / CONFIG):
            raise UserError(f"CLIP local-dir:{folder} could not be loaded: {CONFIG} holds no model_cfg.")
        return
    if (folder / "config.json").is_file():
        raise UserError(
            f"CLIP local-dir:{folder} could not be loaded: it is a folder of transformers. Name its "
            "architecture "
            "in clip.model (ViT-B-32, for example) and its file of weights in clip.pretrained."
        )
    raise UserError(f"CLIP local-dir:{folder} could not be loaded: it has no {CONFIG}.")


def _look_at_part(name: str, part: dict[str, Any]) -> None:
    options = part.get("tokenizer_kwargs") or {}
    if not isinstance(options, dict) or set(options) - TOKENIZER_OPTIONS:
        odd = ", ".join(sorted(map(str, set(options) - TOKENIZER_OPTIONS)))
        raise UserError(
            f"The settings of CLIP {name} give its tokenizer options that are not allowed: {odd}."
        )
    for key, pattern in NAMES.items():
        value = part.get(key)
        if value and not (isinstance(value, str) and pattern.fullmatch(value)):
            raise UserError(
                f"The settings of CLIP {name} name something elsewhere: {key} is {str(value)[:80]!r}."
            )
    for key, most in MOST.items():
        values = part.get(key) or 0
        for value in values if isinstance(values, list) else [values]:
            if not isinstance(value, int) or not 0 <= value <= most:
                raise UserError(
                    f"The settings of CLIP {name} say {key}: {str(value)[:40]}; at most {most} is used."
                )
