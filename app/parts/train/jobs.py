"""Page Train: the list of jobs, and what has happened to them since it was last looked at."""

from __future__ import annotations

import streamlit as st

from app import state
from app.parts.train.job import confirm_delete, job_card
from app.reading.runs import workspace
from app.widgets import friendly_errors, literal
from ccd_core.jobs import control

POLL_SECONDS = 2
MOST = 30  # jobs shown


def announce() -> list[str]:
    """Tell which runs have ended, in the page's title and in toasts; returns the names of those at work."""
    active = sorted(st.session_state.get(state.JOBS_ACTIVE, set()))
    for name, status in st.session_state.pop(state.ENDINGS, []):
        icon = ":material/check_circle:" if status == "finished" else ":material/info:"
        st.toast(f"**{literal(name)}** {status}.", icon=icon, duration="infinite")
        st.session_state[state.LAST_ENDING] = f"{name} {status}"
    if notice := st.session_state.pop(state.NOTICE, None):
        st.toast(notice)
    title = f"{len(active)} running" if active else st.session_state.get(state.LAST_ENDING, "Train")
    st.set_page_config(page_title=f"{title} · CCD")
    return active


def jobs_part(active: bool) -> None:
    """All jobs, the newest of those at work first; read again and again while one is `active`."""
    st.header("Jobs", anchor="jobs")
    if st.session_state.get(state.DELETE):
        confirm_delete(st.session_state.pop(state.DELETE))
    st.fragment(_jobs, run_every=POLL_SECONDS if active else None)()


@friendly_errors()
def _jobs() -> None:
    found = control.list_jobs(workspace())
    active = {job.run.name for job in found if job.active}
    before = st.session_state.get(state.JOBS_ACTIVE, set())
    st.session_state[state.JOBS_ACTIVE] = active
    for job in found:
        if job.run.name in before - active:
            st.session_state.setdefault(state.ENDINGS, []).append((job.run.name, job.status))
    if before != active:
        st.rerun()  # the page's title and its pace change
    if not found:
        st.info(f"No runs yet in {literal(str(workspace()))}.")
    running = next((job.run.name for job in found if job.status == "running"), None)
    opened = st.query_params.get(state.JOB) or running
    at_work = [job for job in found if job.active]
    others = [job for job in found if not job.active]
    for job in [*reversed(at_work), *others][:MOST]:
        job_card(job, opened=job.run.name == opened)
