"""The model card of an export: what the classifier is, how it was made, how good it is, and its limits."""

from __future__ import annotations

import re
from typing import Any

import yaml

from ccd_core.evaluation.marked import measure_run
from ccd_core.export.formats import Export
from ccd_core.export.thresholds import in_words
from ccd_core.runs.files.documents import Scores
from ccd_core.runs.provenance import own_version
from ccd_core.runs.run import Run

LISTED = 100  # classes that the table names; the others are counted
MARKS = re.compile(r"([\\`*_{}\[\]<>()#+!|$~&])")
PAPER = "Classifier-guided CLIP Distillation for Unsupervised Multi-label Classification (CVPR 2025)"


def markdown(text: object) -> str:
    """A name as Markdown that shows it as it is, on one line."""
    return MARKS.sub(r"\\\1", " ".join(str(text).split()))


def model_card(export: Export, parameters: int) -> str:
    """README.md, whose head in YAML the hub reads.

    parameters: the number of the model's weights.
    """
    run = export.run
    parts = [
        f"---\n{yaml.safe_dump(_head(run), sort_keys=False, allow_unicode=True)}---\n",
        f"# {markdown(run.name)}\n",
        f"A multi-label image classifier of {len(run.classes)} classes with {parameters / 1e6:.1f} million "
        "parameters. It was trained without any labels: CLIP labelled the images, the labels were debiased, "
        "CLIP was asked again about the parts that the classifier's own activation maps point at, and the "
        f"classifier learned from the result. The method is {PAPER}; this is a model of CCD Studio "
        f"{own_version()}.\n",
        _use(run),
        _data(run),
        _settings(run),
        _metrics(export),
        _labels(export),
        _limits(run),
    ]
    return "\n".join(parts)


def _head(run: Run) -> dict[str, Any]:
    return {
        "library_name": "ccd",
        "pipeline_tag": "image-classification",
        "tags": ["multi-label", "unsupervised", "clip-distillation", "class-activation-maps", "pytorch"],
        "datasets": [],
        "metrics": ["mAP", "f1"],
    }


def _use(run: Run) -> str:
    size = run.config.classifier.image_size
    return f"""## Use

```python
from ccd_core import Predictor

predictor = Predictor.from_pretrained("PATH_OR_HUB_ID")
[prediction] = predictor.predict(["photo.jpg"])
print(prediction.labels(predictor.classes, predictor.thresholds))
```

An image is turned upright, resized to {size} x {size} pixels (bilinear, without cropping) and normalised as
preprocessor_config.json says. Each class has a score of its own from 0 to 1, the sigmoid of its logit.
"""


def _data(run: Run) -> str:
    kind = run.config.data.spec.partition(":")[0]
    lines = [f"- Data set: of the kind `{kind}`; its place is not told here."]
    for split, what in (("train", "trained on, without labels"), ("val", "held out, only scored")):
        if run.has("scores", f"{split}.npz"):
            lines.append(f"- {len(run.load_scores(split)['ids']):,} images of the split {split}: {what}.")
    prompt = run.config.clip
    lines.append(
        f"- Teacher: CLIP {markdown(prompt.model)}, weights {markdown(_own_name(prompt.pretrained))}."
    )
    return "## Data\n\n" + "\n".join(lines) + "\n"


def _own_name(pretrained: str | None) -> str:
    """The name of published weights; files are not named."""
    if not pretrained:
        return "of the model itself"
    return "from a local file" if "/" in pretrained or "." in pretrained else pretrained


def _settings(run: Run) -> str:
    config = run.config
    rows = {
        "preset": config.preset_name,
        "backbone": config.classifier.backbone,
        "image size": f"{config.classifier.image_size} pixels",
        "epochs": f"{config.training.epochs}, of which {config.training.warmup_epochs} warm-up",
        "alpha of the label update": config.labels.alpha,
        "entropy threshold of the bias": config.bias.entropy_threshold,
        "seed": config.seed,
    }
    if best := run.load_best():
        rows["kept epoch"] = f"{best['epoch'] + 1} ({best['kept_because']})"
    table = "\n".join(f"| {name} | {markdown(value)} |" for name, value in rows.items())
    return f"## Settings\n\n| setting | value |\n|---|---|\n{table}\n\nconfig.json has all of them.\n"


def _metrics(export: Export) -> str:
    run = export.run
    head = "## Metrics\n\n" + _on_marked_images(export)
    found = _scores_of_classifier(run)
    if not found:
        return head + (
            "There was no other ground truth to measure this model against. Label a small random sample of "
            "your images before you rely on it.\n"
        )
    splits = {"val": "validation images", "train": "training images"}
    lines = ["| measured on | mAP | micro-AP | F1 at 0.5 |", "|---|---|---|---|"]
    for split, scores in found.items():
        values = (scores["mAP"], scores["micro_AP"], scores["F1"])
        lines.append(f"| {splits[split]} | {' | '.join(f'{value:.1f} %' for value in values)} |")
    first = found.get("val") or found["train"]
    text = "Ground truth measured this model; it trained nothing and chose nothing."
    table = ["| class | AP |", "|---|---|"]
    best = sorted(first["AP"].items(), key=lambda entry: -(entry[1] if entry[1] is not None else -1))
    for name, value in best[:LISTED]:
        table.append(f"| {markdown(name)} | {'no image has it' if value is None else f'{value:.1f} %'} |")
    if len(best) > LISTED:
        table.append(f"| {len(best) - LISTED} more classes | |")
    return head + "\n".join(lines) + f"\n\n{text}\n\n" + "\n".join(table) + "\n"


def _scores_of_classifier(run: Run) -> dict[str, Scores]:
    """{split: scores} of the classifier alone, as it is exported; without ground truth empty."""
    report = run.load_ap()
    if "classifier" in report:  # the run's own predictions are blended with CLIP's
        measured = report["classifier"]
    else:
        measured = {"val": report.get("val"), "train": report.get("train")}
    return {split: scores for split, scores in measured.items() if scores}


def _on_marked_images(export: Export) -> str:
    """What a person's marks on a random sample say; empty without enough of them."""
    found = measure_run(export.run, export.thresholds.array(export.run.classes), alone=True)
    if found is None:
        return ""
    lines = ["| measure | value (95 % confidence) |", "|---|---|"]
    lines += [f"| {name} | {one.in_words} |" for name, one in found.measures.items()]
    return (
        f"On {found.images} random images whose classes a person marked, at the thresholds below:\n\n"
        + "\n".join(lines)
        + "\n\n"
    )


def _labels(export: Export) -> str:
    return (
        "## Thresholds\n\nAn image gets a class if its score is at or above the class's threshold in "
        f"thresholds.json. They are {markdown(in_words(export.thresholds))}.\n"
    )


def _limits(run: Run) -> str:
    lines = [
        "- It knows its classes only, and its scores are no calibrated probabilities.",
        "- It learned from CLIP. What CLIP confuses or overlooks on such images, it may confuse, too.",
        "- It was made for images like those of its data set. On others it is worth what a test there says.",
        "- Its maps show what speaks for a class. Their boxes are no measured outlines of objects.",
        "- Do not use it to decide about people.",
    ]
    if run.config.blends:
        lines.insert(
            1,
            "- In the run that made it, predictions are blended with CLIP's. This model is the classifier "
            "alone, which may be worse.",
        )
    if run.config.clip.model == "demo":
        lines.insert(
            0,
            "- **This is a model of the project's demo.** It knows drawn toy scenes and is of no use on "
            "photographs.",
        )
    return "## Limits\n\n" + "\n".join(lines) + "\n"
