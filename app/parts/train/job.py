"""Page Train: one job, with its progress and what can be done about it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app import state
from app.parts.run_progress import COLOURS, doing, progress, stages
from app.parts.train.job_details import details_part
from app.reading.readable_folders import refuse_unknown
from app.reading.runs import workspace
from app.widgets import friendly_errors, literal
from ccd_core.baselines.registry import method_of
from ccd_core.jobs import control
from ccd_core.jobs.control import Job
from ccd_core.machine.gpus import devices_of
from ccd_core.runs.run import Run

LAST_LINES = 8  # of the output of a job that failed and is not opened


def job_card(job: Job, opened: bool) -> None:
    """One job in a frame; `opened`: with curves, pictures and log."""
    run = job.run
    with st.container(border=True, key=f"job_{run.name}"), friendly_errors():
        head, first, second = st.columns([6, 1.15, 1.15], vertical_alignment="center")
        spec = literal(run.config.data.spec)
        preset = literal(run.config.preset_name)
        about = f"{spec} · preset {preset}{_method(run)} · {_where(job)}"
        head.markdown(f"**{literal(run.name)}** {_badge(job)} :gray[{about}]")
        with friendly_errors():
            _actions(job, first, second)
        if line := stages(run, job.status, job.state):
            st.markdown(line)
        _progress(job)
        if job.reason:
            box = st.error if job.status == "failed" else st.info
            box(literal(job.reason, keep_code=True))
            if not opened and (lines := control.output_tail(run, LAST_LINES)):
                st.code("\n".join(lines[-LAST_LINES:]), language=None, wrap_lines=True)
        if opened:
            details_part(job)


def _badge(job: Job) -> str:
    word = "stopping" if job.asked is not None else job.status
    return f":{COLOURS.get(job.status, 'gray')}-badge[{word}]"


def _method(run: Run) -> str:
    """A method other than CCD, and whether it uses labels."""
    if run.config.method.name == "ccd":
        return ""
    uses = ", uses labels" if run.config.method.supervision != "none" else ""
    return f" · method {literal(method_of(run.config).title)}{uses}"


def _where(job: Job) -> str:
    device = f"device {literal(job.run.config.device)}"
    return device if job.place == "local" else f"{literal(job.place)}, {device}"


def _progress(job: Job) -> None:
    """What the job is at, in a sentence or a bar."""
    if job.asked is not None:
        st.caption("It was asked to write its checkpoint and leave; after 20 seconds it is ended.")
    if job.status == "running":
        st.progress(*progress(job.run, job.state))
    if job.status == "queued" and job.asked is None:
        text = "Starting ..."
        if job.ahead:
            devices = ", ".join(devices_of(job.run.config.device))
            jobs = "job" if job.ahead == 1 else "jobs"
            text = f"Waits for {job.ahead} older {jobs} on {devices}."
        st.caption(text)
    if job.status == "stopped" and job.state.get("total"):
        st.caption(f"Stopped at {doing(job.state)}. Resume goes on from the last checkpoint.")


# -- what can be done --------------------------------------------------------------------------------------


def _actions(job: Job, first: Any, second: Any) -> None:
    """Buttons of the job in two columns: what to do next, and more."""
    name = job.run.name
    if job.active:
        if first.button(
            "Stop",
            key=f"stop_{name}",
            icon=":material/stop:",
            width="stretch",
            disabled=job.asked is not None,
        ):
            control.stop(job.run.path, wait=False)
            st.rerun(scope="fragment")
    elif job.status == "finished":
        first.page_link(
            "../pages/overview.py",
            label="Results",
            icon=":material/bar_chart:",
            query_params={state.RUN: name},
        )
    elif first.button(
        "Launch" if job.status == "created" else "Resume",
        key=f"resume_{name}",
        icon=":material/resume:",
        width="stretch",
    ):
        refuse_unknown(job.run, *dict(job.run.config.named_paths()))
        control.resume(job.run.path)
        st.rerun()
    # It reruns when it opens, so that it stays open when the card is drawn anew.
    with second.popover("More", width="stretch", key=f"more_{name}", on_change="rerun"):
        _more(job)


def _more(job: Job) -> None:
    name = job.run.name
    opened = st.query_params.get(state.JOB) == name
    st.button(
        "Close" if opened else "Open",
        key=f"open_{name}",
        icon=":material/expand_content:",
        on_click=_open,
        args=(None if opened else name,),
        width="stretch",
    )
    st.button(
        "Use its settings",
        key=f"again_{name}",
        icon=":material/content_copy:",
        on_click=_use_settings,
        args=(name,),
        width="stretch",
    )
    if not job.active and st.button(
        "Delete ...", key=f"delete_{name}", icon=":material/delete:", width="stretch"
    ):
        st.session_state[state.DELETE] = name
        st.rerun()  # a dialog opens from the page, not from a part that renews itself


def _open(name: str | None) -> None:
    if name:
        st.query_params[state.JOB] = name
    else:
        st.query_params.pop(state.JOB, None)


def _use_settings(name: str) -> None:
    st.query_params[state.SETTINGS_FROM] = name
    st.query_params.pop(state.SETTINGS_CHANGES, None)


@st.dialog("Delete a run")
@friendly_errors()
def confirm_delete(name: str) -> None:
    """Ask before a run's folder is deleted for good."""
    path = next((job.run.path for job in control.list_jobs(workspace()) if job.run.name == name), None)
    st.write(f"**{literal(name)}** and all it made will be gone: labels, boxes, checkpoints, scores.")
    yes, no = st.columns(2)
    if yes.button(
        "Delete for good", type="primary", icon=":material/delete_forever:", width="stretch", key="delete_yes"
    ):
        if path:
            control.delete(path)
        for key in (state.JOB, state.RUN, state.SETTINGS_FROM):
            if st.query_params.get(key) == name:
                st.query_params.pop(key)
        st.rerun()
    if no.button("Keep it", width="stretch", key="delete_no"):
        st.rerun()
