"""A form of every setting, made from the settings' own schema: a new setting in `ccd_core/config.py` is on the page Train at once."""

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

from ccd_core.config import PRESETS, CCDConfig, MeanViews, SearchedViews, differences

# What most people change; the rest is folded. Data set, device and name have places of their own on the page.
COMMON = ("training.epochs", "views.threshold", "labels.alpha", "bias.entropy_threshold", "seed")
ELSEWHERE = ("preset_name", "data.spec", "data.classes", "device")
TITLES = {"": "General", "clip": "CLIP", "bias": "CLIP bias"}

Problems = dict[str, str]  # setting -> what is wrong with it


def settings_form(start: CCDConfig, key: str, problems: Problems) -> dict[str, Any]:
    """Widgets for all settings but those `ELSEWHERE`, holding `start` until somebody types; returns setting -> value, as typed.

    problems: what was wrong with the values of the pass before is shown beside each field. A new `key` makes a new form.
    """
    fields = {name: field for name, field in _fields(type(start)).items() if name not in ELSEWHERE}
    values: dict[str, Any] = {}
    for column, name in zip(st.columns(len(COMMON)), COMMON, strict=True):
        with column:
            values[name] = _widget(name, fields[name], _value(start, name), key, problems)
    sections = list(dict.fromkeys(name.rpartition(".")[0] for name in fields))
    folded = {
        section: [name for name in fields if name not in COMMON and name.rpartition(".")[0] == section]
        for section in sections
    }
    wrong = sum(name not in COMMON for name in problems if name in fields)
    label = f"All settings ({sum(map(len, folded.values()))} more)" + (
        f" :red[{wrong} to put right]" if wrong else ""
    )
    with st.expander(label, icon=":material/tune:"):
        for tab, section in zip(
            st.tabs([TITLES.get(section, section.capitalize()) for section in folded]), folded, strict=True
        ):
            columns = tab.columns(3)
            for place, name in enumerate(folded[section]):
                with columns[place % 3]:
                    values[name] = _widget(name, fields[name], _value(start, name), key, problems)
    return values


def checked(start: CCDConfig, values: dict[str, Any]) -> tuple[CCDConfig | None, Problems]:
    """The settings that the form's values make, or what is wrong with which; a forged value is found here, too."""
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
            name = ".".join(
                str(part)
                for part in problem["loc"][:2]
                if part not in ("float", "MeanViews", "SearchedViews")
            )
            problems.setdefault(name, problem["msg"].removeprefix("Value error, ") + ".")
        return None, problems
    return (None if problems else config), problems


def command_lines(config: CCDConfig, out: Path) -> tuple[str, str]:
    """The same run from a terminal, as `ccd run` and as `ccd jobs start`: preset, data set, and what differs from the preset."""
    preset = config.preset_name if config.preset_name in PRESETS else "paper"
    words = ["--preset", preset, "--dataset", config.data.spec]
    words += ["--classes", str(config.data.classes)] if config.data.classes else []
    for name in changed_settings(config):
        words += ["--set", f"{name}={_yaml(_value(config, name))}"]
    job = ["ccd", "jobs", "start", *words, "--name", out.name, "--workspace", str(out.parent)]
    return shlex.join(["ccd", "run", *words, "--out", str(out)]), shlex.join(job)


def changed_settings(config: CCDConfig) -> list[str]:
    """Names of the settings that differ from the preset's, but for what names the data set."""
    preset = CCDConfig.preset(
        config.preset_name if config.preset_name in PRESETS else "paper", config.data.spec
    )
    names = (
        "views.threshold" if name.startswith("views.threshold") else name
        for name in differences(preset, config)
    )
    names = (".".join(name.split(".")[:2]) for name in names)  # inside of a dictionary
    return [name for name in dict.fromkeys(names) if name not in ("preset_name", "data.spec", "data.classes")]


def _fields(model: type[BaseModel], prefix: str = "") -> dict[str, FieldInfo]:
    found: dict[str, FieldInfo] = {}
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel) and not prefix:
            found |= _fields(inner, f"{name}.")
        else:
            found[prefix + name] = field
    return found


def _value(config: CCDConfig, name: str) -> Any:
    value: Any = config
    for part in name.split("."):
        value = getattr(value, part)
    return value


class _NotYaml(str):
    """Why what was typed is no value."""


def _widget(name: str, field: FieldInfo, value: Any, key: str, problems: Problems) -> Any:
    label, identity = name.rpartition(".")[2].replace("_", " "), f"{key}_{name}"
    shared: dict[str, Any] = {
        "key": identity,
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
        empty = type(None) in kinds
        text = st.text_input(
            label, "" if value is None else str(value), placeholder="none" if empty else "", **shared
        )
        entered = None if empty and not text else text
    else:
        entered = _parsed(st.text_input(label, _yaml(value), **shared))
    if name in problems:
        st.caption(f":red[{problems[name]}]")
    return entered


def _kinds(annotation: Any) -> set[Any]:
    """What a setting may be: {float, MeanViews} for `float | MeanViews`."""
    origin = get_origin(annotation)
    return set(get_args(annotation)) if origin in (Union, types.UnionType) else {origin or annotation}


def _number_widget(label: str, field: FieldInfo, value: float, whole: bool, shared: dict[str, Any]) -> float:
    bounds = {
        name: getattr(rule, name) for rule in field.metadata for name in ("ge", "le") if hasattr(rule, name)
    }
    least, most = bounds.get("ge"), bounds.get("le")
    if whole:
        return st.number_input(label, least, most, int(value), step=1, **shared)
    step = 0.05 if most == 1 else 10.0 ** math.floor(math.log10(value)) / 2 if value > 0 else 0.1
    least, most = (None if limit is None else float(limit) for limit in (least, most))
    return st.number_input(label, least, most, float(value), step=step, format="%g", **shared)


def _views_widget(value: Any, shared: dict[str, Any]) -> Any:
    """`mean` views an image, a threshold of the `score`, or the code's `search`."""
    shown = (
        "mean" if isinstance(value, MeanViews) else "search" if isinstance(value, SearchedViews) else "score"
    )
    ways = ["mean", "score", *(["search"] if shown == "search" else [])]
    way = st.session_state.get(f"{shared['key']}_way") or shown
    own = {**shared, "key": f"{shared['key']}_{way}"}
    entered: Any
    if way == "search":
        entered = _parsed(st.text_input("search for", _yaml(value), **own))
    elif way == "mean":
        entered = {
            "mean_views": st.number_input(
                "views an image",
                min_value=0.0,
                value=float(getattr(value, "mean_views", 10.0)),
                step=0.5,
                format="%g",
                **own,
            )
        }
    else:
        entered = st.number_input(
            "view threshold", 0.0, 1.0, value if shown == "score" else 0.5, step=0.05, format="%g", **own
        )
    st.segmented_control(
        "Views by",
        ways,
        default=shown,
        key=f"{shared['key']}_way",
        label_visibility="collapsed",
        persist_state="session",
        width="stretch",
    )
    return entered


def _yaml(value: Any) -> str:
    plain = (
        value.model_dump(mode="json")
        if isinstance(value, BaseModel)
        else str(value)
        if isinstance(value, Path)
        else value
    )
    return (
        yaml.safe_dump(plain, default_flow_style=True, allow_unicode=True, width=10_000)
        .removesuffix("\n...\n")
        .strip()
    )


def _parsed(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return _NotYaml("This is not YAML; write {} for nothing, or {name: value}.")
