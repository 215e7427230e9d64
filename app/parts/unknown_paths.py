"""Every page: ask before files and folders are opened that a run names and this user never has."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app import state
from app.reading.readable_folders import paths_to_ask_about, readable_folders
from app.reading.runs import open_run
from app.widgets import literal
from ccd_core.runs.known_paths import remember


def ask_about_paths() -> None:
    """What the chosen run names is listed, with a button; nothing where all of it may be opened."""
    path = st.session_state.get(state.RUN_PATH)
    if path:
        ask_about(paths_to_ask_about(open_run(Path(path))), "open_paths")


def ask_about(asked: list[tuple[str, str]], key: str) -> None:
    """List paths (setting, path) that a run names, with a button to open them."""
    if not asked:
        return
    listed = ", ".join(f"{name} **{literal(path)}**" for name, path in asked)
    if readable_folders() is not None:
        st.warning(
            f"This run names what was not used on this machine before: {listed}. This app, which others can "
            "reach, does not open it. Whoever runs the app can allow it with `ccd app --data DIR`.",
            icon=":material/folder_off:",
        )
        return
    left, right = st.columns([5, 1], vertical_alignment="center")
    left.warning(
        f"This run names what you have not used on this machine before: {listed}. A run's folder may come "
        "from somebody else, so nothing of this is opened until you say so.",
        icon=":material/folder_off:",
    )
    paths = [path for _, path in asked]
    right.button("Open it", key=key, on_click=remember, args=(paths,), width="stretch")
