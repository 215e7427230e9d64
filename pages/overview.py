"""The front page: what this run is, how it went, its pipeline step by step, and what to look at next."""

from __future__ import annotations

import streamlit as st

from app.choices import current_run
from app.components.pipeline_strip import pipeline_strip
from app.parts.overview import (
    curves_part,
    details_part,
    links_part,
    measures_caption,
    measures_part,
    pipeline_steps,
    run_numbers,
    status_part,
    warnings_part,
)
from app.parts.take_away import take_away_part
from app.reading.asking.predictor import wake_predictor
from app.widgets import literal, metric_row, page_header

run = current_run()
page_header(
    literal(run.name),
    "CCD trains a multi-label classifier from images without labels: CLIP labels them, the labels are "
    "debiased, and the classifier's own maps say where CLIP should look again.",
    "Global labels are what CLIP says of whole images. Dividing them by each class's CLIP bias gives the "
    "initial labels. A classifier warmed up on them says where each class would be. CLIP is asked about "
    "these local views, and the labels are updated with what it says. Ground truth, where there is any, only "
    "scores the result.",
    r"l^{final} = \alpha\, l^{initial} + (1 - \alpha)\, l^{local}",
)
status_part(run)
if steps := pipeline_steps(run):
    pipeline_strip(steps, key="pipeline")
warnings_part(run)
if numbers := run_numbers(run):
    metric_row(numbers)
left, right = st.columns([3, 2])
with left:
    curves_part(run)
with right:
    scored = measures_part(run)
if scored:
    st.caption(measures_caption(run))
take_away_part(run)
links_part(run)
details_part(run)
wake_predictor(run, after=3)  # the next pages ask it; its start must not slow down the first figures
