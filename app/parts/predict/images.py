"""Page Predict: the images to label, uploaded, in a folder, or some of the run's own to try."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Literal

import streamlit as st

from app import state
from app.components.gallery import gallery
from app.reading.asking.predictions import examples, images_in
from app.reading.asking.predictor import wake_predictor
from app.reading.ground_truth import find_image
from app.reading.images import image_path
from app.reading.readable_folders import data_folders, readable_folders
from app.reading.uploads import MEGABYTES, store_uploads
from app.widgets import empty_state, literal, short_name
from ccd_core.data.decoding.images import IMAGE_SUFFIXES
from ccd_core.runs.run import Run

MOST = 300  # uploads at once
NAMED = 30  # classes named where there is no image yet
FILES, FILES_OF_FOLDER, FOLDER = "Upload files", "Upload a folder", "Folder on this machine"


def chosen_images(run: Run) -> dict[str, Path]:
    """Name -> file of what is to be labelled."""
    source = st.segmented_control(
        "Images",
        [FILES, FILES_OF_FOLDER, FOLDER],
        default=FILES,
        required=True,
        key=state.PREDICT_FROM,
        bind="query-params",
        label_visibility="collapsed",
    )
    return _folder(run) if source == FOLDER else _uploads(run, source == FILES_OF_FOLDER)


def _folder(run: Run) -> dict[str, Path]:
    readable = readable_folders()
    example = readable[-1] if readable else Path.home() / "photos"
    folder = st.text_input("Folder", key=state.FOLDER, bind="query-params", placeholder=str(example))
    text = "Images in it and all folders below."
    if readable is not None:
        open_folders = ", ".join(literal(str(root)) for root in [*readable, *data_folders(run)])
        text += f" Open to this app: {open_folders}."
    st.caption(text)
    return images_in(run, folder) if folder else {}


def _uploads(run: Run, of_folder: bool) -> dict[str, Path]:
    many: Literal[True, "directory"] = "directory" if of_folder else True
    uploads = st.file_uploader(
        f"Up to {MOST} images, {MEGABYTES} MB each",
        [suffix[1:] for suffix in IMAGE_SUFFIXES],
        accept_multiple_files=many,
        max_upload_size=MEGABYTES,
        key=f"uploads_{many}",
    )
    if len(uploads) > MOST:
        command = f"ccd predict {shlex.quote(str(run.path))} FOLDER --csv predicted.csv"
        text = f"{len(uploads)} images are too many at once; choose {MOST} at most, or use `{command}`."
        st.error(literal(text, keep_code=True))
        return {}
    return store_uploads(uploads)


def chosen_example(run: Run) -> dict[str, Path]:
    """Where nothing is uploaded: an image of the run's own data set, chosen by one click or by the link."""
    ids = examples(run)
    if not ids:
        return {}
    kept_out = " that were kept out of training" if run.has("scores", "val.npz") else ""
    st.markdown(f"**Try one of these**, images of the run's data set{kept_out}")
    linked = st.query_params.get(state.EXAMPLE)
    if linked and linked not in ids:
        if _is_of_data_set(run, linked):
            ids = [*ids, linked]
        else:
            st.caption(
                f":orange[The link names {literal(linked)}, which is no image of this run's data set.]"
            )
    items = [{"id": image, "caption": short_name(image)} for image in ids]
    picked = gallery(run, items, key="examples", selected=linked, on_pick=_try, tile="6rem")
    image = next((one for one in (picked, linked) if one in ids), None)
    return {image: image_path(run, image)} if image else {}


def _is_of_data_set(run: Run, image: str) -> bool:
    place = find_image(run, image)
    return place is not None and place.is_file()


def _try(image: str) -> None:
    st.query_params[state.EXAMPLE] = image


def no_images_yet(run: Run) -> None:
    """What stands where there is no image: how to bring some, and what the classifier knows."""
    verb = "Choose one of the examples, or drop" if examples(run) else "Drop"
    classes = ", ".join(literal(name) for name in run.classes[:NAMED])
    more = " ..." if len(run.classes) > NAMED else ""
    empty_state(
        "No images yet",
        f"{verb} your own above. The classifier of run **{literal(run.name)}** knows {classes}{more}.",
        icon=":material/add_photo_alternate:",
    )
    wake_predictor(run)
