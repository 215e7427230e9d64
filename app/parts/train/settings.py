"""Page Train: a form of every setting, made from the settings' own schema (ccd_core/settings/sections)."""

from __future__ import annotations

import math
import shlex
import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import streamlit as st
import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from app.widgets import literal
from ccd_core.config import PRESETS, CCDConfig, differences, setting_name
from ccd_core.settings.sections import MeanViews, SearchedViews, Section
from ccd_core.yaml_files import NotYaml, parse_yaml

# What most people change; the rest is folded. Data set, device and name have places of their own on the page.
COMMON = ("training.epochs", "views.threshold", "labels.alpha", "bias.entropy_threshold", "seed")
ELSEWHERE = ("preset_name", "data.spec", "data.classes", "device")
ACRONYMS = {"cam": "CAM", "gb": "GB"}  # in names of settings

Problems = dict[str, str]  # setting -> what is wrong with it


def settings_form(start: CCDConfig, key: str, problems: Problems) -> dict[str, Any]:
    """Widgets for all settings but those `ELSEWHERE`; returns setting -> value, as typed.

    start: what they hold until somebody types. key: a new one makes a new form. problems: what was wrong with
    the values of the pass before, shown beside each field.
    """
    fields = {name: field for name, field in setting_fields().items() if name not in ELSEWHERE}
    values: dict[str, Any] = {}

    def place_widget(name: str) -> None:
        values[name] = _widget(name, fields[name], _value(start, name), key, problems)

    for column, name in zip(st.columns(len(COMMON)), COMMON, strict=True):
        with column:
            place_widget(name)
    folded: dict[str, list[str]] = {}
    for name in fields:
        if name not in COMMON:
            folded.setdefault(_section_of(name).title, []).append(name)
    label = f"All settings ({sum(map(len, folded.values()))} more)"
    if wrong := sum(name in fields and name not in COMMON for name in problems):
        label += f" :red[{wrong} to put right]"
    with st.expander(label, icon=":material/tune:"):
        for tab, names in zip(st.tabs(list(folded)), folded.values(), strict=True):
            columns = tab.columns(3)
            for place, name in enumerate(names):
                with columns[place % 3]:
                    place_widget(name)
    return values


def checked(start: CCDConfig, values: dict[str, Any]) -> tuple[CCDConfig | None, Problems]:
    """The settings that the form's values make, or what is wrong with which; forged values are found, too."""
    nested: dict[str, Any] = start.model_dump()
    problems = {}
    for name, value in values.items():
        if isinstance(value, _NotYaml):
            problems[name] = str(value)
            continue
        *sections, last = name.split(".")
        target = nested
        for section in sections:
            target = target[section]
        target[last] = value
    try:
        config = CCDConfig.model_validate(nested)
    except ValidationError as error:
        for problem in error.errors():
            name = _field_name(setting_name(problem))
            problems.setdefault(name, problem["msg"].removeprefix("Value error, ") + ".")
        return None, problems
    return (None if problems else config), problems


def command_lines(config: CCDConfig, out: Path) -> tuple[str, str]:
    """The same run from a terminal, as `ccd run` and as `ccd jobs start`.

    Both name the preset, the data set, and what differs from the preset.
    """
    words = ["--preset", _preset_of(config), "--dataset", config.data.spec]
    if config.data.classes:
        words += ["--classes", str(config.data.classes)]
    for name in changed_settings(config):
        words += ["--set", f"{name}={_yaml(_value(config, name))}"]
    job = ["ccd", "jobs", "start", *words, "--name", out.name, "--workspace", str(out.parent)]
    return shlex.join(["ccd", "run", *words, "--out", str(out)]), shlex.join(job)


def changed_settings(config: CCDConfig) -> list[str]:
    """Names of the settings that differ from the preset's, but for those that name the data set."""
    preset = CCDConfig.preset(_preset_of(config), config.data.spec)
    names = dict.fromkeys(_field_name(name) for name in differences(preset, config))
    return [name for name in names if name not in ("preset_name", "data.spec", "data.classes")]


def _preset_of(config: CCDConfig) -> str:
    return config.preset_name if config.preset_name in PRESETS else "paper"


def _field_name(name: str) -> str:
    """The form's field that a setting belongs to; what lies inside of a dictionary has none of its own."""
    return ".".join(name.split(".")[:2])


def _section_of(name: str) -> type[Section]:
    section, _, _ = name.rpartition(".")
    annotation = CCDConfig.model_fields[section].annotation if section else CCDConfig
    assert isinstance(annotation, type) and issubclass(annotation, Section)
    return annotation


def setting_fields(model: type[BaseModel] = CCDConfig, prefix: str = "") -> dict[str, FieldInfo]:
    """Dotted name -> field of every setting."""
    found: dict[str, FieldInfo] = {}
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel) and not prefix:
            found |= setting_fields(inner, f"{name}.")
        else:
            found[prefix + name] = field
    return found


def _value(config: CCDConfig, name: str) -> Any:
    value: Any = config
    for part in name.split("."):
        value = getattr(value, part)
    return value


# -- widgets ---------------------------------------------------------------------------------------------


class _NotYaml(str):
    """Why what was typed is no value."""


def _label(name: str) -> str:
    """What a person reads as the name of a setting."""
    words = name.rpartition(".")[2].split("_")
    return " ".join(ACRONYMS.get(word, word) for word in words)


def _widget(name: str, field: FieldInfo, value: Any, key: str, problems: Problems) -> Any:
    label = _label(name)
    shared: dict[str, Any] = {
        "key": f"{key}_{name}",
        "help": f"`{name}`: {field.description}",
        "persist_state": "session",
    }
    kinds = _kinds(field.annotation)
    if MeanViews in kinds:
        entered = _views_widget(value, shared)
    elif get_origin(field.annotation) is Literal:
        options = list(get_args(field.annotation))
        entered = st.selectbox(label, options, index=options.index(value), **shared)
    elif kinds == {bool}:
        entered = st.toggle(label, value, **shared)
    elif kinds in ({int}, {float}):
        entered = _number_widget(label, field, value, kinds == {int}, shared)
    elif kinds <= {str, Path, type(None)}:
        may_be_none = type(None) in kinds
        placeholder = "none" if may_be_none else ""
        text = st.text_input(label, "" if value is None else str(value), placeholder=placeholder, **shared)
        entered = None if may_be_none and not text else text
    else:
        entered = _parsed(st.text_input(label, _yaml(value), **shared))
    if name in problems:
        st.caption(f":red[{literal(problems[name], keep_code=True)}]")
    return entered


def _kinds(annotation: Any) -> set[Any]:
    """What a setting may be: {float, MeanViews} for `float | MeanViews`."""
    origin = get_origin(annotation)
    return set(get_args(annotation)) if origin in (Union, types.UnionType) else {origin or annotation}


def _number_widget(label: str, field: FieldInfo, value: float, whole: bool, shared: dict[str, Any]) -> float:
    bounds = {
        name: getattr(rule, name) for rule in field.metadata for name in ("ge", "le") if hasattr(rule, name)
    }
    least = bounds.get("ge")
    most = bounds.get("le")
    if whole:
        return st.number_input(label, least, most, int(value), step=1, **shared)
    step = 0.1
    if most == 1:
        step = 0.05
    elif value > 0:
        step = 10.0 ** math.floor(math.log10(value)) / 2
    least = None if least is None else float(least)
    most = None if most is None else float(most)
    return st.number_input(label, least, most, float(value), step=step, format="%g", **shared)


def _views_widget(value: Any, shared: dict[str, Any]) -> Any:
    """`mean` views an image, a threshold of the `score`, or the code's `search`."""
    shown = "score"
    if isinstance(value, MeanViews):
        shown = "mean"
    elif isinstance(value, SearchedViews):
        shown = "search"
    ways = ["mean", "score", "search"] if shown == "search" else ["mean", "score"]
    way_key = f"{shared['key']}_way"
    way = st.session_state.get(way_key) or shown
    own = {**shared, "key": f"{shared['key']}_{way}"}
    entered: Any
    if way == "search":
        entered = _parsed(st.text_input("search for", _yaml(value), **own))
    elif way == "mean":
        mean = float(getattr(value, "mean_views", 10.0))
        number = st.number_input("views an image", min_value=0.0, value=mean, step=0.5, format="%g", **own)
        entered = {"mean_views": number}
    else:
        threshold = value if shown == "score" else 0.5
        entered = st.number_input("view threshold", 0.0, 1.0, threshold, step=0.05, format="%g", **own)
    st.segmented_control(
        "Views by",
        ways,
        default=shown,
        key=way_key,
        label_visibility="collapsed",
        persist_state="session",
        width="stretch",
    )
    return entered


def _yaml(value: Any) -> str:
    plain = value
    if isinstance(value, BaseModel):
        plain = value.model_dump(mode="json")
    elif isinstance(value, Path):
        plain = str(value)
    text = yaml.safe_dump(plain, default_flow_style=True, allow_unicode=True, width=10_000)
    return text.removesuffix("\n...\n").strip()


def _parsed(text: str) -> Any:
    try:
        return parse_yaml(text)
    except NotYaml as error:
        return _NotYaml(f"This is not YAML ({error}) Write {{}} for nothing, or {{name: value}}.")
