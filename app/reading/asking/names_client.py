"""The process that asks a CLIP in anybody's words, about class names or about one picture."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from ccd_core.machine.advice import teachers_at_hand
from ccd_core.predict.server import NamesClient

LOOK_AGAIN = 300  # seconds after which a hub is asked again whether it answers


@st.cache_resource(show_spinner=False, on_release=lambda client: client.close())
def names_client() -> NamesClient:
    """One process for all pages; it ends when nobody has asked for a while."""
    return NamesClient()


@st.cache_data(ttl=LOOK_AGAIN, show_spinner=False)
def known_teachers() -> list[str]:
    """Presets whose teachers can be asked about photographs here."""
    return teachers_at_hand()


def ask_about_picture(preset: str, path: Path, words: list[str]) -> list[float]:
    """The probabilities [W] of the words for a picture, by the teacher of a preset."""
    return names_client().about_picture(preset, path, words)
