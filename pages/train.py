"""Start a run in a process of its own, watch it, stop it, go on with it."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import streamlit as st

from app.parts import train_data as dataset_check
from app.parts import train_settings as config_form
from app.parts.run_progress import duration
from app.parts.train_cluster import place_field
from app.parts.train_job import confirm_delete, job_card
from app.reading import readable_folders as roots
from app.reading import runs as loaders
from app.widgets import friendly_errors, page_header
from ccd_core.config import PRESETS, CCDConfig, load_config
from ccd_core.data import KIND_FORMS
from ccd_core.errors import UserError
from ccd_core.jobs import control as jobs
from ccd_core.jobs import estimates
from ccd_core.jobs import queue as job_queue
from ccd_core.machine import gpus as gpu_facts

page_header(
    "Train",
    "Start a run, watch it, stop it, go on with it.",
    "A run is a process of its own: closing this page, or stopping the app, stops nothing. Runs on the same device wait for each other, in the "
    "order in which they were started. Everything here is read from the runs' folders, and `ccd jobs` does the same in a terminal.",
    r"\mathcal{L}_{total} = L_{ce} + \beta L_{consist}",
)
at_work = (
    st.container()
)  # keeps its place when it is empty, so that the form under it keeps what is being typed


def forget_source() -> None:
    for name in ("from", "set"):
        st.query_params.pop(name, None)


def starting_point() -> tuple[CCDConfig, str, str]:
    """The settings that the form begins with, from the link or a preset; where they are from; and what tells one such form from others."""
    source, changes = st.query_params.get("from"), st.query_params.get("set", "")
    if source:
        left, right = st.columns([5, 1], vertical_alignment="center")
        right.button("Use a preset", on_click=forget_source, width="stretch")
        try:
            path = loaders.known_runs().get(source)
            if path is None:
                raise UserError(f"There is no run {source!r} to take settings from.")
            config = load_config(
                None, path / "config.yaml", [change for change in changes.split(";") if change]
            )
            left.info(
                f"Settings of **{source}**" + (f", with {changes.replace(';', ', ')}." if changes else "."),
                icon=":material/content_copy:",
            )
            return config, f"{source}|{changes}", f"{source}|{changes}"
        except UserError as error:
            left.error(str(error))
    preset = st.segmented_control(
        "Preset", PRESETS, default="demo", required=True, key="preset", bind="query-params",
        help="demo fits toy scenes and small machines; paper is the paper's setting and needs a GPU and CLIP's weights; reference does what the authors' "
        "code does where it differs; best starts as paper and takes what beats it.",
    )  # fmt: skip
    preset = preset if preset in PRESETS else "demo"
    spec = st.session_state.get("data") or st.query_params.get("data") or ""
    plain, fitted = (
        CCDConfig.preset(preset),
        CCDConfig.preset(preset, spec if st.session_state.get("data_of") in (None, preset) else None),
    )
    same = (
        plain.changed(data={"spec": fitted.data.spec}) == fitted
    )  # a preset may fit itself to the kind of data set
    return fitted, preset, preset if same else f"{preset} {spec.partition(':')[0]}"


def data_fields(start: CCDConfig, source: str) -> tuple[str, Path | None, dict[str, int] | None]:
    """Data set and file of class names, checked beside the field; with how many images and classes there are, or None."""
    if st.session_state.get("data_of") not in (None, source):
        st.session_state["data"] = start.data.spec
    st.session_state["data_of"] = source
    left, right = st.columns([2, 1])
    spec = left.text_input(
        "Data set", start.data.spec, key="data", bind="query-params",
        help=f"{', '.join(KIND_FORMS.values())}. A folder has classes.txt in it and, for scores, labels.csv; a ROOT is where an archive was unpacked.",
    )  # fmt: skip
    file = right.text_input(
        "File of class names", str(start.data.classes or ""), key=f"classes_{source}", placeholder="classes.txt in the folder", persist_state="session",
        help="`data.classes`: one class name a line, for folder data sets.",
    )  # fmt: skip
    classes = Path(file) if file else None
    report = dataset_check.checked_dataset(spec.strip(), classes)
    if report:
        dataset_check.show_report(report, source)
    if report is None or report.problem:
        return spec.strip(), classes, None
    counts = {
        split: report.splits[split].images if split in report.splits else 0 for split in ("train", "val")
    }
    return spec.strip(), classes, counts | {"classes": len(report.classes)}


def device_field(start: CCDConfig, origin: str) -> str:
    """One device or several GPUs, each with what it is, its load and how many jobs are before a new one there."""
    line, gpus = job_queue.tickets(), {gpu.device: gpu for gpu in gpu_facts.gpus()}
    known = gpu_facts.devices()
    options = list(dict.fromkeys([start.device, "auto", *known]))

    def say(device: str) -> str:
        words = [device]
        if device in known:
            words.append(known[device])
        if device in gpus:
            words.append(
                f"{gpus[device].memory_used / 2**30:.0f} GiB used, {gpus[device].utilisation or 0} % busy"
            )
        try:
            waiting = sum(bool(set(one.devices) & set(gpu_facts.devices_of(device))) for one in line)
        except UserError:
            waiting = 0
        return " · ".join([*words, f"{waiting} in line"] if waiting else words)

    text = "`device`: auto takes the first GPU, or the CPU where there is none. A job waits for older jobs on its device."
    if len(gpus) < 2:
        return st.selectbox(
            "Device", options, format_func=say, key=f"device_{origin}", help=text, persist_state="session"
        )
    chosen = st.multiselect(
        "Devices",
        options,
        [start.device],
        format_func=say,
        key=f"device_{origin}",
        help=text,
        persist_state="session",
    )
    return ",".join(chosen) if len(chosen) != 1 else chosen[0]


def name_field() -> tuple[str, Path | None]:
    """The run's name and its folder, or None with the sentence beside the field."""
    number = st.session_state.setdefault("names_given", 0)
    suggested = st.session_state.setdefault(f"suggested_{number}", time.strftime("run-%m%d-%H%M%S"))
    name = st.text_input(
        "Run name",
        suggested,
        key=f"name_{number}",
        help="The run's folder in the workspace.",
        persist_state="session",
    )
    try:
        return name, jobs.new_folder(loaders.workspace(), name)
    except UserError as error:
        st.caption(f":red[{error}]")
        return name, None


def show_estimate(config: CCDConfig, counts: dict[str, int]) -> None:
    earlier = [loaders.open_run(path) for path in loaders.known_runs().values()]
    guess = estimates.estimate(config, counts["train"], counts["val"], counts["classes"], earlier)
    words = [f"About **{duration(sum(guess.seconds.values()))}**" if guess.seconds else "Time unknown"]
    if guess.disk is not None:
        free = shutil.disk_usage(
            next(path for path in (loaders.workspace(), *loaders.workspace().parents) if path.exists())
        ).free
        words.append(
            f"{guess.disk / 2**20:,.0f} MiB of disk ({free / 2**30:,.0f} GiB free)"
            + (" :red[too little]" if free < guess.disk else "")
        )
    st.caption(f":material/timer: {', '.join(words)}. {guess.basis}")


def start_form() -> None:
    start, source, origin = starting_point()
    spec, classes, counts = data_fields(start, source)
    left, right = st.columns([2, 1])
    cluster = place_field()
    with left:
        device = device_field(start, origin) if cluster is None else ("auto" if cluster.gpus else "cpu")
        try:
            gpu_facts.devices_of(device)
        except UserError as error:
            device = ""
            st.caption(f":red[{error}]")
    with right:
        name, out = name_field()
    problems = st.session_state.get(f"problems_{origin}", {})
    values = config_form.settings_form(start, origin, problems)
    config, found = config_form.checked(
        start, values | {"data.spec": spec, "data.classes": classes, "device": device}
    )
    if config is not None and (refused := roots.refusals(config)):
        config, found = None, refused
    if found != problems:
        st.session_state[f"problems_{origin}"] = found
        st.rerun()  # so that each sentence stands beside its field
    if config is not None and counts:
        show_estimate(config, counts)
    left, right = st.columns([1, 3], vertical_alignment="top")
    ready = bool(config is not None and counts and out and device)
    if (
        left.button(
            "Start",
            type="primary",
            icon=":material/rocket_launch:",
            key="start",
            width="stretch",
            disabled=not ready,
        )
        and config
        and out
    ):
        try:
            jobs.start(config, out, "slurm" if cluster else "local", cluster)
        except UserError as error:
            st.error(str(error))
            return
        st.session_state["names_given"] += 1
        st.session_state["notice"] = f"Started {name}."
        st.rerun()
    if not ready:
        right.caption("Start opens when every field is right; what is wrong is said beside it.")
    elif config and out:
        with right.expander("The same from a terminal", icon=":material/terminal:"):
            for command in config_form.command_lines(config, out):
                st.code(command, language=None, wrap_lines=True)


@friendly_errors()
def show_jobs() -> None:
    found = jobs.list_jobs(loaders.workspace())
    active = {job.run.name for job in found if job.active}
    before = st.session_state.get("jobs_active", set())
    st.session_state["jobs_active"] = active
    for job in found:
        if job.run.name in before - active:
            st.session_state.setdefault("endings", []).append((job.run.name, job.status))
    if before != active:
        st.rerun()  # the page's title and its pace change
    if not found:
        st.info(f"No runs yet in {loaders.workspace()}.")
    wanted = st.query_params.get("job") or next(
        (job.run.name for job in found if job.status == "running"), None
    )
    running = [job for job in found if job.active]
    for job in [*reversed(running), *(job for job in found if not job.active)][:30]:
        job_card(job, opened=job.run.name == wanted)


with st.container(border=True):
    st.header("New run", anchor=False)
    start_form()

active = sorted(st.session_state.get("jobs_active", set()))
for name, status in st.session_state.pop("endings", []):
    st.toast(
        f"**{name}** {status}.",
        icon=":material/check_circle:" if status == "finished" else ":material/info:",
        duration="infinite",
    )
    st.session_state["last_ending"] = f"{name} {status}"
if notice := st.session_state.pop("notice", None):
    st.toast(notice)
title = (
    f"{len(active)} running · CCD"
    if active
    else f"{st.session_state['last_ending']} · CCD"
    if "last_ending" in st.session_state
    else "Train · CCD"
)
st.set_page_config(page_title=title)
if active:
    at_work.markdown(
        f"**{', '.join(active)}** {'is' if len(active) == 1 else 'are'} at work: [watch below](#jobs)."
    )
st.header("Jobs", anchor="jobs")
if st.session_state.get("delete"):
    confirm_delete(st.session_state.pop("delete"))
st.fragment(show_jobs, run_every=2 if active else None)()
