"""Part of the page Overview: the run as a report to mail, as a model, and as labels for other programs."""

from __future__ import annotations

import shlex
import tempfile
from pathlib import Path

import streamlit as st

from app import state
from app.reading.cached import mtime_ns
from app.reading.exports import MOST_WITH_BOXES, make_export, report, why_not
from app.widgets import friendly_errors, literal
from ccd_core.export import FORMATS
from ccd_core.runs.run import Run


def take_away_part(run: Run) -> None:
    """Downloads of a run that has a trained classifier."""
    if not run.has("checkpoints", "best.safetensors") or not run.has("scores", "train.npz"):
        return
    st.header("Take it with you", anchor=False)
    left, right = st.columns([2, 3], gap="large")
    with left:
        _report(run)
    with right:
        _export(run)


def _report(run: Run) -> None:
    st.markdown("**Report**: curves, AP, bias, boxes and the most wrong images as one page to mail or print.")
    st.download_button(
        "Report (HTML)",
        lambda: report(run),
        f"{run.name}-report.html",
        "text/html",
        icon=":material/description:",
        on_click="ignore",
        key="download_report",
    )
    st.caption("Paths and this machine's name are left out. `ccd report RUN RUN` compares runs.")


@st.fragment
@friendly_errors()
def _export(run: Run) -> None:
    st.markdown("**Export**: the model or the labels in the format of another program.")
    to = st.selectbox(
        "Format",
        list(FORMATS),
        format_func=lambda name: FORMATS[name].title,
        key=state.EXPORT_FORMAT,
        label_visibility="collapsed",
    )
    chosen = FORMATS[to]
    boxes = chosen.of_labels and len(run.load_scores("train")["ids"]) <= MOST_WITH_BOXES
    if reason := why_not(run, to):
        st.info(literal(reason, keep_code=True))
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        asked = st.button("Make the file", icon=":material/build:", key="make_export")
        if asked:
            _make(run, to, boxes)
        made = st.session_state.get(state.EXPORTED)
        if made and made[1] == _what(run, to) and made[2].is_file():
            st.download_button(
                f"Download ({made[2].stat().st_size / 1e6:.1f} MB)",
                made[2].read_bytes,
                made[2].name,
                "application/zip",
                icon=":material/download:",
                type="primary",
                on_click="ignore",
                key="download_export",
            )
    _say_how(run, to, boxes)


def _what(run: Run, to: str) -> tuple[str, str, int]:
    """What a file was made of. A run that is trained anew is another one."""
    return str(run.path), to, mtime_ns(run.file("checkpoints", "best.safetensors"))


def _make(run: Run, to: str, boxes: bool) -> None:
    """Make the file in a folder that goes when the session is forgotten or makes another one."""
    folder = tempfile.TemporaryDirectory(prefix="ccd-export-")
    with st.spinner("Making the file ...", show_time=True):
        file = make_export(run, to, boxes, Path(folder.name))
    st.session_state[state.EXPORTED] = (folder, _what(run, to), file)


def _say_how(run: Run, to: str, boxes: bool) -> None:
    command = shlex.join(["ccd", "export", str(run.path), "--to", to])
    text = f"In a terminal: `{command}`."
    if FORMATS[to].of_labels:
        text += " Labels are those at the run's thresholds; images without labels are in it, too."
        if not boxes:
            text += f" With more than {MOST_WITH_BOXES:,} images, only the command makes CAM boxes."
    st.caption(literal(text, keep_code=True))
