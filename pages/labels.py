"""Global, local and final labels, of one image and of the data set under other settings (Sec. 3.2-3.3)."""

from __future__ import annotations

import streamlit as st

from app import state
from app.choices import current_run
from app.parts.labels.data_set import ALL, ONE, data_set_part
from app.parts.labels.image import image_part
from app.widgets import literal, page_header, require
from ccd_core.baselines.registry import label_source, method_of

run = current_run()
maker = "CLIP's debiased probability for the whole image"
if run.config.method.from_patches:
    maker = "the debiased probability that PIAA's recipe makes of the image's patches"
text = (
    f"The initial label is {maker}. The local label is the highest "
    "debiased probability over the image's local views. The final label, which the classifier is trained on, "
    "mixes both. "
)
if run.config.labels.views_required:
    text += "An image without views keeps its initial label."
else:
    text += "Where an image has no views, its local label is that of a probability of 0."
if run.config.none_images.filter != "off":
    text += " Images taken to show none of the classes have labels of 0."
lead = "What does CLIP say of the whole image, of its local views, and what is trained on?"
if not run.config.method.is_ccd:
    method = method_of(run.config)
    lead = f"What was {literal(method.title)} trained on, at first and at the end?"
    source = f"This run's method is trained on {literal(label_source(run.config))}."
    if not method.trains:
        lead = "What does CLIP say of each image?"
        source = "This run's method trains nothing, so it has no training labels."
    text = f"{source} What follows is how CCD makes labels, for comparison. {text}"
page_header(
    "Labels",
    lead,
    text,
    r"l^{final} = \alpha\, l^{initial} + (1 - \alpha)\, l^{local}, "
    r"\qquad l^{local}_c = \mathrm{clip}\left(\max_v \max(p_{v,c}, \epsilon) / b_c, 0, 1\right)",
)
require(run, "labels.npz", "labels")
show = ONE
if run.config.method.name == "ccd":  # other methods have no settings to make labels anew with
    show = st.segmented_control(
        "Show",
        [ONE, ALL],
        default=ONE,
        required=True,
        key=state.LABELS_SHOW,
        bind="query-params",
        label_visibility="collapsed",
    )
if show == ALL:
    data_set_part(run)
else:
    image_part(run)
