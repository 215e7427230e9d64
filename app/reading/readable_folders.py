"""Which folders of this machine the app reads for a person who types a path into a page.

On 127.0.0.1 that person is the user of this machine and may name whatever that user can read. An app that
others reach reads its workspace and the folders that `ccd app --data DIR` names, with links resolved.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

import streamlit as st

from app.reading.runs import workspace
from ccd_core.config import CCDConfig
from ccd_core.errors import UserError

LOCAL = ("127.0.0.1", "localhost", "::1")


def readable_folders() -> list[Path] | None:
    """The folders that may be read, or None where any may be.

    `ccd app` says with CCD_SHARED that a proxy lets others in.
    """
    if st.get_option("server.address") in LOCAL and not os.environ.get("CCD_SHARED"):
        return None
    named = [Path(folder).resolve() for folder in os.environ.get("CCD_DATA", "").split(os.pathsep) if folder]
    return [workspace(), *named]


def permitted(path: str | Path, also: Iterable[Path] = ()) -> Path:
    """`path` with ~ and links resolved. Raises UserError outside of the readable folders and `also`."""
    try:
        real = Path(path).expanduser().resolve()
        allowed = readable_folders()
        inside = allowed is None or any(
            real.is_relative_to(root.expanduser().resolve()) for root in [*allowed, *also]
        )
    except (OSError, RuntimeError, ValueError):  # a loop of links, nobody's ~home, a NUL
        raise UserError(f"{str(path)!r} is no path.") from None
    if not inside:
        raise UserError(
            f"{path} is not open to this app, which others can reach; "
            f"start it with `ccd app --data {shlex.quote(str(path))}` to open it."
        )
    return real


def refusals(config: CCDConfig) -> dict[str, str]:
    """Setting -> why its path may not be read, of all settings that name one."""
    found = {}
    for name, path in _paths(config):
        try:
            permitted(path)
        except UserError as error:
            found[name] = str(error)
    return found


def _paths(config: CCDConfig) -> Iterator[tuple[str, str]]:
    """(setting, file or folder) of all settings that name one.

    Names of models of open_clip, torchvision, timm and the hub are not paths.
    """
    if place := config.data.spec.partition(":")[2]:
        yield "data.spec", place
    if config.data.classes:
        yield "data.classes", str(config.data.classes)
    if config.clip.model.startswith("local-dir:"):
        yield "clip.model", config.clip.model.removeprefix("local-dir:")
    tag = config.clip.pretrained or ""
    if Path(tag).suffix or "/" in tag or os.path.lexists(tag):
        yield "clip.pretrained", tag
    if config.classifier.weights not in (None, "imagenet"):
        yield "classifier.weights", str(config.classifier.weights)
