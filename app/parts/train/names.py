"""Page Train: what CLIP says of the class names on 12 images, with other words tried at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st
import yaml

from app import state
from app.reading.asking.names_client import names_client
from app.reading.images import jpeg
from app.widgets import friendly_errors, literal, short_name
from ccd_core.config import CCDConfig

TILE = 200  # pixels, the longer side of a picture


def names_part(config: CCDConfig, origin: str) -> None:
    """The step, folded. origin: of the form, whose field `clip.names` takes the words."""
    teacher = "photo-words" if config.clip.model == "photo-words" else "CLIP"
    with st.expander(f"What {teacher} says of the class names", icon=":material/translate:"):
        _ask_about(config, origin)


@st.fragment
@friendly_errors()
def _ask_about(config: CCDConfig, origin: str) -> None:
    st.caption(
        "The teacher knows a class only by its name. Here it is asked about some of the images, before "
        "anything long starts. Where a name is ambiguous, write other words for it, several separated by "
        "commas, and ask again."
    )
    settings = _without_names(config)
    wanted: dict[str, list[str]] | None = st.session_state.pop(state.NAMES_WANTED, None)
    if wanted is not None:
        with st.spinner("The teacher looks at some images; the first time it is loaded, too ..."):
            said = names_client().about(settings, wanted)
        st.session_state[state.NAMES_ASKED] = {"settings": settings, "words": wanted, "answer": said}
    asked: dict[str, Any] = st.session_state.get(state.NAMES_ASKED, {})
    answer = asked.get("answer") if asked.get("settings") == settings else None
    words = (
        asked.get("words", {})
        if answer
        else {name: _listed(said) for name, said in config.clip.names.items()}
    )
    if answer:
        words = _words_field(answer, words)
    left, right = st.columns([1, 3], vertical_alignment="center")
    label = "Ask again" if answer else "Ask about 12 images"
    left.button(
        label, icon=":material/forum:", key="ask_names", width="stretch", on_click=_want, args=(words,)
    )
    if answer is None:
        return
    if words != {name: _listed(said) for name, said in config.clip.names.items()}:
        right.button(
            "Use these words in the run",
            icon=":material/check:",
            key="use_names",
            on_click=_use,
            args=(words, origin),
            help="Writes them into the setting `clip.names` below.",
        )
    for warning in answer["warnings"]:
        st.caption(f":orange[:material/warning: {literal(warning)}]")
    if not answer["warnings"]:
        st.caption(f":green[:material/check_circle: No name stands out in {answer['images']} images.]")
    _pictures(answer["shown"])


def _words_field(answer: dict[str, Any], words: dict[str, list[str]]) -> dict[str, list[str]]:
    """A row a class, whose words can be typed; returns those that were."""
    table = pd.DataFrame(
        {
            "class": answer["classes"],
            "other words": [", ".join(words.get(name, [])) for name in answer["classes"]],
            "comes first in": [f"{count} of {answer['images']}" for count in answer["first"]],
            "highest": answer["highest"],
        }
    )
    typed = st.data_editor(
        table,
        key="names_typed",
        hide_index=True,
        disabled=["class", "comes first in", "highest"],
        column_config={
            "other words": st.column_config.TextColumn(help="Asked instead of the name; averaged."),
            "highest": st.column_config.NumberColumn(format="%.2f", help="Probability in any image."),
        },
        height=min(36 * (len(table) + 1), 460),
    )
    found = zip(typed["class"], typed["other words"], strict=True)
    return {name: _listed(text) for name, text in found if text and _listed(text)}


def _pictures(shown: list[dict[str, Any]]) -> None:
    """The images with CLIP's first three classes."""
    with st.grid(min_column_width=150, gap="small"):
        for image in shown:
            with st.container(border=True, gap="small"):
                st.image(jpeg(Path(image["path"]), TILE), output_format="JPEG")
                badges = [f":blue-badge[{literal(name)} {p:.2f}]" for name, p in image["top"]]
                st.markdown(" ".join(badges))
                st.caption(literal(short_name(image["id"], 24)))


def _listed(words: str | list[str]) -> list[str]:
    parts = words.split(",") if isinstance(words, str) else words
    return [part.strip() for part in parts if part.strip()]


def _without_names(config: CCDConfig) -> str:
    """The settings that the sample depends on, as YAML; other words cost no new sample."""
    clip = config.clip.model_copy(update={"names": {}})
    plain = CCDConfig.preset("demo").model_copy(
        update={"data": config.data, "clip": clip, "device": config.device, "seed": config.seed}
    )
    return plain.to_yaml()


def _want(words: dict[str, list[str]]) -> None:
    st.session_state[state.NAMES_WANTED] = words


def _use(words: dict[str, list[str]], origin: str) -> None:
    text = yaml.safe_dump(words, default_flow_style=True, allow_unicode=True, width=10_000).strip()
    st.session_state[f"{origin}_clip.names"] = text
