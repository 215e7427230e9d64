"""A crop dragged over an image, and CLIP changing its mind (Fig. 1)."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from app import loaders
from app.figures_view_lab import class_colours, place_maps, sweep_curves
from app.image_routes import image_url
from app.opinions import all_known, asking, opinions
from app.view_cards import crops
from app.view_lab_component import view_lab
from app.widgets import current_run, friendly_errors, page_header, pick_image, require, show_figure
from ccd_core import view_sweeps
from ccd_core.bias import debias
from ccd_core.data.images import IMAGE_SUFFIXES, image_size, read_image
from ccd_core.errors import UserError
from ccd_core.runs import Run

SIDES, PLACES = (0.25, 0.4, 0.6, 0.8), 7  # crops that CLIP is asked about beforehand, beside the whole image
BARS, CURVES, STEPS, PICTURES = 10, 5, 13, 6
START, START_BOX = "0.3, 0.3, 0.7, 0.7", (0.3, 0.3, 0.7, 0.7)
CROP = "the crop"


def chosen_image(run: Run) -> tuple[Path, str, str, list[dict[str, Any]]] | None:
    """File, URL, name and true boxes of the image to look at; None while there is none."""
    source = st.segmented_control(
        "Image from", ["Data set", "Upload"], default="Data set", key="source", bind="query-params", label_visibility="collapsed"
    )
    if source != "Upload":
        image = pick_image(loaders.image_ids(run)[0])
        path = loaders.image_path(run, image)
        return path, image_url(run.name, image, 960), image, true_boxes(run, image, path)
    upload = st.file_uploader(
        "An image", [suffix[1:] for suffix in IMAGE_SUFFIXES], max_upload_size=20, key="lab_upload", help="Up to 20 MB; it stays on this machine."
    )
    if upload is None:
        st.info("Upload an image above. It is asked about with this run's classes.", icon=":material/upload:")
        loaders.wake_predictor(run)
        return None
    folder = Path(st.session_state.setdefault("upload_folder", tempfile.mkdtemp(prefix="ccd-")))
    path = folder / f"lab-{upload.file_id}{Path(upload.name).suffix.lower()}"
    if not path.exists():
        path.write_bytes(upload.getvalue())
    try:
        read_image(path, at_least=960)
    except UserError as error:
        raise UserError(str(error).replace(path.name, upload.name)) from None
    return path, loaders.data_url(path, 960), upload.name, []


def true_boxes(run: Run, image: str, path: Path) -> list[dict[str, Any]]:
    truth = loaders.image_truth(run, image)
    if truth is None or not len(truth[1]):
        return []
    scale = np.array([1 / side for side in image_size(path)] * 2)
    return [{"name": run.classes[c], "box": (np.array(box) * scale).clip(0, 1).round(4).tolist()} for c, box in truth[1]]


def set_crop(box: list[float]) -> None:
    st.session_state["crop"] = ", ".join(f"{side:.4g}" for side in box)


def set_class(name: str) -> None:
    st.session_state["class"] = name


@st.fragment
def laboratory(run: Run, path: Path, url: str, name: str, truth: list[dict[str, Any]]) -> None:
    with friendly_errors():
        bias = np.array([row["bias"] for row in run.load_bias()["classes"].values()], np.float32)

        def both(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return p, debias(p, bias, run.config.bias.floor)

        grids = [view_sweeps.grid(side, PLACES) for side in SIDES]
        every = np.concatenate([*grids, [view_sweeps.WHOLE]])
        ready = all_known(run, path, every)
        box = view_sweeps.parse_box(st.session_state.get("crop") or st.query_params.get("crop") or START) or START_BOX
        with st.spinner("Asking CLIP; the first time it takes a few seconds to start ...", show_time=True):
            p_whole, p_crop = opinions(run, path, np.array([view_sweeps.WHOLE, box]))
        p_grid = opinions(run, path, every) if ready else np.stack([p_whole, p_crop])

        classes = list(run.classes)
        if st.session_state.get("class") not in classes:
            st.session_state.pop("class", None)  # another page's "any class", or another run's
        asked = st.session_state.get("class") or st.query_params.get("class")
        order = np.argsort(-np.maximum(p_grid.max(0), p_whole), kind="stable")[:BARS].tolist()
        if asked in classes and classes.index(asked) not in order:
            order[-1] = classes.index(asked)
        colours = class_colours(len(order))
        view_lab(
            {
                "url": url, "alt": name, "crop": list(box), "truth": truth,
                "names": [classes[c] for c in order], "colours": colours, "chosen": order.index(classes.index(asked)) if asked in classes else 0,
                "whole": [form[order].round(4).tolist() for form in both(p_whole)],
                "exact": [form[order].round(4).tolist() for form in both(p_crop)], "exact_box": list(box),
                "sides": [*SIDES, 1.0], "grid": [blended(form[:, order]) for form in both(p_grid)] if ready else None,
            },
            key="lab", on_crop=set_crop, on_class=set_class,
        )  # fmt: skip
        if not ready:
            bar = st.progress(0.0, f"Asking CLIP about {len(every)} crops of this image, so that the bars follow the crop while it is dragged")
            for share in asking(run, path, every):
                bar.progress(share, f"Asking CLIP about {len(every)} crops of this image: {share:.0%}")
            st.rerun()
        left, right = st.columns([1, 1])
        cls = left.selectbox("Class", classes, order[0], key="class", bind="query-params")
        right.text_input("Crop: x0, y0, x1, y1 as shares of the image", START, key="crop", bind="query-params")
        st.subheader("CLIP's view dependence, seen", anchor=False)
        sweeps(run, path, box, truth, cls, both, dict(zip((classes[c] for c in order), colours, strict=True)), p_grid)


def blended(p: np.ndarray) -> list:
    """[S + 1][P][P][K] of the probabilities [S P P + 1, K] of the grids and, last, the whole image."""
    grids = p[:-1].reshape(len(SIDES), PLACES, PLACES, -1).round(3).tolist()
    return [*grids, [[p[-1].round(3).tolist()]]]


def sweeps(run: Run, path: Path, crop: tuple, truth: list[dict[str, Any]], cls: str, both, colours: dict[str, str], p_grid: np.ndarray) -> None:
    classes, index = list(run.classes), run.classes.index(cls)
    places = {CROP: crop} | {f"{t['name']} {number}" if truth else t["name"]: tuple(t["box"]) for number, t in enumerate(truth, 1)}
    if not truth:
        places |= cam_boxes(run, path)
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    first = list(places)[1] if truth else CROP
    if st.session_state.get("around") not in places:
        st.session_state.pop("around", None)  # an object of another image
    around = (
        left.pills(
            "Sweep around",
            list(places),
            default=first,
            key="around",
            bind="query-params",
            help="True boxes where there are any, else the boxes of the classifier's maps.",
        )
        or first
    )
    form = int(right.toggle("After debiasing", key="debiased", bind="query-params"))
    box = places.get(around, crop)

    growing, moving = view_sweeps.growing(box, STEPS), view_sweeps.across(box, STEPS)
    p_growing, p_moving = (both(opinions(run, path, boxes))[form] for boxes in (growing, moving))
    left, right = st.columns(2, gap="large")
    for column, boxes, p, title, key in (
        (left, growing, p_growing, "area of the crop, % of the image", "sweep_size"),
        (right, moving, p_moving, "middle of the crop from left to right, % of the image", "sweep_place"),
    ):
        area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        x = 100 * (area if key == "sweep_size" else (boxes[:, 0] + boxes[:, 2]) / 2)
        shown = [c for c in np.argsort(-p.max(0), kind="stable")[:CURVES].tolist() if c != index]
        curves = {classes[c]: p[:, c] for c in [index, *shown][:CURVES]}
        spots = np.linspace(0, STEPS - 1, PICTURES).round().astype(int)
        pictures = crops(str(path), tuple(tuple(boxes[i].tolist()) for i in spots), path.stat().st_mtime_ns)
        with column:
            st.markdown(
                f"**From {around} to the whole image**" if key == "sweep_size" else f"**{around[0].upper()}{around[1:]}, moved from left to right**"
            )
            show_figure(
                sweep_curves(x, curves, palette(curves, colours), title, cls, list(zip(np.linspace(x[0], x[-1], PICTURES), pictures, strict=True))),
                key=key,
            )
    st.markdown(f"**Where would CLIP see {cls}?**")
    p = both(p_grid)[form]
    (whole,) = crops(str(path), (view_sweeps.WHOLE,), path.stat().st_mtime_ns)
    width, height = image_size(path)
    show_figure(place_maps(SIDES, list(p[:-1, index].reshape(len(SIDES), PLACES, PLACES)), cls, whole, width / height), key="place_maps")
    st.caption(
        f"Each map is the image; its colour is CLIP's probability of {cls} for a crop around that point. Were CLIP's opinion independent of the view, every map would be one colour. "
        f"CLIP was asked about {len(p_grid)} crops; maps, and bars while the crop is dragged, are blended from these. Curves and the bars of a crop at rest are CLIP's own answers."
    )


def palette(curves: dict[str, np.ndarray], colours: dict[str, str]) -> dict[str, str]:
    """A class keeps its bar's colour where it has one; those that share a colour or have none get what is left."""
    free = [colour for colour in class_colours(6) if colour not in {colours.get(name) for name in curves}]
    taken: dict[str, str] = {}
    for name in curves:
        colour = colours.get(name)
        taken[name] = colour if colour and colour not in taken.values() else free.pop() if free else class_colours(7)[-1]
    return taken


def cam_boxes(run: Run, path: Path) -> dict[str, tuple]:
    """The local views that the classifier would ask for: around the maps of its three surest classes."""
    answer = loaders.explain(str(run.path), str(path), (run.config.views.cam_threshold,))
    frame, offset, found = answer["frame"], run.config.views.offset, {}
    for c in np.argsort(-np.array(answer["scores"]))[:3]:
        if box := answer["boxes"][c][0]:
            grown = [max(0, box[0] - offset), max(0, box[1] - offset), min(frame, box[2] + offset), min(frame, box[3] + offset)]
            found[f"CAM view of {run.classes[c]}"] = tuple(round(side / frame, 4) for side in grown)
    return found


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
