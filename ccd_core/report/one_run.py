"""The sections of a report about one run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ccd_core.errors import UserError
from ccd_core.evaluation import thresholds
from ccd_core.evaluation.marked import measure_run
from ccd_core.explore.mistakes import least_sure_entries, most_wrong_entries
from ccd_core.report import charts
from ccd_core.report.markup import details, note, section, table, text
from ccd_core.report.pictures import Box, figure, gallery
from ccd_core.report.sources import Sources
from ccd_core.runs.run import Run

ROWS = 60  # classes in a chart; of more, the first and the last half
PICTURES = 8  # of boxes
MISTAKES = 8  # of each kind
BOXES = 3  # of one picture
SPLITS = {"val": "validation", "train": "training images"}
KINDS = {"global": "global", "initial": "initial", "local": "local", "final": "final"}


def sections_of(sources: Sources, pictures: bool = True) -> list[str]:
    """All sections that the run has data for, in the order of the method."""
    run = sources.run
    parts = [tiles(run)]
    if run.status != "finished":
        stage = run.state.get("stage", "created")
        parts.append(note(f"This run is {run.status}, in stage {stage}. What comes later is not here yet."))
    elif best := run.load_best():
        parts.append(
            f"<p>The model of epoch {best['epoch'] + 1} is kept: {text(best['kept_because'])}. "
            "Labels, training and this choice saw no ground truth.</p>"
        )
    parts += [*_curves(run), *_labels(run), *_marked(run), *_ap(run), *_bias(run)]
    if pictures and run.has("scores", "train.npz"):
        if sources.dataset is None:
            parts.append(note("There are no pictures, because the data set could not be opened."))
        else:
            parts += [*_boxes(sources), *_wrong(sources)]
    return [*parts, *_thresholds(run), *_settings(run)]


def main_scores(run: Run) -> tuple[str, float] | None:
    """The split and the mAP, in percent, by which a run is judged: validation if it is scored."""
    for split in SPLITS:
        if scores := run.load_scores_of(split):
            return split, scores["mAP"]
    return None


def duration(run: Run) -> str:
    """The time of all stages together, such as 3 min or 1 h 20 min."""
    seconds = sum(run.state.get("seconds", {}).values())
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def tiles(run: Run) -> str:
    """The run in a few numbers."""
    numbers = [("classes", f"{len(run.classes):,}")]
    if run.has("scores", "train.npz"):
        numbers.append(("images trained on", f"{len(run.load_scores('train')['ids']):,}"))
    labels = run.load_ap().get("labels") or {}
    for kind, title in (("global", "mAP of CLIP alone"), ("final", "mAP of the final labels")):
        if kind in labels:
            numbers.append((title, f"{labels[kind]['mAP']:.1f} %"))
    if scores := main_scores(run):
        numbers.append((f"mAP, {SPLITS[scores[0]]}", f"{scores[1]:.1f} %"))
    if alone := run.load_scores_alone("val"):
        numbers.append(("mAP of the classifier without CLIP", f"{alone['mAP']:.1f} %"))
    if run.state.get("seconds"):
        numbers.append(("time", duration(run)))
    cells = "".join(f"<div><span>{text(title)}</span><b>{text(value)}</b></div>" for title, value in numbers)
    return f'<div class="tiles">{cells}</div>'


def _curves(run: Run) -> list[str]:
    metrics = run.load_metrics()
    if not len(metrics):
        return []
    best = run.load_best()
    kept = best["epoch"] + 1 if best else None
    curves = []
    for column, title, colour in (
        ("train_map", "on the training labels", "sky"),
        ("val_map", "on validation (ground truth)", "green"),
    ):
        known = metrics[metrics[column].notna()]
        if len(known):
            found = list(zip((known["epoch"] + 1).tolist(), known[column].tolist(), strict=True))
            curves.append(charts.Line(title, colour, found, kept))
    if not curves:
        return []
    chart = charts.lines(curves, "epoch", "mAP (%)", "Learning curves: mAP of every epoch")
    lead = "mAP of every epoch. The ring marks the epoch whose model is kept."
    return [section("Learning curves", chart, lead=lead)]


def _labels(run: Run) -> list[str]:
    labels = run.load_ap().get("labels") or {}
    rows = [
        (kind, *(f"{labels[kind][measure]:.1f}" for measure in ("mAP", "micro_AP", "F1")))  # type: ignore[literal-required]
        for kind in KINDS
        if kind in labels
    ]
    if not rows:
        return []
    lead = (
        "Against ground truth, in percent. Global labels are CLIP's of whole images, initial labels are "
        "debiased, local labels are CLIP's of the parts that the maps point at, and final labels join both."
    )
    head = ("labels", "mAP", "micro-AP", "F1 at 0.5")
    return [section("Labels, stage by stage", table(head, rows), lead=lead)]


def _marked(run: Run) -> list[str]:
    """What a person's marks on a random sample say, where there are enough of them."""
    try:
        found = measure_run(run, thresholds.in_use(run).array(run.classes))
    except UserError:  # its sentence has the run's path, which is not told here
        return []
    if found is None:
        return []
    rows = [(name, one.in_words) for name, one in found.measures.items()]
    lead = (
        f"On {found.images} random images whose classes a person marked, at the run's thresholds; in "
        f"brackets the 95 % confidence interval. {found.more_to_halve:,} more marked images would halve it."
    )
    return [section("On marked images", table(("measure", "value"), rows), lead=lead)]


def _ap(run: Run) -> list[str]:
    scores = main_scores(run)
    report = run.load_scores_of(scores[0]) if scores else None
    if scores is None or report is None:
        lead = "There is no ground truth, so average precision is not known."
        return [section("Average precision", lead=lead)]
    split, mean = scores
    ordered = sorted(report["AP"].items(), key=lambda entry: -(-1.0 if entry[1] is None else entry[1]))
    rows = [(name, value, "no image has it" if value is None else f"{value:.1f}") for name, value in ordered]
    shown, left_out = _first_and_last(rows)
    folded = details(
        "As a table", table(("class", "AP (%)"), [(name, words) for name, _, words in rows]), not left_out
    )
    chart = charts.bars(shown, 100, "Bars: average precision of each class", (mean, f"mAP {mean:.1f}"))
    lead = f"On {SPLITS[split]}, in percent: how far the images of a class are ranked above all others."
    return [section("Average precision by class", chart, _said(left_out), folded, lead=lead)]


def _bias(run: Run) -> list[str]:
    if not run.has("bias.json"):
        return []
    bias = run.load_bias()
    ordered = sorted(bias["classes"].items(), key=lambda entry: -entry[1]["bias"])
    rows: list[tuple[str, float | None, str]] = [
        (
            name,
            one["bias"],
            f"{one['bias']:.2f}" + (f", {one['count']:,} images" if one["estimated"] else ", not measured"),
        )
        for name, one in ordered
    ]
    shown, left_out = _first_and_last(rows)
    most = max(value or 0 for _, value, _ in rows) or 1
    chart = charts.bars(shown, most, "Bars: CLIP bias of each class, the most favoured first")
    lead = (
        "How sure CLIP is on average where it puts a class first with little doubt. CLIP's labels are "
        f"divided by it. Measured on {bias['images_used']:,} images of low entropy."
    )
    return [section("CLIP bias", chart, _said(left_out), lead=lead)]


def _first_and_last(rows: Sequence[tuple]) -> tuple[list, int]:
    """At most `ROWS` rows, the first and the last half, and how many are left out between them."""
    if len(rows) <= ROWS:
        return list(rows), 0
    half = ROWS // 2
    return [*rows[:half], *rows[-half:]], len(rows) - ROWS


def _said(left_out: int) -> str:
    if not left_out:
        return ""
    return note(f"{left_out:,} classes between the first and the last {ROWS // 2} are not drawn.")


# -- pictures ------------------------------------------------------------------------------------------------


def _boxes(sources: Sources) -> list[str]:
    run = sources.run
    if not run.has("views.parquet"):
        return []
    views = run.load_views()
    images = views["image"].cat.categories[np.unique(views["image"].cat.codes)].tolist()
    frame = run.config.views.frame
    found: list[str] = []
    for image in _spread(images, 3 * PICTURES):
        path = sources.path(image)
        best = views[views["image"] == image].nlargest(BOXES, "score")
        boxes = [
            Box((x0 / frame, y0 / frame, x1 / frame, y1 / frame), f"{name} {score:.2f}")
            for name, score, x0, y0, x1, y1 in zip(
                best["class"], best["score"], best["x0"], best["y0"], best["x1"], best["y1"], strict=True
            )
        ]
        drawn = figure(path, image, boxes=boxes) if path else None
        found += [drawn] if drawn else []
        if len(found) == PICTURES:
            break
    if not found:
        return [note("None of the sampled images could be read, so no boxes are shown.")]
    lead = (
        "Where CLIP was asked again: the surest local views of some training images, each with its class and "
        "the score of the classifier after warm-up."
    )
    return [section("Local views", gallery(found), lead=lead)]


def _spread(items: list[str], count: int) -> list[str]:
    """About `count` of the items, evenly from first to last."""
    if len(items) <= count:
        return items
    return [items[place] for place in np.linspace(0, len(items) - 1, count).round().astype(int)]


def _wrong(sources: Sources) -> list[str]:
    """The images with the highest loss, or without ground truth those with scores nearest to 0.5."""
    found = next(
        (one for split in SPLITS if (one := sources.scored(split)) and one[2] is not None),
        sources.scored("train"),
    )
    if found is None:
        return []
    ids, scores, targets = found
    if targets is None:
        entries = least_sure_entries(scores, None, 4 * MISTAKES)
        lead = "The images whose scores lie nearest to 0.5; there is no ground truth to say what is wrong."
        return [section("Least sure", _of_entries(sources, entries, ids, scores, None), lead=lead)]
    lead = "Ground truth decides what is wrong. The number is the score of the class in bold."
    parts = []
    for kind, title in (("false", "Wrongly predicted"), ("missed", "Missed")):
        entries = most_wrong_entries(scores, targets, kind, None, 8 * MISTAKES)
        pictures = _of_entries(sources, entries, ids, scores, targets)
        parts.append(section(title, pictures, lead=lead if kind == "false" else ""))
    return parts


def _of_entries(
    sources: Sources,
    entries: list[tuple[int, int]],
    ids: np.ndarray,
    scores: np.ndarray,
    targets: np.ndarray | None,
) -> str:
    """A picture for each of the first entries (row, class) whose images are here; no image twice."""
    classes = sources.run.classes
    drawn: dict[int, str] = {}
    for row, cls in entries:
        if row in drawn:
            continue
        path = sources.path(str(ids[row]))
        words = []
        if targets is not None:
            there = [classes[i] for i in np.flatnonzero(targets[row])]
            words.append(f"has {', '.join(there) or 'no class'}")
        made = (
            figure(path, f"{classes[cls]} {scores[row, cls]:.2f}", [*words, str(ids[row])]) if path else None
        )
        if made:
            drawn[row] = made
        if len(drawn) == MISTAKES:
            break
    return gallery(list(drawn.values())) if drawn else note("None of these images could be read.")


# -- what it was made with ---------------------------------------------------------------------------------


def _thresholds(run: Run) -> list[str]:
    if not run.has("scores", "train.npz"):
        return []
    try:
        used = thresholds.in_use(run)
    except UserError:  # its sentence has the run's path, which is not told here
        return [section("Thresholds", note("The run's thresholds.json is damaged or of other classes."))]
    rows = [
        (name, f"{value:.3f}")
        for name, value in zip(run.classes, used.array(run.classes).tolist(), strict=True)
    ]
    lead = f"From this score on a class is a label: {used.in_words}."
    return [section("Thresholds", details("Class by class", table(("class", "threshold"), rows)), lead=lead)]


def _settings(run: Run) -> list[str]:
    seconds = run.state.get("seconds", {})
    times = table(("stage", "seconds"), [(stage, f"{spent:,.0f}") for stage, spent in seconds.items()])
    skipped = run.state.get("skipped_count") or len(run.state.get("skipped", []))
    parts = [note(f"{skipped:,} files could not be used.")] if skipped else []
    parts.append(details("Time by stage", times) if seconds else "")
    parts.append(details("All settings and versions", f"<pre>{text(run.settings_to_share())}</pre>"))
    return [section("Settings", *parts, lead="Paths and the name of the machine are left out.")]
