"""A crop dragged over an image, and CLIP changing its mind (Fig. 1)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from app.components.view_lab import view_lab
from app.figures.view_lab import class_colours
from app.parts.view_lab import PLACES, Both, filling, levels, maps_panel, pick_sweep, stages, sweep_panel
from app.reading import ground_truth as datasets
from app.reading import runs as loaders
from app.reading.clip_queue import ask, asked_about, key, known
from app.reading.labels import debiasing
from app.reading.uploads import MEGABYTES, keep_uploads
from app.routes import image_url
from app.widgets import current_run, friendly_errors, page_header, pick_class, pick_image, require
from ccd_core.data.images import IMAGE_SUFFIXES, image_size, read_image
from ccd_core.errors import UserError
from ccd_core.explore import view_sweeps
from ccd_core.runs.run import Run

BARS = 10
START, START_BOX = "0.3, 0.3, 0.7, 0.7", (0.3, 0.3, 0.7, 0.7)


def chosen_image(run: Run) -> tuple[Path, str, str, list[dict[str, Any]]] | None:
    """File, URL, name and true boxes of the image to look at; None while there is none."""
    source = st.segmented_control(
        "Image from",
        ["Data set", "Upload"],
        default="Data set",
        key="source",
        bind="query-params",
        label_visibility="collapsed",
    )
    if source != "Upload":
        image = pick_image(*loaders.image_ids(run))
        assert image is not None  # no run is without images
        path = loaders.image_path(run, image)
        return path, image_url(run.name, image, 960), image, true_boxes(run, image, path)
    kinds, limit = (
        [suffix[1:] for suffix in IMAGE_SUFFIXES],
        f"Up to {MEGABYTES} MB; it stays on this machine.",
    )
    upload = st.file_uploader("An image", kinds, max_upload_size=MEGABYTES, key="lab_upload", help=limit)
    if upload is None:
        st.info("Upload an image above. It is asked about with this run's classes.", icon=":material/upload:")
        loaders.wake_predictor(run)
        return None
    path = keep_uploads([upload])[upload.name]
    try:
        read_image(path, at_least=960)
    except UserError as error:
        raise UserError(str(error).replace(path.name, upload.name)) from None
    return path, loaders.data_url(path, 960), upload.name, []


def true_boxes(run: Run, image: str, path: Path) -> list[dict[str, Any]]:
    truth = datasets.image_truth(run, image)
    if truth is None or not len(truth[1]):
        return []
    scale = np.array([1 / side for side in image_size(path)] * 2)
    return [
        {"name": run.classes[c], "box": (np.array(box) * scale).clip(0, 1).round(4).tolist()}
        for c, box in truth[1]
    ]


def set_crop(box: list[float]) -> None:
    st.session_state["crop"] = ", ".join(f"{side:.4g}" for side in box)


def set_class(name: str) -> None:
    st.session_state["class"] = name


def set_toggles(debiased: bool, heat: bool) -> None:
    st.session_state["debiased"] = debiased
    if heat:
        st.query_params["heat"] = "true"
    else:
        st.query_params.pop("heat", None)


def set_out_anew(run: Run, path: Path) -> None:
    asked_about(run, path).error = ""


@st.fragment
@friendly_errors()
def laboratory(run: Run, path: Path, url: str, name: str, truth: list[dict[str, Any]]) -> None:
    """The image with its crop, what CLIP says of it and of crops elsewhere: whatever is known by now. The rest is asked on the side."""
    debiased = debiasing(run)

    def both(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return p, debiased(p)

    box = (
        view_sweeps.parse_box(st.session_state.get("crop") or st.query_params.get("crop") or START)
        or START_BOX
    )
    own = np.array([view_sweeps.WHOLE, box])
    ask(run, path, own)
    drawn = frozenset(asked_about(run, path).said)
    (p_whole, p_crop), found = known(run, path, own), levels(run, path)

    classes = list(run.classes)
    awake = not np.isnan(p_whole).any()
    first = int(p_whole.argmax()) if awake else None
    asked = chosen_class(classes, first)
    order = strongest(p_whole, p_crop, found, asked)
    colours = class_colours(len(order))
    view_lab(
        {
            "url": url, "alt": name, "crop": list(box), "truth": truth, "failed": bool(asked_about(run, path).error),
            "names": [classes[c] for c in order], "colours": colours, "chosen": -1 if asked is None else order.index(asked),
            "whole": as_lists(both(p_whole), order), "exact": as_lists(both(p_crop), order), "exact_box": list(box),
            "sides": [*PLACES, 1.0], "grid": blended(p_whole, found, order, both), "fine": is_fine(found),
            "heat": st.query_params.get("heat") == "true",
            "debiased": st.session_state.get("debiased", st.query_params.get("debiased") == "true"),
        },
        key="lab", on_crop=set_crop, on_class=set_class, on_toggles=set_toggles,
    )  # fmt: skip
    progress = st.container()
    left, right = st.columns([1, 1])
    otherwise = (
        "What CLIP says first of the whole image" if first is None else f"{classes[first]}, CLIP's first"
    )
    cls = pick_class(run, "Class", otherwise, left, disabled=not awake) or (
        None if first is None else classes[first]
    )
    right.text_input("Crop: x0, y0, x1, y1 as shares of the image", START, key="crop", bind="query-params")
    st.header("CLIP's view dependence, seen", anchor=False)
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    with left:
        sweep = pick_sweep(run, path, box, truth, awake)
    said = {
        "none": "This run's labels are not debiased: both are the same.",
        "constant": "This run divides every class by the same number.",
    }
    form = int(
        right.toggle(
            "After debiasing", key="debiased", bind="query-params", help=said.get(run.config.bias.mode)
        )
    )
    sweep_panel(
        run, path, sweep, cls, form, both, dict(zip((classes[c] for c in order), colours, strict=True))
    )
    maps_panel(run, path, found, cls, form, both)
    with progress:
        wanted = stages(own, sweep)
        if error := asked_about(run, path).error:
            st.error(error)
            st.button("Try again", icon=":material/refresh:", on_click=set_out_anew, args=(run, path))
        elif not drawn.issuperset(
            map(key, np.concatenate(wanted))
        ):  # what has come since is not on the page yet
            filling(run, path, wanted, drawn)
        else:
            st.caption(
                f"CLIP was asked about {len(np.unique(np.concatenate(wanted), axis=0))} crops of this image."
            )


def chosen_class(classes: list[str], first: int | None) -> int | None:
    """The class that the person chose or the link names, else what CLIP says first of the whole image, None while it has not."""
    asked = st.session_state.get("class") or st.query_params.get("class")
    return classes.index(asked) if asked in classes else first


def strongest(
    p_whole: np.ndarray, p_crop: np.ndarray, found: list[np.ndarray | None], asked: int | None
) -> list[int]:
    """The classes that get a bar: those that CLIP sees most of anywhere, and the one asked for. Only the first maps reorder them, not finer ones."""
    seen = [p_whole[None], p_crop[None]]
    maps = [level for level in found if level is not None]
    if len(maps) == len(found):
        for level, places in zip(maps, PLACES.values(), strict=True):
            step = 2 if len(level) == places else 1
            seen.append(level[::step, ::step].reshape(-1, level.shape[-1]))
    most = np.nan_to_num(np.concatenate(seen)).max(0)
    order = np.argsort(-most, kind="stable")[:BARS].tolist()
    if asked is not None and asked not in order:
        order[-1] = asked
    return order


def is_fine(found: list[np.ndarray | None]) -> bool:
    return all(
        level is not None and len(level) == places
        for level, places in zip(found, PLACES.values(), strict=True)
    )


def as_lists(forms: tuple[np.ndarray, np.ndarray], order: list[int]) -> list | None:
    """[2][K] for the component; None while CLIP has not said."""
    return None if np.isnan(forms[0]).any() else [form[order].round(4).tolist() for form in forms]


def blended(p_whole: np.ndarray, found: list[np.ndarray | None], order: list[int], both: Both) -> list | None:
    """[2][S + 1][P][P][K], the whole image last; None while a size of crop has no map yet."""
    grids = [grid for grid in (*found, p_whole[None, None]) if grid is not None and not np.isnan(grid).any()]
    if len(grids) <= len(found):
        return None
    return [[both(grid)[form][..., order].round(3).tolist() for grid in grids] for form in (0, 1)]


run = current_run()
page_header(
    "View lab",
    "How much does CLIP's opinion depend on where it looks? Drag the crop and watch.",
    "CLIP compares a picture with the class names and spreads one unit of probability over them. Shift or enlarge the crop a little and another object comes to the fore: what CLIP "
    "says of a whole image is one view among many. This is why CCD asks again about local views, and keeps each class's strongest answer. Crops are cut as the run cuts its views.",
    r"p_c(x) = \frac{\exp(\langle f(x), g_c \rangle / \tau)}{\sum_{k} \exp(\langle f(x), g_k \rangle / \tau)}, \qquad p^{local}_c = \max_v\, p_c(\mathrm{crop}_v(x))",
)
require(run, "global.npz", "global probabilities")
require(run, "checkpoints/best.safetensors", "trained classifier")
with friendly_errors():
    found = chosen_image(run)
    if found is not None:
        laboratory(run, *found)
