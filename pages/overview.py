"""The front page: what this run is, how it went, its pipeline step by step, and what to look at next."""

from __future__ import annotations

import numpy as np
import streamlit as st

from app.components.pipeline_strip import Step, pipeline_strip
from app.figures import theme as figures
from app.parts.run_progress import duration, progress, stages, warm_up
from app.reading import runs as loaders
from app.routes import image_url
from app.widgets import current_run, empty_state, friendly_errors, metric_row, page_header, show_figure
from ccd_core.runs.run import Run

POLL_SECONDS = 2

run = current_run()
page_header(
    run.name,
    "CCD trains a multi-label classifier from images without labels: CLIP labels them, the labels are debiased, and the classifier's own maps say where CLIP should look again.",
    "Global labels are what CLIP says of whole images; dividing by each class's CLIP bias gives the initial labels. A classifier warmed up on them says where each class would "
    "be, CLIP is asked about these local views, and the labels are updated with what it says. Ground truth, where there is any, only scores the result.",
    r"l^{final} = \alpha\, l^{initial} + (1 - \alpha)\, l^{local}",
)


@st.fragment(run_every=POLL_SECONDS if run.status in ("running", "queued") else None)
@friendly_errors()
def status() -> None:
    """How far an unfinished run is, read again and again from its folder."""
    now, state = run.status, run.state
    if now == "failed":
        st.error(
            f"This run failed in stage {state.get('stage', 'start')}: {state.get('error') or 'its process died'}. It can be resumed on the page Train."
        )
    elif now in ("running", "queued"):
        st.markdown(stages(run, now, state))
        st.progress(*progress(run, state))
    elif now != "finished":
        st.info(
            f"This run is {now}, in stage {state.get('stage', 'created')}. It can be resumed on the page Train."
        )
    before, st.session_state["seen"] = (
        st.session_state.get("seen"),
        (run.name, now, state.get("stage"), len(run.load_metrics())),
    )
    if before and before[0] == run.name and before != st.session_state["seen"]:
        st.rerun()  # a stage or an epoch is over: the rest of the page has more to show


def steps(run: Run) -> list[Step]:
    """The pipeline as this run went through it: a picture or a number for each step, and the page that shows more."""
    report = run.load_ap()
    shown: list[Step] = []
    if run.has("global.npz"):
        ids, _ = loaders.image_ids(run)
        pictures = tuple(image_url(run.name, image, 160) for image in ids[:4])
        shown.append(
            Step(
                "Images",
                f"{len(ids):,}",
                f"without labels, {len(run.classes)} classes",
                "cam_boxes",
                pictures=pictures,
            )
        )
        p = loaders.global_arrays(run)["p_global"]
        top = np.sort(np.bincount(p.argmax(1), minlength=len(run.classes)))[::-1] / len(p)
        shown.append(
            Step(
                "CLIP's global labels",
                f"{top[0]:.0%}",
                "of images go to its favourite class",
                "clip_bias",
                bars=tuple(top.tolist()),
            )
        )
    if run.has("bias.json"):
        values = sorted((row["bias"] for row in run.load_bias()["classes"].values()), reverse=True)
        shown.append(
            Step(
                "CLIP bias",
                f"{values[0] / values[-1]:.1f} x",
                "most over least favoured class",
                "clip_bias",
                bars=tuple(values),
            )
        )
    if run.has("view_threshold.json"):
        mean = run.load_json("view_threshold.json")["mean_views"]
        boxes = tuple(_some_views(run)) if run.has("views.parquet") else ()
        shown.append(
            Step(
                "Local views",
                f"{mean:.1f}",
                "an image, where the maps point",
                "cam_boxes",
                pictures=boxes[:1],
                boxes=boxes[1:],
            )
        )
    if run.has("labels.npz"):
        labels = (report.get("labels") or {}).get("final")
        text = "mAP against ground truth" if labels else "classes an image above 0.5"
        share = np.sort((loaders.label_arrays(run)["final"] > 0.5).mean(0))[::-1]
        kinds = [(report.get("labels") or {}).get(kind) for kind in ("global", "initial", "local", "final")]
        shown.append(
            Step(
                "Final labels",
                f"{labels['mAP']:.0f} %" if labels else f"{share.sum():.1f}",
                text,
                "labels",
                bars=tuple(row["mAP"] / 100 for row in kinds if row) or tuple(share.tolist()),
            )
        )
    if run.has("checkpoints", "best.json"):
        validation = report.get("val") or report.get("train")
        curve = run.load_metrics()
        column = "val_map" if len(curve) and curve["val_map"].notna().any() else "train_map"
        bars = tuple((curve[column].dropna() / 100).tolist()) if len(curve) else ()
        value = (
            f"{validation['mAP']:.1f} %"
            if validation
            else f"epoch {run.load_json('checkpoints', 'best.json')['epoch'] + 1}"
        )
        shown.append(
            Step(
                "Classifier",
                value,
                ("validation mAP" if report.get("val") else "mAP") if validation else "kept",
                "results",
                bars=bars,
            )
        )
    return shown


def beside_the_strip(run: Run) -> list[tuple[str, str, str]]:
    """Numbers that no step of the strip says."""
    report, numbers = run.load_ap(), []
    labels = report.get("labels") or {}
    if labels.get("global") and labels.get("final"):
        gain = labels["final"]["mAP"] - labels["global"]["mAP"]
        numbers.append(
            (
                "Labels against CLIP alone",
                f"{gain:+.1f} mAP",
                "Final labels' mAP less that of CLIP's global labels, in points.",
            )
        )
    if validation := report.get("val"):
        numbers.append(
            (
                "F1 at 0.5, validation",
                f"{validation['F1']:.1f} %",
                "Mean over the classes, every score from 0.5 on a label.",
            )
        )
    if run.has("checkpoints", "best.json"):
        best = run.load_json("checkpoints", "best.json")
        numbers.append(
            (
                "Kept epoch",
                f"{best['epoch'] + 1} of {len(run.load_metrics())}",
                f"{best['kept_because']}. The choice uses no ground truth.",
            )
        )
    if run.status == "finished":
        took = duration(sum(run.state.get("seconds", {}).values()))
        numbers.append(("Time", took, "All stages together; the parts are at the foot of the page."))
    return numbers


def _some_views(run: Run) -> list:
    """An image's address, then some boxes on it as fractions of the frame."""
    views, frame = loaders.views(run), run.config.views.frame
    image = str(views["image"].iloc[0]) if len(views) else ""
    mine = loaders.views_of(run, image).nlargest(3, "score") if image else views
    boxes = [(row.x0 / frame, row.y0 / frame, row.x1 / frame, row.y1 / frame) for row in mine.itertuples()]
    return [image_url(run.name, image, 240), *boxes] if image else []


status()
went = steps(run)
if went:
    pipeline_strip(went, key="pipeline")
state, report = run.state, run.load_ap()
if numbers := beside_the_strip(run):
    metric_row(numbers)

left, right = st.columns([3, 2])
with left:
    st.header("Learning curves", anchor=False)
    metrics = run.load_metrics()
    kept = run.load_json("checkpoints", "best.json")["epoch"] if run.has("checkpoints", "best.json") else None
    if len(metrics):
        show_figure(figures.learning_curves(metrics, kept, warm_up(run)), key="curves")
    else:
        empty_state(
            "No epoch is over yet", "The curves appear after the first one.", "train", "Watch the run"
        )
with right:
    st.header("Labels, stage by stage", anchor=False)
    rows = {kind: row for kind, row in (report.get("labels") or {}).items() if row}
    if rows:
        show_figure(figures.measure_bars(rows), key="measures")
    else:
        over = run.status == "finished"
        empty_state(
            "Nothing to score labels against" if over else "No label is scored yet",
            "Without ground truth, the page Labels shows what the labels are."
            if over
            else "The last stage compares them with ground truth, where there is any. The page Labels shows them as soon as they are made.",
            "labels",
            "Look at labels",
            icon=":material/label:",
        )

if rows:
    st.caption(
        "Bars: against ground truth, which labels and training never see. Dividing a class by its bias keeps its ranking; the floor and the cap at 1 make ties, which cost mAP. "
        "What debiasing gives shows in F1 at 0.5."
    )

st.header("What to look at next", anchor=False)
links = [
    ("clip_bias", "Which classes does CLIP favour?", ":material/balance:"),
    ("cam_boxes", "Where does CLIP look again?", ":material/select:"),
    ("labels", "What changed from global to final?", ":material/label:"),
    ("results", "How good is each class?", ":material/bar_chart:"),
    ("predict", "Label your own images", ":material/image_search:"),
    ("train", "Start another run", ":material/model_training:"),
]
for column, (page, text, icon) in zip(st.columns(3) * 2, links, strict=True):
    column.page_link(f"../pages/{page}.py", label=text, icon=icon, query_params={"run": run.name})

skipped = state.get("skipped", [])
if skipped:
    with st.expander(f"{len(skipped)} files could not be used", expanded=True):
        st.dataframe(skipped, hide_index=True)
with st.expander("Time by stage, settings, versions"):
    st.dataframe(
        [{"stage": stage, "seconds": seconds} for stage, seconds in state.get("seconds", {}).items()],
        hide_index=True,
    )
    st.code(run.file("config.yaml").read_text(), language="yaml")
loaders.wake_predictor(
    run, after=3
)  # the pages it leads to ask it; its start must not slow down the first figures
