"""What the page Predict works on: folders that may be read, and predictions remembered by content."""

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

from app.reading import runs
from app.reading.asking.predictor import MODEL_FILES, STARTING, predict
from app.reading.cached import cached_by
from app.reading.ground_truth import find_image
from app.reading.readable_folders import UPLOADS, data_folders, permitted, readable_folders, workspace
from ccd_core.data.kinds.folder import find_images
from ccd_core.errors import UserError
from ccd_core.evaluation import thresholds
from ccd_core.runs.run import Run

MOST_IN_FOLDER = 3000
CHUNK = 32  # images asked for between two signs of progress
REMEMBERED = 100_000  # predictions a run


def images_in(run: Run, folder: str) -> dict[str, Path]:
    """Name -> file of the images in `folder` and below.

    Raises UserError for a folder that is not there, not allowed, or too large.
    """
    path = permitted(folder, data_folders(run))
    try:
        if not path.is_dir():
            raise UserError(f"There is no folder {folder}.")
        os.scandir(path).close()  # the search passes over a folder that may not be entered
    except OSError as error:
        raise UserError(
            f"{folder} cannot be read: {error.strerror}. "
            "Choose another folder, or open it to the user of this app."
        ) from None
    names = find_images(path)
    if readable_folders() is not None:  # nor may links lead out, where others reach the app
        uploads = workspace() / UPLOADS
        real = {name: (path / name).resolve() for name in names}
        names = [
            name
            for name in names
            if real[name].is_relative_to(path) and not real[name].is_relative_to(uploads)
        ]
    if not names:
        raise UserError(f"There are no images in {folder}.")
    if len(names) > MOST_IN_FOLDER:
        command = shlex.join(["ccd", "predict", str(run.path), str(path), "--csv", "predicted.csv"])
        raise UserError(
            f"{folder} has {len(names):,} images, more than the {MOST_IN_FOLDER:,} of a page; "
            f"use `{command}`."
        )
    return {name: path / name for name in names}


@cached_by("scores/{split}.npz", data_set=True, copied=True, max_entries=32)
def _examples(run: Run, split: str, most: int) -> list[str]:
    arrays = runs.scores(run, split)
    ids = arrays["ids"]
    labels = (arrays["scores"] >= thresholds.DEFAULT).sum(1)
    # Those with more than one thing in them, spread over the split.
    several = np.argsort(-labels, kind="stable")[: max(most, len(ids) // 4)]
    spread = several[np.linspace(0, len(several) - 1, min(most, len(several))).astype(int)]
    found = [str(image) for image in ids[np.sort(spread)]]
    return [image for image in found if (place := find_image(run, image)) and place.is_file()]


def examples(run: Run, most: int = 8) -> list[str]:
    """Ids of some images of the run's data set, from validation where it has any.

    None of them where the images are not on this machine.
    """
    split = next((split for split in ("val", "train") if run.has("scores", f"{split}.npz")), None)
    if split is None:
        return []
    try:
        return _examples(run, split, most)
    except UserError:
        return []


@dataclass(frozen=True)
class Predicted:
    """Name, file and scores [C] of an image, and whether it is unlike the training images."""

    name: str
    path: Path
    scores: np.ndarray
    unlike: bool = False


@cached_by(*MODEL_FILES, max_entries=4)
def _remembered(run: Run) -> dict[str, tuple[np.ndarray, bool] | str]:
    """Content -> scores and whether it is unlike the training images, or what is wrong with the file.

    Of one version of a run's model.
    """
    return {}


@cached_by(copied=True, max_entries=20_000)
def _content(path: Path, size: int) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()


def _content_of(path: Path) -> str:
    """What tells one file's content from another's."""
    try:
        return _content(path, path.stat().st_size)
    except OSError:
        return f"unreadable {path}"


def predict_all(run: Run, images: dict[str, Path]) -> tuple[list[Predicted], list[str]]:
    """Predictions in order, and a sentence for each unusable file.

    What is not known yet is asked in chunks, with a bar and the time left. Nothing is lost when somebody
    leaves
    the page or touches a widget meanwhile: the next rerun goes on where this one was.
    """
    known = _remembered(run)
    if len(known) > REMEMBERED:
        known.clear()
    contents = {name: _content_of(path) for name, path in images.items()}
    _ask_for({content: images[name] for name, content in contents.items() if content not in known}, run)
    good: list[Predicted] = []
    bad: list[str] = []
    for name, path in images.items():
        found = known[contents[name]]
        if isinstance(found, str):
            bad.append(found.replace(str(path), name).replace(path.name, name))
        else:
            good.append(Predicted(name, path, *found))
    return good, bad


def _ask_for(unknown: dict[str, Path], run: Run) -> None:
    """Ask the predictor about the files (content -> file) and remember what it says."""
    waiting = list(unknown.items())
    if not waiting:
        return
    known = _remembered(run)
    bar = st.progress(0.0, STARTING)
    began = time.time()
    for begin in range(0, len(waiting), CHUNK):
        chunk = waiting[begin : begin + CHUNK]
        answer = predict(run, [path for _, path in chunk])
        for (content, path), scores, unlike in zip(chunk, answer["scores"], answer["unlike"], strict=True):
            known[content] = (
                answer["errors"][str(path)] if scores is None else (np.array(scores, np.float32), unlike)
            )
        done = begin + len(chunk)
        left = (time.time() - began) / done * (len(waiting) - done)
        bar.progress(done / len(waiting), f"{done:,} of {len(waiting):,} images, {left:.0f} s left")
    bar.empty()


# -- thresholds of classes in the link -----------------------------------------------------------------


def steps(values: Sequence[float] | np.ndarray) -> list[float]:
    """Thresholds as sliders take them: hundredths from 0 to 1."""
    return np.clip(values, 0, 1).round(2).tolist()


def link_of_thresholds(values: Sequence[float], usual: Sequence[float]) -> str:
    """The thresholds that are not the usual ones, as "2:0.35,7:0.6": class index and threshold."""
    return ",".join(
        f"{i}:{value:g}"
        for i, (value, other) in enumerate(zip(values, usual, strict=True))
        if abs(value - other) > 1e-6
    )


def thresholds_of_link(text: str, classes: int) -> dict[int, float]:
    """Class index -> threshold of what `link_of_thresholds` wrote; malformed entries are ignored."""
    found = {}
    for part in text.split(","):
        index, _, value = part.partition(":")
        try:
            i = int(index)
            threshold = float(value)
        except ValueError:
            continue
        if 0 <= i < classes and 0 <= threshold <= 1:
            found[i] = round(threshold, 2)
    return found
