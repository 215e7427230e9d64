"""Parts of the page Overview: how far the run is, its pipeline step by step, and its numbers."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app import state
from app.components.pipeline_strip import Step
from app.figures.labels import stage_measures
from app.figures.training import learning_curves
from app.parts.run_progress import duration, progress, stages, warm_up
from app.reading.browsing import view_statistics
from app.reading.cached import cached_by
from app.reading.runs import global_arrays, image_ids, label_arrays, views, views_of
from app.routes import image_url
from app.widgets import Metric, empty_state, friendly_errors, show_error, show_figure
from ccd_core.baselines.registry import METHODS
from ccd_core.data.types import UnitBox
from ccd_core.explore.summary import label_shares, top_class_shares
from ccd_core.runs.run import Run
from ccd_core.training.schedule import fitted

POLL_SECONDS = 2
KINDS = ("global", "initial", "local", "final")
SOME_VIEWS = 3  # boxes drawn on the card of the local views


def status_part(run: Run) -> None:
    """How far an unfinished run is, read again and again from its folder."""
    active = run.status in ("running", "queued")
    st.fragment(_status, run_every=POLL_SECONDS if active else None)(run)


@friendly_errors()
def _status(run: Run) -> None:
    now = run.status
    at = run.state
    if now == "failed":
        why = at.get("error") or "its process died"
        show_error(
            f"This run failed in stage {at.get('stage', 'start')}: {why}. It can be resumed on the page "
            "Train."
        )
    elif now in ("running", "queued"):
        st.markdown(stages(run, now, at))
        st.progress(*progress(run, at))
    elif now != "finished":
        stage = at.get("stage", "created")
        st.info(f"This run is {now}, in stage {stage}. It can be resumed on the page Train.")
    before = st.session_state.get(state.OVERVIEW_SEEN)
    seen = (run.name, now, at.get("stage"), len(run.load_metrics()))
    st.session_state[state.OVERVIEW_SEEN] = seen
    if before and before[0] == run.name and before != seen:
        st.rerun()  # a stage or an epoch is over: the rest of the page has more to show


# -- the pipeline, as this run went through it ---------------------------------------------------------


def pipeline_steps(run: Run) -> list[Step]:
    """A picture or a number for each step that is over, and the page that shows more."""
    steps: list[Step] = []
    if run.has("global.npz"):
        steps += [_images(run), _global_labels(run)]
    if run.has("bias.json"):
        steps.append(_bias(run))
    if run.has("view_threshold.json"):
        steps.append(_local_views(run))
    if run.has("labels.npz"):
        steps.append(_final_labels(run))
    if run.has("checkpoints", "best.json"):
        steps.append(_classifier(run))
    return steps


def _images(run: Run) -> Step:
    ids, _ = image_ids(run)
    pictures = tuple(image_url(run.name, image, 160) for image in ids[:4])
    text = f"without labels, {len(run.classes)} classes"
    return Step("Images", f"{len(ids):,}", text, "cam_boxes", pictures=pictures)


def _global_labels(run: Run) -> Step:
    shares = top_class_shares(global_arrays(run)["p_global"])
    text = "of images go to its favourite class"
    bars = tuple(shares.tolist())
    return Step("CLIP's global labels", f"{100 * shares[0]:.0f} %", text, "clip_bias", bars=bars)


def _bias(run: Run) -> Step:
    values = sorted((row["bias"] for row in run.load_bias()["classes"].values()), reverse=True)
    text = "most over least favoured class"
    return Step("CLIP bias", f"{values[0] / values[-1]:.1f} x", text, "clip_bias", bars=tuple(values))


def _local_views(run: Run) -> Step:
    mean = run.load_json("view_threshold.json")["mean_views"]
    text = "an image, where the maps point"
    picture, boxes = _some_views(run) if run.has("views.parquet") else (None, ())
    pictures = (picture,) if picture else ()
    return Step("Local views", f"{mean:.1f}", text, "cam_boxes", pictures=pictures, boxes=boxes)


def _some_views(run: Run) -> tuple[str | None, tuple[UnitBox, ...]]:
    """Address of the first image that has views, and some of their boxes on it."""
    if not len(views(run)):
        return None, ()
    frame = run.config.views.frame
    image = str(views(run)["image"].iloc[0])
    best = views_of(run, image).nlargest(SOME_VIEWS, "score")
    boxes = (best[["x0", "y0", "x1", "y1"]].to_numpy() / frame).tolist()
    return image_url(run.name, image, 240), tuple((x0, y0, x1, y1) for x0, y0, x1, y1 in boxes)


def _final_labels(run: Run) -> Step:
    scored = run.load_ap().get("labels") or {}
    shares = label_shares(label_arrays(run)["final"])
    bars = tuple(scored[kind]["mAP"] / 100 for kind in KINDS if kind in scored)
    value = f"{shares.sum():.1f}"
    text = "classes an image above 0.5"
    if "final" in scored:
        value = f"{scored['final']['mAP']:.0f} %"
        text = "mAP against ground truth"
    return Step("Final labels", value, text, "labels", bars=bars or tuple(shares.tolist()))


def _classifier(run: Run) -> Step:
    report = run.load_ap()
    curve = run.load_metrics()
    bars: tuple[float, ...] = ()
    if len(curve):
        column = "val_map" if curve["val_map"].notna().any() else "train_map"
        bars = tuple((curve[column].dropna() / 100).tolist())
    if validation := report.get("val"):
        return Step("Classifier", f"{validation['mAP']:.1f} %", "validation mAP", "results", bars=bars)
    if train := report.get("train"):
        return Step("Classifier", f"{train['mAP']:.1f} %", "mAP", "results", bars=bars)
    epoch = run.load_json("checkpoints", "best.json")["epoch"] + 1
    return Step("Classifier", f"epoch {epoch}", "kept", "results", bars=bars)


def measures_caption(run: Run) -> str:
    """What the bars of `measures_part` compare, and how debiasing shows in them."""
    text = "Bars: against ground truth, which labels and training never see."
    if run.config.method.is_ccd and run.config.bias.mode != "none" and run.config.bias.form == "divide":
        text += (
            " Dividing a class by its bias keeps its ranking; the floor and the cap at 1 make ties, which "
            "cost mAP. What debiasing gives shows in F1 at 0.5."
        )
    return text


def run_numbers(run: Run) -> list[Metric]:
    """Numbers that no step of the pipeline says."""
    report = run.load_ap()
    numbers: list[Metric] = []
    labels = report.get("labels") or {}
    if "global" in labels and "final" in labels:
        gain = labels["final"]["mAP"] - labels["global"]["mAP"]
        meaning = "Final labels' mAP less that of CLIP's global labels, in points."
        numbers.append(("Labels against CLIP", f"{gain:+.1f} mAP", meaning))
    if validation := report.get("val"):
        meaning = "On validation, mean over the classes; every score from 0.5 on is a label."
        numbers.append(("F1 at 0.5", f"{validation['F1']:.1f} %", meaning))
    of_clip = (report.get("clip") or {}).get("val")
    if validation and of_clip:
        gain = validation["mAP"] - of_clip["mAP"]
        meaning = (
            "mAP of CLIP's own scores of the validation images, without training. "
            f"The run has {validation['mAP']:.1f} %, {gain:+.1f} points."
        )
        numbers.append(("Zero-shot CLIP", f"{of_clip['mAP']:.1f} %", meaning))
    alone = run.load_scores_alone("val")
    if validation and alone:
        meaning = (
            "mAP on validation of the classifier without CLIP. The run's scores are "
            f"{run.config.predict.in_words}; they have {validation['mAP']:.1f} %."
        )
        numbers.append(("Classifier alone", f"{alone['mAP']:.1f} %", meaning))
    if run.has("checkpoints", "best.json"):
        best = run.load_json("checkpoints", "best.json")
        planned = fitted(run.config, len(image_ids(run)[0])).training.epochs
        trained = len(run.load_metrics())
        meaning = f"{best['kept_because']}. The choice uses no ground truth."
        if run.status == "finished" and trained < planned:
            meaning += f" Training stopped after epoch {trained}; {planned} were planned."
        numbers.append(("Kept epoch", f"{best['epoch'] + 1} of {planned}", meaning))
    if run.status == "finished":
        took = duration(sum(run.state.get("seconds", {}).values()))
        numbers.append(("Time", took, "All stages together; the parts are at the foot of the page."))
    return numbers


# -- what a person should know before trusting the run ---------------------------------------------------

MOST_LARGE = 0.25  # share of the views that may cover more than half of the image
LEAST_DISTINCT = 0.7  # share of the views that should be crops of their own
FEWEST_POSITIVE = 5  # labels a class, on which the early stop should rest


def warnings_part(run: Run) -> None:
    """Warnings about degenerate views, an early stop that rests on few labels, and a doubtful classifier."""
    for text in run_warnings(run):
        st.warning(text, icon=":material/warning:")


def run_warnings(run: Run) -> list[str]:
    """Sentences about what makes the run's classifier doubtful. None of them needs ground truth."""
    found: list[str] = []
    guard = run.load_safeguard()
    if guard and guard["doubtful"] and guard["share"] is not None:
        found.append(
            "The classifier is likely worse than CLIP itself: where CLIP is sure "
            f"({guard['images']} images of {guard['split']}), they agree on {guard['share']:.0%} only."
        )
    if run.has("views.parquet"):
        found += _about_views(run)
    if run.has("labels.npz") and run.config.training.keep != "last" and run.config.labels.update:
        found += _about_early_stop(run)
    return found


def _about_views(run: Run) -> list[str]:
    count, large, apart = view_statistics(run)
    if count and (large > MOST_LARGE or apart < LEAST_DISTINCT):
        return [
            f"Many local views say nothing new: {large:.0%} cover more than half of the image, and "
            f"{apart:.0%} are crops of their own. Settings that help: views.box=peak, more "
            "training.warmup_steps."
        ]
    return []


@cached_by("labels.npz", copied=True, max_entries=16)
def _few_positives(run: Run) -> tuple[int, int]:
    """Number of classes with hardly a positive label for the early stop, and of all such labels."""
    least = run.config.training.positive_label
    counts = (label_arrays(run)["final"] >= least).sum(0)
    return int((counts < FEWEST_POSITIVE).sum()), int(counts.sum())


def _about_early_stop(run: Run) -> list[str]:
    classes, labels = _few_positives(run)
    if classes == 0:
        return []
    have = "class has" if classes == 1 else "classes have"
    return [
        f"The early stop rests on {labels:,} labels of at least {run.config.training.positive_label:g}; "
        f"{classes} of {len(run.classes)} {have} fewer than {FEWEST_POSITIVE} of them. "
        "training.keep=last does without it."
    ]


# -- figures and the foot of the page --------------------------------------------------------------------


def curves_part(run: Run) -> None:
    """mAP, epoch by epoch."""
    st.header("Learning curves", anchor=False)
    metrics = run.load_metrics()
    kept = run.load_json("checkpoints", "best.json")["epoch"] if run.has("checkpoints", "best.json") else None
    if not METHODS[run.config.method.name].trains:
        st.caption("This method uses CLIP as it is and trains nothing, so there are no learning curves.")
    elif len(metrics):
        show_figure(learning_curves(metrics, kept, warm_up(run)), key="curves")
    else:
        text = "The curves appear after the first one."
        empty_state("No epoch is over yet", text, "train", "Watch the run")


def measures_part(run: Run) -> bool:
    """How good the labels of each stage are; returns whether that is known."""
    st.header("Labels, stage by stage", anchor=False)
    rows: dict[str, Any] = {kind: row for kind, row in (run.load_ap().get("labels") or {}).items() if row}
    if rows:
        show_figure(stage_measures(rows), key="measures")
        return True
    title = "No label is scored yet"
    text = (
        "The last stage compares them with ground truth, where there is any. "
        "The page Labels shows them as soon as they are made."
    )
    if run.status == "finished":
        title = "Nothing to score labels against"
        text = "Without ground truth, the page Labels shows what the labels are."
    empty_state(title, text, "labels", "Look at labels", icon=":material/label:")
    return False


LINKS = (
    ("clip_bias", "Which classes does CLIP favour?", ":material/balance:"),
    ("cam_boxes", "Where does CLIP look again?", ":material/select:"),
    ("labels", "What changed from global to final?", ":material/label:"),
    ("results", "How good is each class?", ":material/bar_chart:"),
    ("predict", "Label your own images", ":material/image_search:"),
    ("train", "Start another run", ":material/model_training:"),
)


def links_part(run: Run) -> None:
    """What to look at next."""
    st.header("What to look at next", anchor=False)
    for column, (page, text, icon) in zip(st.columns(3) * 2, LINKS, strict=True):
        column.page_link(f"../pages/{page}.py", label=text, icon=icon, query_params={state.RUN: run.name})


def details_part(run: Run) -> None:
    """Files that were skipped, time by stage, settings."""
    skipped = run.state.get("skipped", [])
    if skipped:
        with st.expander(f"{len(skipped)} files could not be used", expanded=True):
            st.dataframe(skipped, hide_index=True)
    with st.expander("Time by stage, settings, versions"):
        seconds = run.state.get("seconds", {})
        rows = [{"stage": stage, "seconds": spent} for stage, spent in seconds.items()]
        st.dataframe(rows, hide_index=True)
        st.code(run.file("config.yaml").read_text(), language="yaml")
