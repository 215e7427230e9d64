"""Which classes CLIP favours, and what dividing by its bias does (Sec. 3.3, Figs. 2, 9, 10)."""

from __future__ import annotations

import numpy as np
import streamlit as st

from app import figures_bias, loaders
from app.evidence import class_figure, entropy_slider, global_evidence, positives
from app.gallery import gallery
from app.widgets import choose_image, current_run, metric_row, page_header, require, show_figure

SHOWN = 5  # images of either end

run = current_run()
page_header(
    "CLIP bias",
    "Which classes does CLIP favour, and what does dividing by its bias do?",
    "CLIP gives some classes low probabilities even where they are plainly there, because their names are ambiguous. The CLIP bias of a class is its mean probability in the "
    "images of which CLIP is sure (low entropy) and where the class comes first. Labels are divided by it.",
    r"b_c = \frac{1}{|S_c|}\sum_{i \in S_c} p_{i,c}, \quad S_c = \{ i : H(p_i) \le T,\ c = \arg\max p_i \}, \qquad l^{initial} = \mathrm{clip}\left(\frac{\max(p, \epsilon)}{b}, 0, 1\right)",
)
require(run, "global.npz", "global probabilities")
evidence, classes, settings = global_evidence(run), run.classes, run.config.bias

threshold, most = entropy_slider(run)
bias = evidence.bias(threshold)
show_figure(figures_bias.entropy_histogram(evidence.entropy, threshold, settings.entropy_threshold, most), key="entropy_histogram")
if not bias.used.any():
    st.warning("No image has so little entropy, so no bias is measured: every class shows its fallback. Raise the threshold.", icon=":material/tune:")
metric_row(
    [
        ("Images used", f"{int(bias.used.sum()):,} of {len(bias.used):,}", "Images whose entropy lies below the threshold."),
        ("Most over least favoured", f"{bias.value.max() / bias.value.min():.1f} x", "The largest bias over the smallest."),
        ("Classes without a measurement", f"{int((~bias.estimated).sum())} of {len(classes)}", "No low-entropy image has them first: fallback used."),
    ]
)

st.subheader("Bias by class", anchor=False)
weakest = int(np.argmin(np.where(bias.estimated, bias.value, np.inf)))
if st.session_state.get("class") not in classes:
    st.session_state.pop("class", None)  # another page's "any class", or another run's
chosen = st.selectbox("Class", classes, weakest, key="class", bind="query-params", help="Or click a class in a figure; its images are below.")
index = classes.index(chosen)
class_figure(figures_bias.bias_by_class(classes, bias, evidence.top, evidence.top_p, index), key="bias_by_class")
st.caption(
    "Left: the bias, mean top-1 probability of the low-entropy images (Fig. 2d). Middle: top-1 probabilities of the images where the class comes first (Fig. 9); the diamond is "
    "the bias. Hatched or hollow: no low-entropy image has this class first, so the mean over all images where it is first is used, or the other classes' mean."
)

st.subheader(f"Images where CLIP says {chosen} first", anchor=False)
ids, _ = loaders.image_ids(run)
surest, least = evidence.extremes(index, SHOWN)


def described(row: int) -> dict:
    low = bool(bias.used[row])
    badges = [f"entropy {evidence.entropy[row]:.2f}", *(["counts"] if low else [])]
    return {"id": ids[row], "caption": f"{chosen} {evidence.top_p[row]:.2f}", "badges": badges, "tone": "note" if low else ""}


if not len(surest):
    st.info(
        f"{chosen} is not the first class of any image, so its bias is the mean of the other classes'. Its highest probability is {evidence.p[index].max():.2f}."
    )
for name, rows in (("most", surest), ("least", least)):
    if len(rows):
        st.markdown(f"**{name.capitalize()} confident**")
        if picked := gallery(run, [described(row) for row in rows], key=f"{name}_confident", on_pick=choose_image):
            st.switch_page("../pages/labels.py", query_params={"run": run.name, "image": picked})
st.caption("Click an image to see its labels. Those with an orange line count towards the bias.")

st.subheader("What debiasing changes", anchor=False)
truth = positives(run)
true_rate = None if truth is None else np.array([len(rows) for rows in truth[1]]) / len(truth[0])
before, after = evidence.p.mean(1), evidence.mean_initial(bias.value, settings.floor)
left, right = st.columns(2)
with left:
    st.markdown("**Mean label of each class, before and after**")
    class_figure(
        figures_bias.before_and_after(classes, before, after, true_rate, ("before: p", "after: initial label"), "mean over images"), key="debiasing"
    )
    if true_rate is None:
        st.caption("Dividing by the bias raises every class, the least favoured most. There is no ground truth for these images to compare with.")
    else:
        distance = np.abs(before - true_rate).mean(), np.abs(after - true_rate).mean()
        st.caption(
            f"Mean distance to the true rate (red line): {distance[0]:.3f} before, {distance[1]:.3f} after. Dividing does not change a class's AP: its ranking stays."
        )
with right:
    st.markdown("**How many images have each class?** (Fig. 10)")
    counts = {"CLIP top-1": np.bincount(evidence.top, minlength=len(classes))}
    if run.has("labels.npz"):
        counts["pseudo-label > 0.5"] = (loaders.label_arrays(run)["final"] > 0.5).sum(0)
    if true_rate is not None:
        counts = {"ground truth": np.array([len(rows) for rows in truth[1]])} | counts
    class_figure(figures_bias.count_bars(classes, counts), key="counts")
    st.caption(
        "CLIP sees the salient object of an image; its top-1 counts do not follow the truth (Fig. 10). Pseudo-labels are the run's final labels."
    )
with st.expander("Table"):
    st.dataframe(
        {
            "class": classes,
            "bias": bias.value,
            "images": bias.count,
            "mean probability": before,
            "mean initial label": after,
            "measured": bias.estimated,
        },
        hide_index=True,
    )
