"""Another method from images to a trained classifier: what `pipeline.learn` is for CCD.

Stages, trainer, evaluation and the run's folder are CCD's own. Only the labels and the loss differ, and for
SST and SARB the head.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from ccd_core.baselines.inputs import LabelFree, Setting, TrainingFree
from ccd_core.baselines.models import make_model
from ccd_core.baselines.registry import implementation, label_seed, method_of
from ccd_core.baselines.supervision import Supervision, WithLabels, supervise
from ccd_core.baselines.with_labels.semantic_head import cooccurrence_graph
from ccd_core.clip.teacher import PromptedClip, load_teacher
from ccd_core.config import CCDConfig
from ccd_core.data.loading import DecodedImages
from ccd_core.data.types import Dataset, ImageList
from ccd_core.errors import UserError
from ccd_core.evaluation.scorer import Scorer
from ccd_core.files import write_arrays, write_json
from ccd_core.machine.gpus import devices_of
from ccd_core.method.patch_labels import patch_options
from ccd_core.runs.work import Work
from ccd_core.stages.global_labels import global_outputs
from ccd_core.stages.images import usable_images
from ccd_core.stages.inventory import same_dataset
from ccd_core.stages.labels import write_labels
from ccd_core.stages.likeness import write_likeness_of
from ccd_core.stages.scores import validation, write_scores
from ccd_core.stages.tiles import grid_embeddings, probabilities
from ccd_core.training.objective import Objective
from ccd_core.training.schedule import fitted
from ccd_core.training.trainer import Trainer

log = logging.getLogger("ccd")
GRID = 3  # tiles a side, as in CDUL


def check_baseline(config: CCDConfig) -> None:
    """Raises UserError for settings with which a method other than CCD cannot run."""
    devices = devices_of(config.device)
    if len(devices) > 1 and config.method.name != "ccd":
        raise UserError(
            f"The method {config.method.name} runs on one device, not on {len(devices)}; name one, such as "
            f"{devices[0]}. `ccd table` gives each device a run of its own."
        )
    if config.method.from_patches:
        patch_options(config.method.options, others=not config.method.is_ccd)


def learn_baseline(dataset: Dataset, work: Work) -> None:
    """The method of `config.method`, with its scores."""
    config = work.config
    method = method_of(config)
    dataset = same_dataset(dataset, work)
    scorer = Scorer(dataset)
    train, val = usable_images(dataset, work)
    work = replace(work, config=fitted(config, len(train), tell=True))  # as many steps as CCD would make
    config = work.config
    if not method.trains:
        _score_only(dataset, {"train": train, "val": val}, scorer, work)
        return
    p_global: np.ndarray | None = None
    supervision: Supervision | None = None
    clip: PromptedClip | None = None
    if config.method.supervision == "none":
        work.progress.preparing("loading CLIP")
        clip = load_teacher(config.clip, dataset.classes, work.accelerator)
        p_global = global_outputs(clip, train.images, work).p
        objective = _without_labels(p_global, clip, train.images, work)
    else:
        kind = config.method.supervision
        known = config.method.known_labels
        supervision = supervise(dataset, train.ids, kind, label_seed(config), known)
        log.warning("this run USES LABELS: %s", supervision.in_words())
        objective = _with_labels(supervision, work)
    work.progress.preparing("loading the classifier")
    words: dict[str, Any] = {}
    if method.own_head:
        assert supervision is not None
        text = load_teacher(config.clip, dataset.classes, work.accelerator).text
        words = {"words": text.cpu().numpy(), "graph": cooccurrence_graph(supervision.labels)}
    torch.manual_seed(config.seed)
    trainer = Trainer(make_model(config, len(dataset.classes), **words), work, objective)
    trainer.fit(train, validation(scorer, val, work))
    _write_labels(train, objective, work)
    features = write_scores(trainer, {"train": train, "val": val}, scorer, p_global, work)
    write_likeness_of(features, work)


def _setting(work: Work) -> Setting:
    config = work.config
    kind = config.data.spec.partition(":")[0]
    chosen = config.method
    return Setting(kind, chosen.options, config.seed, chosen.head_width, work.accelerator.device)


def _without_labels(p: np.ndarray, clip: PromptedClip, images: ImageList, work: Work) -> Objective:
    """The objective of a method that sees what CLIP says of the images, and nothing else."""

    def tiles() -> np.ndarray:
        return probabilities(clip, grid_embeddings(clip, images, GRID, work))

    inputs = LabelFree(_setting(work), p, tiles)
    return implementation(method_of(work.config)).make(inputs)


def _with_labels(supervision: Supervision, work: Work) -> Objective:
    """The objective of a method that uses labels."""
    inputs = WithLabels(_setting(work), supervision)
    return implementation(method_of(work.config)).make(inputs)


def _write_labels(train: DecodedImages, objective: Objective, work: Work) -> None:
    """Write labels.npz: the labels at the beginning and at the end of training, with 0.5 for unknown ones.

    A method whose code has -1 for known negatives begins with 0 for them.
    """
    labels = objective.labels
    first = (labels + 1) / 2 if (labels < 0).any() else labels
    now = np.nan_to_num(objective.current_labels(), nan=0.5)
    write_labels(work, train.ids, first.astype(np.float32), final=now.astype(np.float32))


def _score_only(dataset: Dataset, splits: dict[str, DecodedImages], scorer: Scorer, work: Work) -> None:
    """Score the images of both splits with CLIP alone, and write scores/ and scores/ap.json."""
    work.progress.preparing("loading CLIP")
    clip = load_teacher(work.config.clip, dataset.classes, work.accelerator)
    p_global = global_outputs(clip, splits["train"].images, work).p
    score = implementation(method_of(work.config)).scores
    report: dict[str, Any] = {"epoch": 0}
    for split, images in splits.items():
        if not len(images):
            continue
        scores = score(_clip_alone(clip, images.images, work))
        write_arrays(work.folder.file("scores", f"{split}.npz"), ids=np.array(images.ids), scores=scores)
        report[split] = scorer.report(split, images.ids, scores)
    write_labels(work, splits["train"].ids, p_global)
    labels = {"global": scorer.report("train", splits["train"].ids, p_global)}
    if any(report.get(split) for split in splits):
        write_json(work.folder.file("scores", "ap.json"), report | {"labels": labels})


def _clip_alone(clip: PromptedClip, images: ImageList, work: Work) -> TrainingFree:
    """What CLIP says of the images of one split."""
    whole = grid_embeddings(clip, images, 1, work)[:, 0]

    def tiles() -> np.ndarray:
        return probabilities(clip, grid_embeddings(clip, images, GRID, work))

    similarity = whole @ clip.text.cpu().numpy().T
    return TrainingFree(_setting(work), probabilities(clip, whole), similarity, tiles)
