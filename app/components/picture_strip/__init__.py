"""What stands in a figure's place until CLIP has said something for the figure to show."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.components.files import text_of

STYLE = f"<style>{text_of('picture_strip', 'css')}</style>"


def picture_strip(pictures: Sequence[str], height: int) -> None:
    """Pictures (addresses) side by side, `height` pixels high in all."""
    images = "".join(f'<img src="{url}" alt="">' for url in pictures)
    note = "<p>CLIP is being asked …</p>"
    st.html(f'{STYLE}<div class="ccd-strip" style="height:{height}px"><div>{images}</div>{note}</div>')
