"""One way to cache what pages read: under the time at which its files were changed.

People add photos, edit labels and train runs on while the app is open. A cached value is therefore kept under
the times of the files that it was read from, and read again when one of them changes.

Large arrays are shared between sessions and reruns and must not be written to. A copy of a 50,000 x 80 array
at every move of a slider would cost more than what is done with it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec, Protocol, TypeVar, cast

import streamlit as st

from app.reading.readable_folders import paths_to_ask_about
from ccd_core.errors import UserError
from ccd_core.runs.run import Run

NOT_OPENED = (-1,)
P = ParamSpec("P")
R = TypeVar("R", covariant=True)


def mtime_ns(path: Path) -> int:
    """When a file or folder was changed, in nanoseconds; 0 where it is not there."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


class DataKey(NamedTuple):
    """A data set as its files are now. What is cached of a data set is cached under this."""

    spec: str
    classes: str | None  # file of class names
    changed: tuple[int, ...]  # `mtime_ns` of what a person edits in it

    @classmethod
    def of(cls, spec: str, classes: Path | str | None) -> DataKey:
        """The key of a data set. New images in folders below its own do not change it."""
        place = spec.partition(":")[2]
        root = Path(place).expanduser()
        watched = [
            root,
            root / "classes.txt",
            root / "labels.csv",
            root / "annotations",
            root / "ImageSets/Main",
            *([Path(classes)] if classes else []),
        ]
        changed = tuple(mtime_ns(path) for path in watched) if place else ()
        return cls(spec, str(classes) if classes else None, changed)


def data_key(run: Run) -> DataKey:
    """The key of a run's data set; `NOT_OPENED` stands for the times of one that may not be looked at."""
    asked = dict(paths_to_ask_about(run))
    if "data.spec" in asked or "data.classes" in asked:
        classes = run.config.data.classes
        return DataKey(run.config.data.spec, str(classes) if classes else None, NOT_OPENED)
    return DataKey.of(run.config.data.spec, run.config.data.classes)


class CachedFunction(Protocol[P, R]):
    """A function that remembers what it returned, until `clear` is called."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...
    def clear(self) -> None: ...


def cached_by(
    *files: str, max_entries: int, data_set: bool = False, copied: bool = False, **options: Any
) -> Callable[[Callable[P, R]], CachedFunction[P, R]]:
    """Cache a function under its arguments and the times of the files that it reads.

    @cached_by("scores/{split}.npz", max_entries=4)
    def scores(run: Run, split: str) -> dict[str, np.ndarray]: ...

    files: files of the Run among the arguments; a name in braces is the argument of that name.
    data_set: whether the value also depends on the run's data set, whose ground truth may change.
    copied: each caller gets a copy of its own instead of the one object that all sessions share.
    options: further options of `st.cache_resource` or `st.cache_data`, such as show_spinner.

    A Path among the arguments counts with its time of change. An argument whose name begins with an
    underscore does not count. Raises UserError where the run is gone.
    """
    store = st.cache_data if copied else st.cache_resource

    def decorate(function: Callable[P, R]) -> CachedFunction[P, R]:
        signature = inspect.signature(function)

        def compute(key: tuple[Any, ...], _arguments: tuple[Any, ...]) -> R:
            return cast(Callable[..., R], function)(*_arguments)

        compute.__module__ = function.__module__
        compute.__qualname__ = function.__qualname__  # Streamlit tells caches apart by these two names
        stored = store(max_entries=max_entries, **({"show_spinner": False} | options))(compute)

        @functools.wraps(function)
        def cached(*args: P.args, **kwargs: P.kwargs) -> R:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            key = [_key(value) for name, value in bound.arguments.items() if not name.startswith("_")]
            if files or data_set:
                run = next(value for value in bound.args if isinstance(value, Run))
                key += _times(run, [file.format_map(bound.arguments) for file in files])
                if data_set:
                    key.append(data_key(run))
            return stored(tuple(key), bound.args)

        cached.clear = stored.clear  # type: ignore[attr-defined]
        return cast(CachedFunction[P, R], cached)

    return decorate


def _times(run: Run, files: list[str]) -> list[int]:
    """When files of a run were changed. Raises UserError where the run is gone."""
    times = [mtime_ns(run.file(*file.split("/"))) for file in files]
    if 0 in times and not run.path.exists():
        raise UserError(f"{run.path} is gone: the run was deleted or moved. Choose another run.")
    return times


def _key(argument: Any) -> Any:
    """What stands for an argument in the key of its cache."""
    if isinstance(argument, Run):
        return str(argument.path)
    if isinstance(argument, Path):
        return str(argument), mtime_ns(argument)
    return tuple(argument) if isinstance(argument, list) else argument
