"""Page Compare: the runs of a comparison, and the button that starts those that are missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import streamlit as st

from app import state
from app.parts.run_progress import progress
from app.parts.unknown_paths import ask_about
from app.reading.comparing.comparisons import Scored, opened, row_titles
from app.reading.comparing.missing_runs import missing_runs, plan_missing, settings_source, start_runs
from app.reading.readable_folders import paths_to_ask_about, refusals
from app.widgets import friendly_errors, literal
from ccd_core.baselines.tables import SeedResult, TableRow
from ccd_core.errors import UserError
from ccd_core.jobs import control
from ccd_core.machine.gpus import devices_of

POLL_SECONDS = 2
MARKS = {"finished": "✓", "running": "▶", "queued": "…", "failed": "✗", "stopped": "■"}

Rows = Callable[[], Sequence[Scored]]  # the rows of the comparison as they are now


def runs_part(read: Rows, folder: Path) -> None:
    """All runs as method x seed; read again and again while one is at work."""
    active = any(_is_active(run) for row in read() for run in row.runs)
    st.fragment(_runs, run_every=POLL_SECONDS if active else None)(read, folder)


def _is_active(run: SeedResult) -> bool:
    return run.status in ("running", "queued")


@friendly_errors()
def _runs(read: Rows, folder: Path) -> None:
    rows = read()
    runs = [run for row in rows for run in row.runs]
    done = sum(run.done for run in runs)
    st.progress(done / len(runs) if runs else 0.0, f"{done} of {len(runs)} runs have finished")
    _grid(rows)
    at_work = [(row, run) for row in rows for run in row.runs if _is_active(run)]
    if at_work:
        _at_work(at_work, folder)
    elif st.session_state.pop(state.MISSING_STARTED, None):
        st.rerun()  # all have ended: the page's other parts have more to show, and it is not polled any more
    _say_failures(rows)
    _start(rows, folder, bool(at_work))


def _grid(rows: Sequence[Scored]) -> None:
    """A row a method and a column a seed, with how each run is."""
    seeds = list(dict.fromkeys(run.seed for row in rows for run in row.runs))
    lines = []
    for title, row in zip(row_titles(rows), rows, strict=True):
        line = {"run": title} | {f"seed {seed}": "–" for seed in seeds}
        for run in row.runs:
            word = "missing" if run.status == "created" else run.status
            score = f" {run.mAP:.1f} %" if run.mAP is not None else ""
            line[f"seed {run.seed}"] = f"{MARKS.get(run.status, '○')} {word}{score}"
        lines.append(line)
    st.dataframe(lines, hide_index=True, height=min(720, 38 + 35 * len(lines)), key="run_grid")


def _at_work(at_work: Sequence[tuple[Scored, SeedResult]], folder: Path) -> None:
    """How far the runs at work are, and a button that stops them all."""
    paths = []
    for _, result in at_work:
        run = opened(folder, result)
        if run is None:
            continue
        paths.append(run.path)
        if result.status == "running":
            share, text = progress(run, run.state)
            st.progress(share, f"**{literal(run.name)}**: {text}")
    waiting = sum(result.status == "queued" for _, result in at_work)
    if waiting:
        st.caption(f"{waiting} more {'waits' if waiting == 1 else 'wait'} for a device.")
    if st.button("Stop them", icon=":material/stop:", key="stop_missing"):
        for path in reversed(paths):  # those that wait first, so that none of them begins
            try:
                control.stop(path, wait=False)
            except UserError:
                continue  # it has just ended
        st.rerun(scope="fragment")


def _say_failures(rows: Sequence[Scored]) -> None:
    failed = [
        f"- **{literal(title)}**, seed {run.seed}: {literal(run.error or 'its process died', keep_code=True)}"
        for title, row in zip(row_titles(rows), rows, strict=True)
        for run in row.runs
        if run.status == "failed"
    ]
    if failed:
        st.error("\n".join(["These runs failed:", "", *failed[:20]]))


def _start(rows: Sequence[Scored], folder: Path, active: bool) -> None:
    """The button that hands the missing runs to the queue, or why there is none."""
    lacking = missing_runs(rows)
    if not lacking:
        if not active:
            st.success("Nothing is missing: every run has finished.", icon=":material/check_circle:")
        return
    source = settings_source(folder, rows)
    if source is not None and (asked := paths_to_ask_about(source)):
        ask_about(asked, "open_missing_paths")
        return
    try:
        planned = plan_missing(folder, rows)
        refused = [why for one in planned for why in refusals(one.config).values()]
    except UserError as error:
        st.info(literal(str(error), keep_code=True))
        return
    if refused:
        st.info(literal(refused[0], keep_code=True))
        return
    count = (
        f"the missing one ({planned[0].path.name})"
        if len(planned) == 1
        else f"the {len(planned)} missing ones"
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        pressed = st.button(
            f"Start {count}", type="primary", icon=":material/rocket_launch:", key="start_missing"
        )
        st.caption(
            f"With the comparison's settings, one after the other on {', '.join(devices_of('auto'))}. They "
            "go on when this page is closed."
        )
    if pressed:
        with st.spinner("Starting ..."):
            start_runs(planned)
        st.session_state[state.MISSING_STARTED] = len(planned)
        st.rerun()
    command = "table" if isinstance(rows[0], TableRow) else "sweep"
    st.caption(
        f"In a terminal: `ccd {command}`, as it was given at first, computes them and shares what they "
        "have in common."
    )
