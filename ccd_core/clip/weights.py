"""Where a CLIP comes from: open_clip's tags, the Hugging Face hub, a folder or a file, never an arbitrary pickle.

Weights are run as they were trained: with QuickGELU and the pixel statistics that open_clip records for each of its tags. A file
carries neither, so they are taken from the tag that its path names ("metaclip_400m", "DFN2B-CLIP-ViT-B-16"), from what all tags of
the model agree on, or from the file itself where it is OpenAI's.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ccd_core.weights.files import first_line, read_weights
from ccd_core.errors import UserError

log = logging.getLogger("ccd")
HUB_SECONDS = 3.0  # a hub that has not answered by then is not there
OPENAI_ENTRIES = ("input_resolution", "context_length", "vocab_size")


def load_network(name: str, pretrained: str | None) -> tuple[nn.Module, Any]:
    """An open_clip network with weights, on the CPU in float32, and its tokenizer.

    name, pretrained: as in `ClipTeacher.load`. Raises UserError, one sentence, where the model is unknown or the weights are not to be had.
    """
    import open_clip

    tags = open_clip.list_pretrained_tags_by_model(name)
    if pretrained and pretrained not in tags and (Path(pretrained).suffix or Path(pretrained).exists()):
        return _from_file(name, Path(pretrained))
    if ":" not in name:
        if name not in open_clip.list_models():
            raise UserError(
                f"open_clip has no model {name!r}; `python -c 'import open_clip; print(open_clip.list_models())'` lists them."
            )
        if pretrained not in tags:
            wanted = (
                f"no weights {pretrained!r} for {name}"
                if pretrained
                else f"no default weights for {name} (clip.pretrained is empty)"
            )
            raise UserError(
                f"open_clip has {wanted}; it has {', '.join(tags) or 'none'} (or give the path of a file)."
            )
    return _from_open_clip(name, pretrained)


def _from_open_clip(name: str, tag: str | None) -> tuple[nn.Module, Any]:
    import open_clip
    from open_clip.pretrained import get_pretrained_cfg

    with _hub(f"The weights of CLIP {name} ({tag or 'its own'})", asked=not name.startswith("local-dir:")):
        quick = get_pretrained_cfg(name, tag).get("quick_gelu", False) if tag else False
        network = open_clip.create_model(
            name, pretrained=tag, force_quick_gelu=quick, require_pretrained=True
        )
    return network, _tokenizer(name)


def _from_file(name: str, path: Path) -> tuple[nn.Module, Any]:
    import open_clip
    from open_clip.model import build_model_from_openai_state_dict

    state = read_weights(path)
    if _is_openai(name, state):
        for key in OPENAI_ENTRIES:
            state.pop(key, None)
        with _fitting(name, path):
            network = build_model_from_openai_state_dict(state, cast_dtype=torch.float32).float()
            return network, open_clip.tokenizer.SimpleTokenizer(
                context_length=state["positional_embedding"].shape[0]
            )
    del state
    recipe = _recipe(name, path)
    with _hub(f"The architecture of CLIP {name}", asked=name.startswith("hf-hub:") or _has_hub_text(name)):
        quick, statistics = (
            recipe.get("quick_gelu", False),
            {key: recipe[key] for key in ("mean", "std") if key in recipe},
        )
        network = open_clip.create_model(
            name,
            load_weights=False,
            force_quick_gelu=quick,
            force_preprocess_cfg=statistics,
            pretrained_text=False,
        )
    with _fitting(name, path):
        open_clip.load_checkpoint(network, str(path))
    return network, _tokenizer(name)


def _tokenizer(name: str) -> Any:
    import open_clip

    with _hub(f"The tokenizer of CLIP {name}", asked=name.startswith("hf-hub:") or _has_hub_text(name)):
        return open_clip.get_tokenizer(name)


def _has_hub_text(name: str) -> bool:
    """Whether a listed model's words are split, or read, by something that lies on the hub."""
    import open_clip

    text = {} if ":" in name else (open_clip.get_model_config(name) or {}).get("text_cfg", {})
    return any(key in text for key in ("hf_tokenizer_name", "hf_model_name")) or "siglip" in name.lower()


def _recipe(name: str, path: Path) -> dict[str, Any]:
    """How the weights in `path` were trained: open_clip's record (quick_gelu, mean, std, ...) of the tag they are."""
    import open_clip
    from open_clip.pretrained import get_pretrained_cfg

    recipes = {tag: get_pretrained_cfg(name, tag) for tag in open_clip.list_pretrained_tags_by_model(name)}
    place = _plain(str(path.absolute()))
    found: tuple[str, dict[str, Any]] = ("", {})
    for tag, recipe in recipes.items():
        for clue in (tag, Path(recipe["url"]).stem, recipe["hf_hub"].rstrip("/").rpartition("/")[2]):
            if len(clue) > len(found[0]) and _plain(clue) in place:
                found = (clue, recipe)
    if found[0] or not recipes:
        return found[1]
    usual = max(
        recipes.values(),
        key=lambda recipe: sum(recipe["mean"] == other["mean"] for other in recipes.values()),
    )
    quick = [recipe.get("quick_gelu", False) for recipe in recipes.values()]
    if any(quick) and not all(quick):
        log.warning(
            "%s does not say which weights of %s it holds and is run with GELU; if it was trained with QuickGELU (OpenAI, MetaCLIP, DFN), "
            "set clip.model=%s-quickgelu, or name the file after its open_clip tag",
            path, name, name,
        )  # fmt: skip
    return usual | {"quick_gelu": all(quick)}


def _plain(text: str) -> str:
    return text.lower().replace("-", "_")


def _is_openai(name: str, state: dict[str, Tensor]) -> bool:
    """Whether these are OpenAI's weights, which carry their own architecture.

    Their archives say so by three extra entries. Without these: a name that open_clip does not know or for which only OpenAI's weights
    exist leaves no other reading, and only OpenAI's files keep matrices in half beside norms in full precision.
    """
    import open_clip

    if "input_resolution" in state:
        return True
    if "text_projection" not in state or name.startswith(("local-dir:", "hf-hub:")):
        return False
    half_beside_full = (
        state["text_projection"].dtype == torch.float16 and state["ln_final.weight"].dtype == torch.float32
    )
    return (
        half_beside_full
        or name not in open_clip.list_models()
        or open_clip.list_pretrained_tags_by_model(name) == ["openai"]
    )


@contextmanager
def _fitting(name: str, path: Path) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, KeyError, AttributeError, StopIteration, AssertionError) as error:
        raise UserError(f"The weights in {path} do not fit CLIP {name}: {first_line(error)}.") from None


@contextmanager
def _hub(what: str, asked: bool) -> Iterator[None]:
    """Fetch from the Hugging Face hub, or fail with one sentence.

    Without a network the hub's client asks again for a minute; here it is asked once whether it answers, and where it does not,
    what lies in its cache is used at once.
    """
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    offline = before or (asked and not _answers(constants.ENDPOINT))
    silence = logging.NullHandler()  # keeps open_clip's messages on the root logger from setting it up
    logging.getLogger().addHandler(silence)
    constants.HF_HUB_OFFLINE = offline
    try:
        yield
    except UserError:
        raise
    except ImportError as error:
        raise UserError(
            f"{what} needs a package that is not installed ({first_line(error)}); run `pip install transformers`."
        ) from None
    except Exception as error:  # hubs raise many kinds
        log.debug("loading failed", exc_info=True)
        why = (
            f"{constants.ENDPOINT} cannot be reached, and its cache here does not have them"
            if asked and offline
            else first_line(error)
        )
        raise UserError(
            f"{what} could not be loaded: {why}. Where there is no network, download the file elsewhere and set clip.pretrained to its path."
        ) from None
    finally:
        constants.HF_HUB_OFFLINE = before
        logging.getLogger().removeHandler(silence)


def _answers(endpoint: str) -> bool:
    from huggingface_hub.utils import get_session

    try:
        get_session().head(endpoint, timeout=HUB_SECONDS)
    except Exception:  # the client's own kinds, which changed between its versions
        return False
    return True
