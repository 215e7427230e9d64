"""Start a run in a process of its own, watch it, stop it, go on with it."""

from __future__ import annotations

import re
import shlex
import time

import streamlit as st

from app import figures, loaders
from app.widgets import friendly_errors, page_header, show_figure
from ccd_core import jobs
from ccd_core.config import PRESETS, CCDConfig
from ccd_core.errors import UserError
from ccd_core.runs import Run, list_runs

page_header(
    "Train",
    "Start a run, watch it, stop it, go on with it.",
    "A run is a process of its own: closing this page, or stopping the app, stops nothing. Runs on the same device wait for each other. Everything here is read from the run's folder.",
    r"\mathcal{L}_{total} = L_{ce} + \beta L_{consist}",
)


def suggested_name() -> str:
    return time.strftime("run-%m%d-%H%M%S")


with st.expander("Start a run", expanded=True, icon=":material/play_circle:"):
    columns = st.columns(3)
    preset = columns[0].selectbox(
        "Preset", PRESETS, key="preset", help="demo fits toy scenes and small machines; paper is the paper's setting and needs a GPU and weights."
    )
    base = CCDConfig.preset(preset)
    spec = columns[1].text_input(
        "Data set", base.data.spec, key=f"spec_{preset}", help="demo, folder:DIR (with a classes.txt in it), voc2007:ROOT or voc2012:ROOT."
    )
    name = columns[2].text_input(
        "Name", suggested_name() if "name" not in st.session_state else None, key="name", help="The run's folder in the workspace."
    )
    columns = st.columns(5)
    values = {
        "seed": columns[0].number_input("Seed", 0, value=base.seed, key=f"seed_{preset}"),
        "device": columns[1].text_input("Device", base.device, key=f"device_{preset}", help="auto, cpu, cuda or cuda:N"),
        "epochs": columns[2].number_input("Epochs", 1, value=base.training.epochs, key=f"epochs_{preset}", help="Warm-up included."),
        "mean_views": columns[3].number_input(
            "Views an image", 0.1, value=float(base.views.threshold.mean_views), key=f"views_{preset}", help="On average (Sec. 4.3)."
        ),
        "alpha": columns[4].number_input(
            "alpha", 0.0, 1.0, base.labels.alpha, 0.05, key=f"alpha_{preset}", help="Weight of the initial label (Eq. 7)."
        ),
    }
    changes = [f"seed={values['seed']}", f"device={values['device']}", f"training.epochs={values['epochs']}", f"labels.alpha={values['alpha']:g}"]
    views = {} if values["mean_views"] == base.views.threshold.mean_views else {"threshold": {"mean_views": values["mean_views"]}}
    changes += [f"views.threshold={{mean_views: {values['mean_views']:g}}}"] if views else []
    out = loaders.workspace() / (name or "")
    command = ["ccd", "run", "--preset", preset, "--dataset", spec, *(part for change in changes for part in ("--set", change)), "--out", str(out)]
    st.code(shlex.join(command), language="bash", wrap_lines=True)
    if st.button("Start", type="primary", icon=":material/rocket_launch:", key="start"):
        try:
            if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,80}", name or ""):
                raise UserError("The name may have letters, digits, dots, hyphens and underscores only.")
            settings = CCDConfig.preset(preset, spec).changed(
                seed=values["seed"], device=values["device"], data={"spec": spec}, training={"epochs": values["epochs"]},
                views=views, labels={"alpha": values["alpha"]},
            )  # fmt: skip
            jobs.start(settings, out)
            st.toast(f"Started {name}.")
        except UserError as error:
            st.error(str(error))

st.subheader("Runs of this workspace")
some_active = any(run.status in ("running", "queued") for run in list_runs(loaders.workspace()))


@st.fragment(run_every=1.5 if some_active else None)
def show_runs(was_active: bool) -> None:
    runs = list_runs(loaders.workspace())
    if not runs:
        st.info(f"No runs yet in {loaders.workspace()}.")
    for run in runs[:20]:
        show_run(run)
    if was_active and not any(run.status in ("running", "queued") for run in runs):
        st.rerun()


def show_run(run: Run) -> None:
    state, status = run.state, run.status
    colour = {"finished": "green", "running": "blue", "queued": "orange", "failed": "red"}.get(status, "gray")
    with st.container(border=True, key=f"job_{run.name}"):
        head, action = st.columns([5, 1], vertical_alignment="center")
        head.markdown(f"**{run.name}** :{colour}-badge[{status}] {run.config.data.spec}, preset {run.config.preset_name}")
        with friendly_errors():
            if status in ("running", "queued"):
                if action.button("Stop", key=f"stop_{run.name}", icon=":material/stop:", width="stretch"):
                    jobs.stop(run.path)
                    st.rerun()
            elif status in ("stopped", "failed", "created") and action.button(
                "Resume", key=f"resume_{run.name}", icon=":material/resume:", width="stretch"
            ):
                jobs.resume(run.path)
                st.rerun()
        if status == "running":
            total = max(1, state.get("total", 1))
            eta = state.get("eta_seconds")
            text = f"{state.get('stage')} {state.get('detail', '')}: {state.get('done', 0)} of {total}" + (
                f", {eta:.0f} s left in this stage" if eta else ""
            )
            st.progress(min(1.0, state.get("done", 0) / total), text)
        if status == "failed":
            st.error(state.get("error") or "The process died; Resume goes on from its last checkpoint.")
        if status != "finished":
            metrics = run.load_metrics()
            if len(metrics):
                show_figure(figures.learning_curves(metrics, None), key=f"live_{run.name}")
        with st.expander("Log"):
            st.code("\n".join(run.log_tail(30)) or "nothing yet")


show_runs(some_active)
