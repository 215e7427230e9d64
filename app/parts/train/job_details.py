"""Page Train: an opened job, with its load, curves, log and what it has made so far."""

from __future__ import annotations

import io
import shlex
import time

import numpy as np
import pandas as pd
import streamlit as st
from PIL import Image, ImageDraw

from app import state
from app.figures.theme import ORANGE, VERMILION
from app.figures.training import learning_curves
from app.parts.run_progress import warm_up
from app.reading.cached import cached_by
from app.reading.images import image_path, jpeg
from app.reading.runs import global_arrays, label_arrays, views_of
from app.widgets import friendly_errors, literal, show_figure
from ccd_core.jobs import control
from ccd_core.jobs.control import Job
from ccd_core.machine import gpus
from ccd_core.runs.run import Run

SHOWN = 6  # pictures of what has been made so far
LOG_LINES = 60
VIEWS_DRAWN = 3  # boxes on a picture
DASH, GAP = 7, 5  # pixels, of the frame of a local view
GIB = 2**30


def details_part(job: Job) -> None:
    """Load, learning curves, log, pictures and unusable files of a job."""
    run = job.run
    if job.active:
        _load(job)
    metrics = run.load_metrics()
    left, right = st.columns(2)
    with left:
        if len(metrics):
            show_figure(learning_curves(metrics, None, warm_up(run)), key=f"live_{run.name}")
            command = f"tensorboard --logdir {shlex.quote(str(run.file('tensorboard')))}"
            st.caption(literal(f"TensorBoard: `{command}`", keep_code=True))
        else:
            st.caption("Learning curves begin after the first epoch.")
    with right:
        failed = job.status == "failed"
        lines = control.output_tail(run, LOG_LINES) if failed else run.log_tail(LOG_LINES)
        text = "\n".join(lines) or "Nothing logged yet."
        st.code(text, language=None, height=320, wrap_lines=True)
    with friendly_errors():
        _made_so_far(run)
    if skipped := job.state.get("skipped", []):
        title = f"{len(skipped)} unusable files were left out"
        with st.expander(title, icon=":material/warning:", key=f"skipped_{run.name}"):
            st.dataframe(pd.DataFrame(skipped), hide_index=True)


# -- load ------------------------------------------------------------------------------------------------


def _load(job: Job) -> None:
    """Of the job's GPUs as NVML says, and of its processes."""
    devices = set(gpus.devices_of(job.run.config.device))
    words = [_gpu_load(gpu) for gpu in gpus.gpus() if gpu.device in devices]
    load = gpus.load_of(job.state["pid"] or 0) if control.is_local(job.state) else None
    if load:
        noun = "process" if load.processes == 1 else "processes"
        busy = _busy_cores(job.run.name, load.cpu_seconds)
        cores = "" if busy is None else f"{busy:.1f} cores, "
        words.append(f"**{load.processes} {noun}** {cores}{load.memory / GIB:.1f} GiB memory")
    if words:
        st.caption(" · ".join(words))


def _gpu_load(gpu: gpus.GpuFacts) -> str:
    facts = [f"{gpu.memory_used / GIB:.1f} of {gpu.memory_total / GIB:.0f} GiB"]
    if gpu.utilisation is not None:
        facts.insert(0, f"{gpu.utilisation} % busy")
    if gpu.temperature is not None:
        facts.append(f"{gpu.temperature} °C")
    return f"**{gpu.device}, {literal(gpu.name)}** {', '.join(facts)}"


def _busy_cores(run: str, cpu_seconds: float) -> float | None:
    """How many cores the processes have kept busy since the last look; None if that was long ago."""
    key = state.load_seen(run)
    now = time.time()
    before = st.session_state.get(key)
    if not before or now - before[0] > 1:
        st.session_state[key] = (now, cpu_seconds)
    if not before or not 1 < now - before[0] < 30:
        return None
    return max(0.0, (cpu_seconds - before[1]) / (now - before[0]))


# -- what has been made so far ---------------------------------------------------------------------------


def _made_so_far(run: Run) -> None:
    """Pictures with CLIP's first guess, later with the CAM boxes and views, later with the labels."""
    pictures = _pictures(run)
    if not pictures:
        return
    what = "CLIP's labels of whole images so far"
    if run.has("views.parquet"):
        what = "CAM boxes (solid) and local views (dashed) so far"
    st.caption(f"{what}: the first {len(pictures)} images.")
    for column, (content, caption) in zip(st.columns(SHOWN), pictures, strict=False):
        column.image(content, literal(caption), width="stretch", alt=f"an image with {caption}")


@cached_by("global.npz", "views.parquet", "labels.npz", copied=True, max_entries=32)
def _pictures(run: Run) -> list[tuple[bytes, str]]:
    """JPEG and caption of the first images."""
    if not run.has("global.npz"):
        return []
    labels = label_arrays(run)["final"] if run.has("labels.npz") else global_arrays(run)["p_global"]
    pictures = []
    for image, row in zip(global_arrays(run)["ids"][:SHOWN].tolist(), labels[:SHOWN], strict=True):
        with Image.open(io.BytesIO(jpeg(image_path(run, image), 320))) as opened:
            picture = opened.convert("RGB")
        if run.has("views.parquet"):
            _draw(picture, views_of(run, image), run.config.views.frame)
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=85)
        best = np.argsort(-row)[:2]
        caption = ", ".join(f"{run.classes[c]} {row[c]:.2f}" for c in best)
        pictures.append((buffer.getvalue(), caption))
    return pictures


def _draw(picture: Image.Image, views: pd.DataFrame, frame: int) -> None:
    """The CAM boxes and the frames of the views with the highest scores; boxes in pixels of the frame."""
    drawing = ImageDraw.Draw(picture)
    scale = np.array([picture.width / frame, picture.height / frame] * 2)
    inside = np.array([0, 0, 1, 1])  # boxes are half-open: their last row and column lie one pixel before
    best = views.nlargest(VIEWS_DRAWN, "score")
    cams = best[["cam_x0", "cam_y0", "cam_x1", "cam_y1"]].to_numpy() * scale - inside
    frames = best[["x0", "y0", "x1", "y1"]].to_numpy() * scale - inside
    for cam, view in zip(cams.tolist(), frames.tolist(), strict=True):
        drawing.rectangle(cam, outline=VERMILION, width=3)
        _dashed(drawing, view)


def _dashed(drawing: ImageDraw.ImageDraw, box: list[float]) -> None:
    x0, y0, x1, y1 = box
    for begin in range(int(x0), int(x1), DASH + GAP):
        for y in (y0, y1):
            drawing.line([(begin, y), (min(begin + DASH, x1), y)], fill=ORANGE, width=2)
    for begin in range(int(y0), int(y1), DASH + GAP):
        for x in (x0, x1):
            drawing.line([(x, begin), (x, min(begin + DASH, y1))], fill=ORANGE, width=2)
