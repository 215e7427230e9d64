"""Where a CLIP comes from: open_clip's tags, the Hugging Face hub, a folder or a file.

Files are read by `ccd_core.weights`, which runs nothing in them; open_clip fetches them and builds the
network.

Weights are run as they were trained: with QuickGELU and the pixel statistics that open_clip records for each
of its tags. A file carries neither. They are taken from the settings that lie beside a file of transformers,
from the tag that the file's path names ("metaclip_400m", "DFN2B-CLIP-ViT-B-16"), from what all tags of the
model agree on, or from the file itself where it is OpenAI's.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from torch import nn

from ccd_core.clip.configs import read_json, refuse_code, tokenizer_options, weights_in
from ccd_core.clip.layouts import check_scale, from_transformers, load_clip
from ccd_core.clip.openai import is_openai, openai_network
from ccd_core.clip.photo_words import NAME as PHOTO_WORDS
from ccd_core.clip.photo_words import photo_network
from ccd_core.errors import UserError
from ccd_core.weights.files import read_weights
from ccd_core.weights.fitting import unwrap
from ccd_core.weights.hub import NotHere, hub
from ccd_core.weights.names import plain_name, unknown_model

log = logging.getLogger("ccd")
# Names of OpenAI's layout, one of which tells where in a file it lies.
OPENAI_NAMES = ("token_embedding.weight", "visual.conv1.weight", "visual.layer1.0.conv1.weight")


def load_network(name: str, pretrained: str | None) -> tuple[nn.Module, Any]:
    """An open_clip network with weights, on the CPU in float32, and its tokenizer.

    name, pretrained: as in `ClipTeacher.load`. Raises UserError, one sentence, where the model is unknown or
    the weights cannot be had or used.
    """
    if name == PHOTO_WORDS:
        return photo_network(), None
    if path := _file_of(name, pretrained):
        network, tokenizer = _from_file(name, path)
    else:
        network, tokenizer = _from_open_clip(name, _tag_of(name, pretrained))
    check_scale(network, f"CLIP {name}")
    return network, tokenizer


def look_at_network(name: str, pretrained: str | None) -> tuple[nn.Module, bool]:
    """The network without numbers, on torch's device "meta", and whether its weights are on this machine.

    Weights that are here are read and compared with the network. Nothing is fetched. Raises UserError as
    `load_network` does, also where weights are not here and no server answers.
    """
    if name == PHOTO_WORDS:
        return photo_network(), True
    path = _file_of(name, pretrained)
    try:
        if path:
            network, _ = _from_file(name, path, look=True)
        else:
            network, _ = _from_open_clip(name, _tag_of(name, pretrained), look=True)
        return network, True
    except NotHere:
        if ":" in name:
            raise
        with hub(f"The architecture of CLIP {name}", asked=False):
            return _architecture(name, {}, look=True), False


def architecture(name: str, pretrained: str | None) -> Any:
    """An open_clip network with random numbers, on the CPU. Nothing is fetched, and no weights are read.

    Raises UserError where there is no such model, or the hub would have to be asked what it is.
    """

    if name == PHOTO_WORDS or name.startswith("hf-hub:"):
        return load_network(name, pretrained)[0]
    _refuse_unknown(name)
    with hub(f"The architecture of CLIP {name}", asked=False):
        if ":" in name:
            refuse_code(name)
        return _architecture(name, {}, look=False)


def _file_of(name: str, pretrained: str | None) -> Path | None:
    """The file that `clip.pretrained` names; None where it is a tag or empty."""
    import open_clip

    tags = open_clip.list_pretrained_tags_by_model(name)
    if pretrained and pretrained not in tags and (Path(pretrained).suffix or Path(pretrained).exists()):
        return Path(pretrained).expanduser()
    return None


def _tag_of(name: str, pretrained: str | None) -> str | None:
    """The tag of a listed model; None for one that brings its own weights. Raises UserError for an unknown
    one.
    """

    if ":" not in name:
        _refuse_unknown(name)
        _refuse_unknown_tag(name, pretrained)
        return pretrained
    if pretrained:
        log.info("clip.pretrained=%s is not used: %s brings its own weights", pretrained, name)
    return None


def _refuse_unknown(name: str) -> None:
    """Raises UserError for a name that should be of open_clip's list and is not."""
    import open_clip

    if ":" not in name and name not in open_clip.list_models():
        raise unknown_model("open_clip", name, open_clip.list_models())


def _refuse_unknown_tag(name: str, tag: str | None) -> None:
    """Raises UserError for a tag that open_clip does not list for a model that it knows."""
    import open_clip

    tags = open_clip.list_pretrained_tags_by_model(name)
    if tag not in tags:
        wanted = f"no weights {tag!r} for {name}"
        if not tag:
            wanted = f"no default weights for {name} (clip.pretrained is empty)"
        there = ", ".join(tags) or "none"
        raise UserError(f"open_clip has {wanted}; it has {there} (or give the path of a file).")


def _from_open_clip(name: str, tag: str | None, look: bool = False) -> tuple[nn.Module, Any]:
    """A listed model with the weights of a tag, or a model of the hub or of a folder with its own.

    look: nothing is fetched, and the network has shapes and no numbers.
    """
    from open_clip.pretrained import get_pretrained_cfg

    what = f"The weights of CLIP {name} ({tag or 'its own'})"
    with hub(what, not name.startswith("local-dir:"), not look):
        if not tag:
            refuse_code(name)
        path = _weights_of(name, tag, look)
        network = _architecture(name, get_pretrained_cfg(name, tag) if tag else {}, look)
        load_clip(network, from_transformers(read_weights(path), path), path, name)
    return network, _tokenizer(name, look)


def _weights_of(name: str, tag: str | None, look: bool) -> Path:
    """The file of a tag's weights, of a repository's or of a folder's; what is not here yet is fetched."""
    from open_clip import factory
    from open_clip.pretrained import get_pretrained_cfg

    if tag:
        published = get_pretrained_cfg(name, tag)
        if look and not published.get("hf_hub"):
            file = Path("~/.cache/clip").expanduser() / str(published.get("url")).rpartition("/")[2]
            if not file.is_file():
                raise NotHere(f"The weights of CLIP {name} ({tag})")
        return Path(factory.download_pretrained(published))
    scheme, _, place = name.partition(":")
    if scheme == "hf-hub":
        return Path(factory.download_pretrained_from_hf(place))
    return weights_in(Path(place))


def _from_file(name: str, path: Path, look: bool = False) -> tuple[nn.Module, Any]:
    import open_clip

    found = from_transformers(read_weights(path), path)
    state = unwrap(found, OPENAI_NAMES, path, tell=False)
    if is_openai(name, state):
        network = openai_network(state, path, look)
        return network, open_clip.tokenizer.SimpleTokenizer(context_length=len(state["positional_embedding"]))
    _refuse_unknown(name)
    recipe = _recipe(name, path)
    with hub(f"The architecture of CLIP {name}", name.startswith("hf-hub:") or _has_hub_text(name), not look):
        if ":" in name:
            refuse_code(name)
        network = _architecture(name, recipe, look)
    load_clip(network, found, path, name)
    return network, _tokenizer(name, look)


def _architecture(name: str, recipe: dict[str, Any], look: bool) -> Any:
    """The open_clip network of that name, without weights, with the activation and statistics of `recipe`."""
    import open_clip

    return open_clip.create_model(
        name,
        load_weights=False,
        device="meta" if look else "cpu",
        force_quick_gelu=recipe.get("quick_gelu", False),
        force_preprocess_cfg={key: recipe[key] for key in ("mean", "std") if key in recipe},
        pretrained_text=False,
    )


def _tokenizer(name: str, look: bool = False) -> Any:
    import open_clip

    with hub(f"The tokenizer of CLIP {name}", name.startswith("hf-hub:") or _has_hub_text(name), not look):
        return open_clip.get_tokenizer(name, **tokenizer_options(name))


def _has_hub_text(name: str) -> bool:
    """Whether a listed model's words are split, or read, by something that lies on the hub."""
    import open_clip

    text = {} if ":" in name else (open_clip.get_model_config(name) or {}).get("text_cfg", {})
    return any(key in text for key in ("hf_tokenizer_name", "hf_model_name")) or "siglip" in name.lower()


def _recipe(name: str, path: Path) -> dict[str, Any]:
    """quick_gelu, mean and std with which the weights in `path` were trained, as open_clip records them."""
    import open_clip
    from open_clip.pretrained import get_pretrained_cfg

    beside = _recipe_of_transformers(path)
    if beside:
        return beside
    recipes = {tag: get_pretrained_cfg(name, tag) for tag in open_clip.list_pretrained_tags_by_model(name)}
    place = plain_name(str(path.absolute()))
    found: tuple[str, dict[str, Any]] = ("", {})
    for tag, recipe in recipes.items():
        for clue in (tag, Path(recipe["url"]).stem, recipe["hf_hub"].rstrip("/").rpartition("/")[2]):
            if len(clue) > len(found[0]) and plain_name(clue) in place:
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
            "%s does not say which weights of %s it holds and is run with GELU; if it was trained with "
            "QuickGELU (OpenAI, MetaCLIP, DFN), set clip.model=%s-quickgelu, or name the file after its "
            "open_clip tag",
            *(path, name, name),
        )
    return usual | {"quick_gelu": all(quick)}


def _recipe_of_transformers(path: Path) -> dict[str, Any]:
    """The same from the settings that transformers writes beside a CLIPModel; empty where there are none."""
    settings = read_json(path.with_name("config.json"))
    tower = settings.get("vision_config")
    if settings.get("model_type") != "clip" or not isinstance(tower, dict):
        return {}
    recipe: dict[str, Any] = {"quick_gelu": tower.get("hidden_act", "quick_gelu") == "quick_gelu"}
    pixels = read_json(path.with_name("preprocessor_config.json"))
    for theirs, ours in (("image_mean", "mean"), ("image_std", "std")):
        values = pixels.get(theirs)
        if (
            isinstance(values, list)
            and len(values) == 3
            and all(isinstance(value, float) for value in values)
        ):
            recipe[ours] = tuple(values)
    return recipe
