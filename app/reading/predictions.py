"""What the page Predict works on: folders that may be read, and predictions kept by content."""

from __future__ import annotations

import hashlib
import os
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st

from app.reading import ground_truth as datasets
from app.reading import readable_folders as roots
from app.reading import runs as loaders
from ccd_core.data.folder import find_images
from ccd_core.errors import UserError
from ccd_core.evaluation import thresholds
from ccd_core.runs.run import Run

MOST = 300  # uploads at once
SLIDERS = 60  # thresholds of classes on the page at once; the others are found by name
MOST_IN_FOLDER = 3000
CHUNK = 32  # images asked for between two signs of progress
KEPT = 100_000  # predictions remembered a run


def dataset_folder(run: Run) -> list[Path]:
    """Where the run's own images are, for which nobody has to be asked."""
    place = run.config.data.spec.partition(":")[2]
    return [Path(place)] if place else []


def images_in(run: Run, folder: str) -> dict[str, Path]:
    """Name -> file of the images in `folder` and below. Raises UserError for a folder that is not there, not allowed, or too large."""
    path = roots.permitted(folder, dataset_folder(run))
    try:
        if not path.is_dir():
            raise UserError(f"There is no folder {folder}.")
        os.scandir(path).close()  # the search passes over a folder that may not be entered
    except OSError as error:
        raise UserError(
            f"{folder} cannot be read: {error.strerror}. Choose another folder, or open it to the user of this app."
        ) from None
    names = find_images(path)
    if roots.roots() is not None:  # nor may links lead out, where others reach the app
        names = [name for name in names if (path / name).resolve().is_relative_to(path)]
    if not names:
        raise UserError(f"There are no images in {folder}.")
    if len(names) > MOST_IN_FOLDER:
        command = shlex.join(["ccd", "predict", str(run.path), str(path), "--csv", "predicted.csv"])
        raise UserError(
            f"{folder} has {len(names):,} images, more than the {MOST_IN_FOLDER:,} of a page; use `{command}`."
        )
    return {name: path / name for name in names}


@st.cache_data(max_entries=32, show_spinner=False)
def _examples(path: str, data: datasets.Key, split: str, written: float, most: int, _run: Run) -> list[str]:
    arrays = loaders.scores(_run, split)
    ids, scores = arrays["ids"], arrays["scores"]
    several = np.argsort(-(scores >= thresholds.DEFAULT).sum(1), kind="stable")[
        : max(most, len(ids) // 4)
    ]  # those with more than one thing in them
    spread = several[np.linspace(0, len(several) - 1, min(most, len(several))).astype(int)]
    found = [str(image) for image in ids[np.sort(spread)]]
    return [image for image in found if (place := datasets.find_image(_run, image)) and place.is_file()]


def examples(run: Run, most: int = 8) -> list[str]:
    """Ids of some images of the run's data set, from validation where it has any; none where they are not on this machine."""
    split = next((split for split in ("val", "train") if run.has("scores", f"{split}.npz")), None)
    if split is None:
        return []
    try:
        return _examples(
            str(run.path),
            datasets.key(run),
            split,
            run.file("scores", f"{split}.npz").stat().st_mtime,
            most,
            run,
        )
    except UserError:
        return []


@dataclass(frozen=True)
class Predicted:
    """Name, file and scores [C] of an image."""

    name: str
    path: Path
    scores: np.ndarray


@st.cache_resource(max_entries=4, show_spinner=False)
def _remembered(model: loaders.Model) -> dict[str, np.ndarray | str]:
    """Content -> scores, or what is wrong with the file; of one version of a run's model."""
    return {}


@st.cache_data(max_entries=20_000, show_spinner=False)
def _content(path: str, changed: int, size: int) -> str:
    return hashlib.blake2b(Path(path).read_bytes(), digest_size=16).hexdigest()


def _key(path: Path) -> str:
    try:
        status = path.stat()
        return _content(str(path), status.st_mtime_ns, status.st_size)
    except OSError:
        return f"unreadable {path}"


def predict_all(run: Run, images: dict[str, Path]) -> tuple[list[Predicted], list[str]]:
    """Predictions in order, and a sentence for each unusable file; what is not yet known is asked in chunks, with a bar and the time left.

    Whoever leaves the page or touches a widget meanwhile loses nothing: the next rerun goes on where this one was.
    """
    known = _remembered(loaders.model_key(run))
    if len(known) > KEPT:
        known.clear()
    keys = {name: _key(path) for name, path in images.items()}
    unknown = {key: images[name] for name, key in keys.items() if key not in known}
    waiting = list(unknown.items())
    if waiting:
        bar, began = (
            st.progress(0.0, "Asking the model; the first time it takes a few seconds to start ..."),
            time.time(),
        )
        for begin in range(0, len(waiting), CHUNK):
            chunk = waiting[begin : begin + CHUNK]
            answer = loaders.predict(run, [path for _, path in chunk])
            for (key, path), scores in zip(chunk, answer["scores"], strict=True):
                known[key] = (
                    np.array(scores, np.float32) if scores is not None else answer["errors"][str(path)]
                )
            done = begin + len(chunk)
            left = (time.time() - began) / done * (len(waiting) - done)
            bar.progress(done / len(waiting), f"{done:,} of {len(waiting):,} images, {left:.0f} s left")
        bar.empty()
    good: list[Predicted] = []
    bad: list[str] = []
    for name, path in images.items():
        found = known[keys[name]]
        if isinstance(found, str):
            bad.append(found.replace(str(path), name).replace(path.name, name))
        else:
            good.append(Predicted(name, path, found))
    return good, bad


def steps(values: Sequence[float] | np.ndarray) -> list[float]:
    """Thresholds as sliders take them: hundredths from 0 to 1."""
    return np.clip(values, 0, 1).round(2).tolist()


def link_of_thresholds(values: Sequence[float], usual: Sequence[float]) -> str:
    """Those of the classes' thresholds that are not the usual ones, as "2:0.35,7:0.6": class index and threshold."""
    return ",".join(
        f"{i}:{value:g}"
        for i, (value, other) in enumerate(zip(values, usual, strict=True))
        if abs(value - other) > 1e-6
    )


def thresholds_of_link(text: str, classes: int) -> dict[int, float]:
    """Class index -> threshold of what `link_of_thresholds` wrote; what is none is left out."""
    found = {}
    for part in text.split(","):
        index, _, value = part.partition(":")
        try:
            i, threshold = int(index), float(value)
        except ValueError:
            continue
        if 0 <= i < classes and 0 <= threshold <= 1:
            found[i] = round(threshold, 2)
    return found
