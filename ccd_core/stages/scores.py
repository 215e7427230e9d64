"""Stage `scores`: predictions of the kept model and, with ground truth, the AP of predictions and labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ccd_core.clip.blend import blended
from ccd_core.data.loading import DecodedImages
from ccd_core.device_memory import Pass
from ccd_core.evaluation import thresholds
from ccd_core.evaluation.scorer import Scorer
from ccd_core.files import write_arrays, write_json
from ccd_core.method.classifier import CamClassifier
from ccd_core.runs.team import Team
from ccd_core.runs.work import Work
from ccd_core.stages.images import count_from
from ccd_core.stages.likeness import TrainingFeatures
from ccd_core.stages.teacher_scores import teacher_probabilities, write_safeguard
from ccd_core.training.checkpoint import load_kept_weights, set_kept_weights
from ccd_core.training.inference import IN_ONE_PASS, predict_scores
from ccd_core.training.trainer import Trainer, Validate


def validation(scorer: Scorer, images: DecodedImages, work: Work) -> Validate:
    """A function that returns a model's mAP in [0, 1] on the validation images; None without ground truth."""

    limit = Pass(IN_ONE_PASS)

    def validate(model: CamClassifier, team: Team) -> float | None:
        if not len(images):
            return None
        scores = predict_scores(model, images, work.accelerator, team, limit=limit)
        return scorer.mean_ap("val", images.ids, scores)

    return validate


def write_scores(
    trainer: Trainer,
    splits: dict[str, DecodedImages],
    scorer: Scorer,
    p_global: np.ndarray | None,
    work: Work,
    shares: Mapping[str, np.ndarray] | None = None,
) -> TrainingFeatures:
    """Write the kept model's predictions on every split to scores/, and APs to scores/ap.json.

    p_global: [N, C] the probabilities that labels of the training images were made of; None for a method that
    does without.
    shares: {split: [N, C]}, what predictions are blended with; the classifier's own scores are kept, too.
    ap.json has the APs of the predictions, of the labels, and of what CLIP itself says of the validation
    images. It is not written without ground truth. Returns features of training images, which come with their
    predictions.
    """
    run = work.folder
    best = run.load_json("checkpoints", "best.json")
    model = trainer.plain_model
    set_kept_weights(model, load_kept_weights(run), run)
    report: dict[str, Any] = {"epoch": best["epoch"]}
    found: dict[str, np.ndarray] = {}  # the classifier's own scores
    shares = shares or {}
    features = TrainingFeatures(len(splits["train"]), model.head.in_channels, work)
    with work.progress.stage("scores", sum(map(len, splits.values()))) as advance:
        done = 0
        for split, images in splits.items():
            if not len(images):
                continue
            seen = features.see if split == "train" else None
            told = count_from(done, advance)
            scores = predict_scores(model, images, work.accelerator, work.team, told, seen=seen)
            done += len(images)
            found[split] = scores
            arrays = {"ids": np.array(images.ids), "scores": scores}
            if split in shares:
                scores = blended(scores, shares[split], work.config.predict.blend)
                arrays |= {"scores": scores, "classifier": found[split]}
            if work.team.first:
                write_arrays(run.file("scores", f"{split}.npz"), **arrays)
            report[split] = scorer.report(split, images.ids, scores)
    if not work.team.first:
        return features
    labels = run.load_labels()
    has_views = not np.isnan(labels["local"]).all()
    kinds = {
        "global": p_global,
        "initial": labels["initial"],
        "local": np.nan_to_num(labels["local"]) if has_views else None,
        "final": labels["final"],
    }
    ids = splits["train"].ids
    p_val = teacher_probabilities(run, splits["val"].ids) if "val" in splits else None
    if p_val is not None:
        report["clip"] = {"val": scorer.report("val", splits["val"].ids, p_val)}
    of_split = "train" if p_val is None else "val"
    p = p_global if p_val is None else p_val
    if "val" in shares:
        report["classifier"] = {"val": scorer.report("val", splits["val"].ids, found["val"])}
    if p is not None:
        write_safeguard(run, found[of_split], p, of_split)
    report["labels"] = {
        kind: scorer.report("train", ids, values) for kind, values in kinds.items() if values is not None
    }
    if any(report.get(split) for split in ("train", "val")):
        write_json(run.file("scores", "ap.json"), report)
    thresholds.save_without_labels(run)
    return features
