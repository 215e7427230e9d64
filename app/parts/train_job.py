"""A job as the page Train shows it: its progress, load, curves, what has been made, the log, and what can be done."""

from __future__ import annotations

import io
import shlex
import time
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from PIL import Image, ImageDraw

from app.figures import theme as figures
from app.figures.theme import ORANGE, VERMILION
from app.parts.run_progress import COLOURS, doing, progress, stages, warm_up
from app.reading import ground_truth as datasets
from app.reading import runs as loaders
from app.widgets import friendly_errors, show_figure
from ccd_core.jobs import control as jobs
from ccd_core.machine import gpus as gpu_facts
from ccd_core.runs.run import Run

SHOWN = 6  # pictures of what has been made so far


def job_card(job: jobs.Job, opened: bool) -> None:
    """One job in a frame; `opened`: with curves, pictures and log."""
    run, name = job.run, job.run.name
    with st.container(border=True, key=f"job_{name}"), friendly_errors():
        head, first, second = st.columns([6, 1.15, 1.15], vertical_alignment="center")
        head.markdown(
            f"**{name}** {_badge(job)} :gray[{run.config.data.spec} · preset {run.config.preset_name} · {_where(job)}]"
        )
        with friendly_errors():
            _actions(job, first, second)
        if line := stages(run, job.status, job.state):
            st.markdown(line)
        if job.asked is not None:
            st.caption("It was asked to write its checkpoint and leave; after 20 seconds it is ended.")
        if job.status == "running":
            st.progress(*progress(run, job.state))
        if job.status == "queued" and job.asked is None:
            st.caption(
                f"Waits for {job.ahead} older job{'s' * (job.ahead != 1)} on {', '.join(gpu_facts.devices_of(run.config.device))}."
                if job.ahead
                else "Starting ..."
            )
        if job.status == "stopped" and job.state.get("total"):
            st.caption(f"Stopped at {doing(job.state)}. Resume goes on from the last checkpoint.")
        if job.reason:
            (st.error if job.status == "failed" else st.info)(job.reason)
            if not opened and (lines := jobs.output_tail(run, 8)):
                st.code("\n".join(lines[-8:]), language=None, wrap_lines=True)
        if opened:
            _details(job)


def _badge(job: jobs.Job) -> str:
    word = "stopping" if job.asked is not None else job.status
    return f":{COLOURS.get(job.status, 'gray')}-badge[{word}]"


def _where(job: jobs.Job) -> str:
    place = "" if job.place == "local" else f"{job.place}, "
    return f"{place}device {job.run.config.device}"


def _actions(job: jobs.Job, first: Any, second: Any) -> None:
    run, name = job.run, job.run.name
    if job.active:
        if first.button(
            "Stop",
            key=f"stop_{name}",
            icon=":material/stop:",
            width="stretch",
            disabled=job.asked is not None,
        ):
            jobs.stop(run.path, wait=False)
            st.rerun(scope="fragment")
    elif job.status != "finished" and first.button(
        "Launch" if job.status == "created" else "Resume",
        key=f"resume_{name}",
        icon=":material/resume:",
        width="stretch",
    ):
        jobs.resume(run.path)
        st.rerun()
    elif job.status == "finished":
        first.page_link(
            "../pages/overview.py", label="Results", icon=":material/bar_chart:", query_params={"run": name}
        )
    with second.popover(
        "More", width="stretch", key=f"more_{name}", on_change="rerun"
    ):  # so that it stays open when the card is drawn anew
        opened = st.query_params.get("job") == name
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
            on_click=_again,
            args=(name,),
            width="stretch",
        )
        if not job.active and st.button(
            "Delete ...", key=f"delete_{name}", icon=":material/delete:", width="stretch"
        ):
            st.session_state["delete"] = name
            st.rerun()  # a dialog opens from the page, not from a part that renews itself


def _open(name: str | None) -> None:
    if name:
        st.query_params["job"] = name
    else:
        st.query_params.pop("job", None)


def _again(name: str) -> None:
    st.query_params["from"] = name
    st.query_params.pop("set", None)


@st.dialog("Delete a run")
@friendly_errors()
def confirm_delete(name: str) -> None:
    """Ask before a run's folder is deleted for good."""
    path = next((job.run.path for job in jobs.list_jobs(loaders.workspace()) if job.run.name == name), None)
    st.write(f"**{name}** and all it made will be gone: labels, boxes, checkpoints, scores.")
    yes, no = st.columns(2)
    if yes.button(
        "Delete for good", type="primary", icon=":material/delete_forever:", width="stretch", key="delete_yes"
    ):
        if path:
            jobs.delete(path)
        for link in ("job", "run", "from"):
            if st.query_params.get(link) == name:
                st.query_params.pop(link)
        st.rerun()
    if no.button("Keep it", width="stretch", key="delete_no"):
        st.rerun()


# -- an opened job ----------------------------------------------------------------------------------


def _details(job: jobs.Job) -> None:
    run = job.run
    if job.active:
        _load(job)
    metrics, left, right = run.load_metrics(), *st.columns(2)
    with left:
        if len(metrics):
            show_figure(figures.learning_curves(metrics, None, warm_up(run)), key=f"live_{run.name}")
            st.caption(f"TensorBoard: `tensorboard --logdir {shlex.quote(str(run.file('tensorboard')))}`")
        else:
            st.caption("Learning curves begin after the first epoch.")
    with right:
        lines = jobs.output_tail(run, 60) if job.status == "failed" else run.log_tail(60)
        st.code("\n".join(lines) or "Nothing logged yet.", language=None, height=320, wrap_lines=True)
    with friendly_errors():
        _made(run)
    skipped = job.state.get("skipped", [])
    if skipped:
        with st.expander(
            f"{len(skipped)} unusable files were left out",
            icon=":material/warning:",
            key=f"skipped_{run.name}",
        ):
            st.dataframe(pd.DataFrame(skipped), hide_index=True)


def _load(job: jobs.Job) -> None:
    """GPU by NVML where the job has one; its processes' CPU and memory anyway."""
    shown, devices = [], set(gpu_facts.devices_of(job.run.config.device))
    for gpu in gpu_facts.gpus():
        if gpu.device in devices:
            memory = f"{gpu.memory_used / 2**30:.1f} of {gpu.memory_total / 2**30:.0f} GiB"
            use = "" if gpu.utilisation is None else f"{gpu.utilisation} % busy, "
            shown.append(
                (
                    f"{gpu.device}, {gpu.name}",
                    use + memory + (f", {gpu.temperature} °C" if gpu.temperature is not None else ""),
                )
            )
    load = gpu_facts.load_of(job.state["pid"]) if jobs.is_local(job.state) else None
    if load:
        before, seen = st.session_state.get(f"load_{job.run.name}"), (time.time(), load.cpu_seconds)
        if not before or seen[0] - before[0] > 1:
            st.session_state[f"load_{job.run.name}"] = seen
        busy = (
            f"{max(0.0, (seen[1] - before[1]) / (seen[0] - before[0])):.1f} cores, "
            if before and 1 < seen[0] - before[0] < 30
            else ""
        )
        shown.append(
            (
                f"{load.processes} process{'es' * (load.processes > 1)}",
                f"{busy}{load.memory / 2**30:.1f} GiB memory",
            )
        )
    if shown:
        st.caption(" · ".join(f"**{what}** {how}" for what, how in shown))


def _made(run: Run) -> None:
    """Pictures with what is known of them so far: CLIP's first guess, later the CAM boxes and views, later the labels."""
    pictures = _pictures(str(run.path), run.name, *_changes(run, "global.npz", "views.parquet", "labels.npz"))
    if pictures:
        what = (
            "CAM boxes (solid) and local views (dashed) so far"
            if run.has("views.parquet")
            else "CLIP's labels of whole images so far"
        )
        st.caption(f"{what}: the first {len(pictures)} images.")
        for column, (content, caption) in zip(st.columns(SHOWN), pictures, strict=False):
            column.image(content, caption, width="stretch", alt=f"an image with {caption}")


def _changes(run: Run, *names: str) -> list[int]:
    return [datasets.changed_at(run.file(name)) for name in names]


@st.cache_data(max_entries=32, show_spinner=False)
def _pictures(path: str, name: str, *changed: float) -> list[tuple[bytes, str]]:
    run, made = Run.open(path), []
    if not run.has("global.npz"):
        return []
    known = (
        loaders.label_arrays(run)["final"]
        if run.has("labels.npz")
        else loaders.global_arrays(run)["p_global"]
    )
    views = loaders.views(run) if run.has("views.parquet") else None
    for image, row in zip(loaders.global_arrays(run)["ids"][:SHOWN].tolist(), known[:SHOWN], strict=True):
        with Image.open(io.BytesIO(loaders.jpeg(loaders.image_path(run, image), 320))) as opened:
            picture = opened.convert("RGB")
        if views is not None:
            _draw(picture, views[views["image"] == image], run.config.views.frame)
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=85)
        best = np.argsort(-row)[:2]
        made.append(
            (buffer.getvalue(), ", ".join(f"{run.classes[index]} {row[index]:.2f}" for index in best))
        )
    return made


def _draw(picture: Image.Image, views: pd.DataFrame, frame: int, most: int = 3) -> None:
    drawing, across, down = ImageDraw.Draw(picture), picture.width / frame, picture.height / frame
    for row in views.nlargest(most, "score").itertuples():
        cam = [row.cam_x0 * across, row.cam_y0 * down, row.cam_x1 * across - 1, row.cam_y1 * down - 1]
        drawing.rectangle(cam, outline=VERMILION, width=3)
        x0, y0, x1, y1 = row.x0 * across, row.y0 * down, row.x1 * across - 1, row.y1 * down - 1
        for at in range(int(x0), int(x1), 12):
            drawing.line([(at, y0), (min(at + 7, x1), y0)], fill=ORANGE, width=2)
            drawing.line([(at, y1), (min(at + 7, x1), y1)], fill=ORANGE, width=2)
        for at in range(int(y0), int(y1), 12):
            drawing.line([(x0, at), (x0, min(at + 7, y1))], fill=ORANGE, width=2)
            drawing.line([(x1, at), (x1, min(at + 7, y1))], fill=ORANGE, width=2)
