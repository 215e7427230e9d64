"""Page Train: the form that starts a run."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from app import state
from app.parts.run_progress import duration
from app.parts.train.cluster import place_field
from app.parts.train.data import checked_dataset, show_report
from app.parts.train.names import names_part
from app.parts.train.settings import checked, command_lines, settings_form
from app.parts.unknown_paths import ask_about
from app.reading.readable_folders import paths_to_ask_about, refusals
from app.reading.runs import known_runs, open_run, workspace
from app.widgets import literal, show_error
from ccd_core.config import PRESETS, CCDConfig, load_config
from ccd_core.data import KIND_FORMS
from ccd_core.errors import UserError
from ccd_core.jobs import control, estimates, queue
from ccd_core.jobs.check import check_run
from ccd_core.machine import gpus

Counts = dict[str, int]  # train, val -> images; classes -> classes


@dataclass(frozen=True)
class Start:
    """Settings that the form begins with.

    source: where they are from, a preset or a run with changes; origin: what tells such a form from others.
    """

    config: CCDConfig
    source: str
    origin: str


def start_form() -> None:
    """All fields of a new run, what is wrong beside each, and the button that starts it."""
    start = _starting_point()
    spec, classes, counts = _data_fields(start)
    left, right = st.columns([2, 1])
    cluster = place_field()
    with left:
        if cluster is None:
            device = _device_field(start)
        else:
            device = "auto" if cluster.gpus else "cpu"
        try:
            gpus.devices_of(device)
        except UserError as error:
            device = ""
            _say_beside(error)
    with right:
        name, out = _name_field()
    problems = st.session_state.get(state.problems(start.origin), {})
    values = settings_form(start.config, start.origin, problems)
    config, found = checked(
        start.config, values | {"data.spec": spec, "data.classes": classes, "device": device}
    )
    if config is not None and (refused := refusals(config)):
        config = None
        found = refused
    if found != problems:
        st.session_state[state.problems(start.origin)] = found
        st.rerun()  # so that each sentence stands beside its field
    if config is not None and counts:
        names_part(config, start.origin)
        _show_estimate(config, counts)
    left, right = st.columns([1, 3], vertical_alignment="top")
    ready = bool(config is not None and counts and out and device)
    pressed = left.button(
        "Start",
        type="primary",
        icon=":material/rocket_launch:",
        key="start",
        width="stretch",
        disabled=not ready,
    )
    if pressed and config and out:
        try:
            notes = [] if cluster else _looked_at(config, out)
            control.start(config, out, "slurm" if cluster else "local", cluster)
        except UserError as error:
            show_error(error)
            return
        st.session_state[state.NAMES_GIVEN] += 1
        st.session_state[state.NOTICE] = literal(" ".join([f"Started {name}.", *notes]))
        st.rerun()
    if not ready:
        right.caption("Start opens when every field is right; what is wrong is said beside it.")
    elif config and out:
        with right.expander("The same from a terminal", icon=":material/terminal:"):
            for command in command_lines(config, out):
                st.code(command, language=None, wrap_lines=True)


def _looked_at(config: CCDConfig, out: Path) -> list[str]:
    """Notes about a run that can begin. Raises UserError where something is missing that it needs."""
    with st.spinner("Looking whether all that the run needs is here ..."):
        return check_run(config, out)


def _say_beside(error: UserError) -> None:
    """What is wrong with the field above."""
    st.caption(f":red[{literal(str(error), keep_code=True)}]")


# -- where the settings begin ----------------------------------------------------------------------------


def _starting_point() -> Start:
    """The settings of the run that the link names, with the link's changes, or those of a preset."""
    source = st.query_params.get(state.SETTINGS_FROM)
    if source:
        left, right = st.columns([5, 1], vertical_alignment="center")
        right.button("Use a preset", on_click=_forget_source, width="stretch")
        changes = st.query_params.get(state.SETTINGS_CHANGES, "")
        try:
            config, asked = _settings_of(source, changes)
        except UserError as error:
            with left:
                show_error(error)
            return _preset()
        ask_about(asked, "open_settings_paths")
        if not asked:
            text = f"Settings of **{literal(source)}**"
            if changes:
                text += f", with {literal(changes.replace(';', ', '))}"
            left.info(f"{text}.", icon=":material/content_copy:")
            return Start(config, f"{source}|{changes}", f"{source}|{changes}")
    return _preset()


def _settings_of(name: str, changes: str) -> tuple[CCDConfig, list[tuple[str, str]]]:
    """Settings, and those of their paths that are not opened unasked."""
    path = known_runs().get(name)
    if path is None:
        raise UserError(f"There is no run {name!r} to take settings from.")
    config = load_config(None, path / "config.yaml", [change for change in changes.split(";") if change])
    run = open_run(path)
    own = config.named_paths() == run.config.named_paths()
    return config, paths_to_ask_about(run, None if own else config)


def _forget_source() -> None:
    for key in (state.SETTINGS_FROM, state.SETTINGS_CHANGES):
        st.query_params.pop(key, None)


def _preset() -> Start:
    preset = st.segmented_control(
        "Preset",
        PRESETS,
        default="demo",
        required=True,
        key=state.PRESET,
        bind="query-params",
        help="demo fits toy scenes and small machines; paper is the paper's setting and needs a GPU and "
        "CLIP's weights; reference does what the authors' code does where it differs; best starts as paper "
        "and takes what beats it; laptop is best with models for a CPU; offline is laptop with a teacher "
        "that needs no hub.",
    )
    preset = preset if preset in PRESETS else "demo"
    spec = st.session_state.get(state.DATA) or st.query_params.get(state.DATA) or ""
    plain = CCDConfig.preset(preset)
    # A preset may fit itself to the kind of data set; another preset's data set does not count.
    own = st.session_state.get(state.DATA_OF) in (None, preset)
    fitted = CCDConfig.preset(preset, spec if own else None)
    same = plain.changed(data={"spec": fitted.data.spec}) == fitted
    return Start(fitted, preset, preset if same else f"{preset} {spec.partition(':')[0]}")


# -- fields ----------------------------------------------------------------------------------------------


def _data_fields(start: Start) -> tuple[str, Path | None, Counts | None]:
    """Data set, file of class names, and what the data set holds; None for the last while it is unknown."""
    if st.session_state.get(state.DATA_OF) not in (None, start.source):
        st.session_state[state.DATA] = start.config.data.spec
    st.session_state[state.DATA_OF] = start.source
    left, right = st.columns([2, 1])
    spec = left.text_input(
        "Data set",
        start.config.data.spec,
        key=state.DATA,
        bind="query-params",
        help=f"{', '.join(KIND_FORMS.values())}. A folder has classes.txt in it and, for scores, labels.csv; "
        "a ROOT is where an archive was unpacked.",
    ).strip()
    file = right.text_input(
        "File of class names",
        str(start.config.data.classes or ""),
        key=f"classes_{start.source}",
        placeholder="classes.txt in the folder",
        persist_state="session",
        help="`data.classes`: one class name a line, for folder data sets.",
    )
    classes = Path(file) if file else None
    report = checked_dataset(spec, classes)
    if report:
        show_report(report, start.source)
    if report is None or report.problem:
        return spec, classes, None
    counts = {name: report.splits[name].images if name in report.splits else 0 for name in ("train", "val")}
    return spec, classes, counts | {"classes": len(report.classes)}


def _device_field(start: Start) -> str:
    """One device or several GPUs, each with its load and how many jobs are before a new one there."""
    tickets = queue.tickets()
    found = {gpu.device: gpu for gpu in gpus.gpus()}
    known = gpus.devices()
    options = list(dict.fromkeys([start.config.device, "auto", *known]))

    def say(device: str) -> str:
        words = [device]
        if device in known:
            words.append(known[device])
        if device in found:
            used = found[device].memory_used / 2**30
            words.append(f"{used:.0f} GiB used, {found[device].utilisation or 0} % busy")
        try:
            wanted = set(gpus.devices_of(device))
        except UserError:
            wanted = set()
        if waiting := sum(bool(wanted.intersection(ticket.devices)) for ticket in tickets):
            words.append(f"{waiting} in line")
        return " · ".join(words)

    text = (
        "`device`: auto takes the first GPU, or the CPU where there is none. "
        "A job waits for older jobs on its device."
    )
    key = f"device_{start.origin}"
    if len(found) < 2:
        return st.selectbox("Device", options, format_func=say, key=key, help=text, persist_state="session")
    chosen = st.multiselect(
        "Devices",
        options,
        [start.config.device],
        format_func=say,
        key=key,
        help=text,
        persist_state="session",
    )
    return ",".join(chosen)


def _name_field() -> tuple[str, Path | None]:
    """The run's name and its folder, or None with the sentence beside the field."""
    number = st.session_state.setdefault(state.NAMES_GIVEN, 0)
    suggested = st.session_state.setdefault(state.suggested_name(number), time.strftime("run-%m%d-%H%M%S"))
    name = st.text_input(
        "Run name",
        suggested,
        key=f"name_{number}",
        help="The run's folder in the workspace.",
        persist_state="session",
    )
    try:
        return name, control.new_folder(workspace(), name)
    except UserError as error:
        _say_beside(error)
        return name, None


def _show_estimate(config: CCDConfig, counts: Counts) -> None:
    """How long the run will take and how large it will be, from finished runs like it."""
    earlier = [open_run(path) for path in known_runs().values()]
    guess = estimates.estimate(config, counts["train"], counts["val"], counts["classes"], earlier)
    words = "Time unknown"
    if guess.seconds:
        words = f"About **{duration(sum(guess.seconds.values()))}**"
    if guess.disk is not None:
        place = next(path for path in (workspace(), *workspace().parents) if path.exists())
        free = shutil.disk_usage(place).free
        words += f", {guess.disk / 2**20:,.0f} MiB of disk ({free / 2**30:,.0f} GiB free)"
        if free < guess.disk:
            words += " :red[too little]"
    st.caption(f":material/timer: {words}. {literal(guess.basis, keep_code=True)}")
