"""Which run this is, how it went, and what to look at next."""

from __future__ import annotations

import streamlit as st

from app import figures
from app.widgets import current_run, show_figure

run = current_run()
state, report = run.state, run.load_ap()
st.title(f"Run {run.name}")
st.caption(
    "CCD trains a multi-label classifier from images without labels: CLIP labels them, the labels are debiased, and the classifier's own maps say where CLIP should look again."
)

if run.status == "failed":
    st.error(
        f"This run failed in stage {state.get('stage', 'start')}: {state.get('error') or 'its process died'}. It can be resumed on the page Train."
    )
elif run.status != "finished":
    st.info(f"This run is {run.status}, in stage {state.get('stage', 'created')}.")

validation = report.get("val") or {}
labels = (report.get("labels") or {}).get("final") or {}
numbers = [
    ("Validation mAP", f"{validation['mAP']:.1f} %" if validation else "no ground truth"),
    ("Final labels' mAP", f"{labels['mAP']:.1f} %" if labels else "no ground truth"),
    ("Training images", f"{len(run.load_global()['ids']):,}" if run.has("global.npz") else "not read yet"),
    ("Views an image", f"{run.load_json('view_threshold.json')['mean_views']:.1f}" if run.has("view_threshold.json") else "none yet"),
    ("Time", f"{sum(state.get('seconds', {}).values()):.0f} s"),
]
for column, (name, value) in zip(st.columns(len(numbers)), numbers, strict=True):
    column.metric(name, value, border=True)

left, right = st.columns([3, 2])
with left:
    st.subheader("Learning curves")
    metrics = run.load_metrics()
    kept = run.load_json("checkpoints", "best.json")["epoch"] if run.has("checkpoints", "best.json") else None
    if len(metrics):
        show_figure(figures.learning_curves(metrics, kept), key="curves")
    else:
        st.info("The curves appear after the first epoch.")
with right:
    st.subheader("Labels, stage by stage")
    rows = {kind: row for kind, row in (report.get("labels") or {}).items() if row}
    if rows:
        show_figure(figures.measure_bars(rows), key="measures")
        st.caption(
            "Against ground truth, which labels and training never see. Dividing a class by its bias keeps its ranking; the floor and the cap at 1 make ties, which cost mAP. What debiasing gives shows in F1 at 0.5."
        )
    else:
        st.info("Without ground truth there is nothing to score labels against. The pages Labels and Predict show what they are.")

st.subheader("Look at")
links = [
    ("clip_bias", "CLIP bias: which classes does CLIP favour?"),
    ("cam_boxes", "CAM boxes: where does CLIP look again?"),
    ("labels", "Labels: what changed from global to final?"),
    ("results", "Results: how good is each class?"),
    ("predict", "Predict: label your own images"),
    ("train", "Train: start another run"),
]
for column, (page, text) in zip(st.columns(3) * 2, links, strict=True):
    column.page_link(f"../pages/{page}.py", label=text, query_params={"run": run.name})

skipped = state.get("skipped", [])
if skipped:
    with st.expander(f"{len(skipped)} files could not be used", expanded=True):
        st.dataframe(skipped, hide_index=True)
with st.expander("Time by stage, settings, versions"):
    st.dataframe([{"stage": stage, "seconds": seconds} for stage, seconds in state.get("seconds", {}).items()], hide_index=True)
    st.code(run.file("config.yaml").read_text(), language="yaml")
