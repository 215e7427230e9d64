"""Label your own images with the chosen run's classifier: uploads, or a folder on this machine."""

from __future__ import annotations

import streamlit as st

from app.choices import current_run
from app.parts.predict.images import chosen_example, chosen_images, no_images_yet
from app.parts.predict.labels import (
    cards,
    downloads,
    filtered,
    labelled,
    large_image,
    show_unusable,
    warn_of_unlike,
)
from app.parts.predict.thresholds import chosen_thresholds
from app.reading.asking.predictions import predict_all
from app.widgets import friendly_errors, page_header, require

run = current_run()
page_header(
    "Predict",
    "What is in your images? Labels, how sure the classifier is, and where it looks.",
    "The classifier gives every class a score from 0 to 1 of its own, so an image can have several labels or "
    "none. A class is a label from its threshold on. The heat over an image is the class activation map: "
    "what in it speaks for the label.",
    r"\text{score}_c = \sigma\!\left(\frac{1}{hw}\sum_{u,v} \mathrm{CAM}_c(u, v)\right), "
    r"\qquad \text{label } c \iff \text{score}_c \ge t_c",
)
require(run, "checkpoints/best.safetensors", "trained classifier")
with friendly_errors():
    images = chosen_images(run)
    limits = chosen_thresholds(run)
    images = images or chosen_example(run)
    if not images:
        no_images_yet(run)
        st.stop()
    good, bad = predict_all(run, images)
    show_unusable(bad)
    warn_of_unlike(run, good)
    if good:
        rows = labelled(run, good, limits)
        if len(rows) > 1:
            rows = filtered(run, rows)
        if not rows:
            st.info("No image fits. Choose another label, or lower the threshold.")
            st.stop()
        large_image(run, rows, limits)
        downloads(run, rows, limits)
        if len(rows) > 1:
            cards(run, rows)
