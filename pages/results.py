"""How good the classifier is, class by class (Tables 2-5)."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app import figures, loaders
from app.widgets import current_run, page_header, require, show_figure

run = current_run()
page_header(
    "Results",
    "How good is the classifier, class by class?",
    "Average precision of a class: how far the images that have it are ranked above those that do not. 100 % is a perfect ranking; a class nobody has is left out of the mean.",
    r"\mathrm{AP}_c = \sum_n (R_n - R_{n-1})\, P_n, \qquad \mathrm{mAP} = \frac{1}{C}\sum_c \mathrm{AP}_c",
)
report = run.load_ap()
if not report:
    require(run, "scores/train.npz", "predictions")
    st.info(
        "There is no ground truth to score against; these are the classifier's probabilities for the training images. A labels.csv in the folder would be scored."
    )
    scores = loaders.scores(run, "train")
    table = pd.DataFrame(scores["scores"], columns=list(run.classes))
    table.insert(0, "image", scores["ids"])
    st.dataframe(table, hide_index=True)
    st.download_button("Download as CSV", table.to_csv(index=False), f"{run.name}-scores.csv", "text/csv", icon=":material/download:")
    st.stop()

split = "val" if report.get("val") else "train"
name = {"val": "validation", "train": "training images"}[split]
main = report[split]
columns = st.columns(3)
columns[0].metric(f"mAP, {name}", f"{main['mAP']:.1f} %", border=True)
columns[1].metric("micro-AP over all entries", f"{main['micro_AP']:.1f} %", border=True)
columns[2].metric("F1 at 0.5", f"{main['F1']:.1f} %", border=True)

left, right = st.columns([3, 2])
with left:
    st.subheader("AP by class")
    shown = {name: main["AP"]}
    final = (report.get("labels") or {}).get("final")
    if final and st.toggle("beside it: the final pseudo-labels on the training images", key="with_labels", bind="query-params"):
        shown["final labels (training images)"] = final["AP"]
    others = {key: path for key, path in loaders.known_runs().items() if path != run.path}
    other = st.selectbox("Compare with run", ["none", *others], key="other", bind="query-params")
    if other in others:
        from ccd_core.runs import Run

        compared = (Run.open(others[other]).load_ap().get(split)) or {}
        if compared:
            shown[other] = compared["AP"]
        else:
            st.info(f"Run {other} has no scores for {name}.")
    show_figure(figures.ap_bars(shown), key="ap")
with right:
    st.subheader("Learning curves")
    show_figure(figures.learning_curves(run.load_metrics(), report.get("epoch")), key="result_curves")
    best = run.load_json("checkpoints", "best.json")
    st.caption(f"Kept: epoch {best['epoch'] + 1}, {best['kept_because']}. The choice uses no ground truth.")
    table = pd.DataFrame({"class": main["AP"].keys(), "AP (%)": main["AP"].values()})
    st.download_button("Download AP as CSV", table.to_csv(index=False), f"{run.name}-ap.csv", "text/csv", icon=":material/download:")
