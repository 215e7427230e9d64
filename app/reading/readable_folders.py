"""Which folders of this machine the app reads for a person who types a path into a page.

On 127.0.0.1 that person is the user of this machine and may name whatever that user can read. An app that
others reach reads its workspace and the folders that `ccd app --data DIR` names, with links resolved.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from pathlib import Path

import streamlit as st

from ccd_core.config import CCDConfig
from ccd_core.errors import UserError
from ccd_core.runs.known_paths import made_here, unknown_paths
from ccd_core.runs.run import Run

UPLOADS = ".uploads"  # in the workspace; see uploads.py
LOCAL = ("127.0.0.1", "localhost", "::1")


def workspace() -> Path:
    """The folder whose runs the app shows and in which it starts new ones ($CCD_RUNS)."""
    return Path(os.environ.get("CCD_RUNS", "runs")).resolve()


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
        uploads = real.is_relative_to(workspace() / UPLOADS)
    except (OSError, RuntimeError, ValueError):  # a loop of links, nobody's ~home, a NUL
        raise UserError(f"{str(path)!r} is no path.") from None
    if uploads and allowed is not None:
        raise UserError(f"{path} holds what people have uploaded, each for themselves.")
    if not inside:
        raise UserError(
            f"{path} is not open to this app, which others can reach; "
            f"start it with `ccd app --data {shlex.quote(str(path))}` to open it."
        )
    return real


def permitted_tree(path: str | Path) -> Path:
    """As `permitted`, for a folder of which everything is read, or a file.

    Raises UserError, too, where a link in it leads out of the readable folders, or it holds uploads.
    """
    real = permitted(path)
    allowed = readable_folders()
    if allowed is None:
        return real
    if (workspace() / UPLOADS).is_relative_to(real):
        raise UserError(f"{path} holds what people have uploaded, each for themselves; name a folder in it.")
    if link := _link_out(str(real), tuple(map(str, allowed))):
        raise UserError(
            f"{link} is a link that leads out of what is open to this app, which others reach; remove it, "
            "or start the app with `ccd app --data DIR` and the folder that it leads to."
        )
    return real


@st.cache_data(ttl=30, max_entries=32, show_spinner=False)
def _link_out(folder: str, allowed: tuple[str, ...]) -> str | None:
    """A link in `folder` or below that leads out of the folders `allowed`, if there is one."""
    for place, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(place, name)
            if os.path.islink(path) and not any(
                Path(path).resolve().is_relative_to(root) for root in allowed
            ):
                return path
    return None


def refusals(config: CCDConfig) -> dict[str, str]:
    """Setting -> why its path may not be read, of all settings that name one."""
    found = {}
    for name, path in config.named_paths():
        try:
            permitted_tree(path) if name.startswith("data.") else permitted(path)
        except UserError as error:
            found[name] = str(error)
    return found


def data_folders(run: Run) -> list[Path]:
    """Where the run's own images are; nothing of a data set that is not opened unasked."""
    if "data.spec" in dict(paths_to_ask_about(run)):
        return []
    named = [Path(path).expanduser() for name, path in run.config.named_paths() if name == "data.spec"]
    return [path if path.is_dir() else path.parent for path in named]


def paths_to_ask_about(run: Run, config: CCDConfig | None = None) -> list[tuple[str, str]]:
    """(setting, path) of all paths in a run's settings that are not opened unasked.

    config: the settings where they are not the run's own, but were changed by a link.
    """
    shared = readable_folders()
    asked = unknown_paths(config or run.config, [run.path, *(shared or [workspace()])])
    if config is None and shared is None and asked and made_here(run.path, run.recorded):
        return [(name, path) for name, path in asked if not name.startswith("data.")]
    return asked


def refuse_unknown(run: Run, *settings: str) -> None:
    """Raises UserError where one of these settings of the run names a path that is not opened unasked."""
    asked = paths_to_ask_about(run)
    if found := [f"{name} {path}" for name, path in asked if name in settings]:
        raise UserError(
            f"Run {run.name} names what was not used on this machine before ({', '.join(found)}); choose the "
            "run on the left, and say at the top of the page that it may be opened."
        )
