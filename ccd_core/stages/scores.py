"""Stage `scores`: what the kept model predicts and, where there is ground truth, how good that and the labels
are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from safetensors.torch import load_file

from ccd_core.data.loading import DecodedImages
from ccd_core.evaluation.scorer import Scorer
from ccd_core.files import write_arrays, write_json
from ccd_core.method.classifier import CamClassifier
from ccd_core.runs.team import Team
from ccd_core.runs.work import Work
from ccd_core.stages.images import count_from
from ccd_core.training.trainer import Trainer, Validate, predict_scores


def validation(scorer: Scorer, images: DecodedImages, work: Work) -> Validate:
    """A function that scores a model on the validation images [N]: mAP in [0, 1], None without ground truth."""

    def validate(model: CamClassifier, team: Team) -> float | None:
        if not len(images):
            return None
        return scorer.mean_ap("val", images.ids, predict_scores(model, images, work.accelerator, team))

    return validate


def write_scores(
    trainer: Trainer, splits: dict[str, DecodedImages], scorer: Scorer, p_global: np.ndarray, work: Work
) -> None:
    """Predictions of the kept model on every split to scores/, and AP of predictions and labels to
    scores/ap.json.
    """
    run = work.folder
    best = run.load_json("checkpoints", "best.json")
    model = trainer.plain_model
    model.load_state_dict(load_file(run.file("checkpoints", "best.safetensors")))
    report: dict[str, Any] = {"epoch": best["epoch"]}
    with work.progress.stage("scores", sum(map(len, splits.values()))) as advance:
        done = 0
        for split, images in splits.items():
            if not len(images):
                continue
            scores = predict_scores(model, images, work.accelerator, work.team, count_from(done, advance))
            done += len(images)
            if work.team.first:
                write_arrays(run.file("scores", f"{split}.npz"), ids=np.array(images.ids), scores=scores)
            report[split] = scorer.report(split, images.ids, scores)
    if not work.team.first:
        return
    labels = run.load_labels()
    kinds = {
        "global": p_global,
        "initial": labels["initial"],
        "local": np.nan_to_num(labels["local"]),
        "final": labels["final"],
    }
    ids = splits["train"].ids
    report["labels"] = {kind: scorer.report("train", ids, values) for kind, values in kinds.items()}
    if any(report.get(split) for split in ("train", "val")):
        write_json(run.file("scores", "ap.json"), report)
