"""Which classes CLIP favours, and what dividing by its bias does (Sec. 3.3)."""

from __future__ import annotations

import numpy as np
import streamlit as st

from app import figures, loaders
from app.widgets import current_run, page_header, require, show_figure
from ccd_core.bias import clip_bias

run = current_run()
page_header(
    "CLIP bias",
    "Which classes does CLIP favour, and what does dividing by its bias do?",
    "CLIP gives some classes low probabilities even where they are plainly there, because their names are ambiguous. The CLIP bias of a class is its mean probability in the "
    "images of which CLIP is sure (low entropy) and where the class comes first. Labels are divided by it.",
    r"b_c = \frac{1}{|S_c|}\sum_{i \in S_c} p_{i,c}, \quad S_c = \{ i : H(p_i) \le T,\ c = \arg\max p_i \}, \qquad l^{initial} = \mathrm{clip}\left(\frac{\max(p, \epsilon)}{b}, 0, 1\right)",
)
require(run, "global.npz", "global probabilities")
arrays = loaders.global_arrays(run)
p, entropy = arrays["p_global"], arrays["entropy"]

used = float(run.config.bias.entropy_threshold)
top = float(np.ceil(np.log(len(run.classes)) * 10) / 10) + 0.1
threshold = st.slider(
    "Entropy threshold (nats)", 0.05, max(top, used), used, 0.05, key="entropy", bind="query-params", help=f"The run used {used:g}."
)
bias = clip_bias(p, threshold)
show_figure(figures.entropy_histogram(entropy, threshold), key="entropy_histogram")

ratio = bias.value.max() / bias.value.min()
columns = st.columns(3)
columns[0].metric("Images used", f"{int(bias.used.sum())} of {len(p)}", border=True)
columns[1].metric("Most over least favoured", f"{ratio:.1f} x", border=True)
columns[2].metric("Classes without a measurement", int((~bias.estimated).sum()), border=True)
st.subheader("Bias by class")
show_figure(figures.bias_bars(run.classes, bias.value, bias.count, bias.estimated), key="bias_bars")
st.caption("Hatched: no low-entropy image has this class first, so the statistic over all images is used, or the other classes' mean.")

st.subheader("How many images have each class?")
counts = {"CLIP top-1": np.bincount(p.argmax(1), minlength=len(run.classes))}
if run.has("labels.npz"):
    counts["final label > 0.5"] = (loaders.label_arrays(run)["final"] > 0.5).sum(0)
truth = loaders.targets(run, "train", arrays["ids"])
if truth is not None:
    counts = {"ground truth": truth[1].sum(0)} | counts
show_figure(figures.count_bars(run.classes, counts), key="counts")
with st.expander("Table"):
    st.dataframe(
        {"class": run.classes, "bias": bias.value, "images": bias.count, "mean probability": p.mean(0), "measured": bias.estimated}, hide_index=True
    )
