"""CCD from unlabelled images to a trained classifier, in the order of the paper's Section 3.

    run = run_ccd(CCDConfig.preset("demo"), out="runs/first")

Who reads `learn` has read the method. Every step leaves its result in the run's folder and is skipped where
that is there already. So a killed run goes on where it was, and any step can be looked at.
"""

from __future__ import annotations

import logging
from pathlib import Path

import torch

from ccd_core.clip.teacher import load_teacher
from ccd_core.config import CCDConfig
from ccd_core.data import open_dataset
from ccd_core.data.types import Dataset
from ccd_core.evaluation.scorer import Scorer
from ccd_core.machine.device import check_device, describe, make_accelerator
from ccd_core.machine.gpus import devices_of
from ccd_core.method.classifier import make_classifier
from ccd_core.method.labels import debiased_local, final_labels, initial_labels
from ccd_core.method.none_images import zero_none_images
from ccd_core.runs.progress import Progress, Reporter
from ccd_core.runs.run import Run
from ccd_core.runs.session import session
from ccd_core.runs.work import Work
from ccd_core.stages.global_labels import global_outputs
from ccd_core.stages.images import usable_images
from ccd_core.stages.inventory import forget_changed, same_dataset
from ccd_core.stages.labels import find_none_images, measure_bias, read_local_probabilities, write_labels
from ccd_core.stages.local_views import find_views
from ccd_core.stages.scores import validation, write_scores
from ccd_core.training.distributed import launch
from ccd_core.training.trainer import Trainer

log = logging.getLogger("ccd")


def run_ccd(
    config: CCDConfig, out: str | Path, reporter: Reporter | None = None, same_images: bool = False
) -> Run:
    """Run CCD, or go on with the run that is in `out`. Raises UserError for what the user can put right.

    reporter(stage, done, total, detail) is called as work proceeds. same_images: go on without the images
    that are gone or have changed since the run began.
    """
    drawing = (lambda done, total: reporter("drawing", done, total, "")) if reporter else None
    dataset = open_dataset(config.data.spec, config.data.classes, progress=drawing)
    devices = devices_of(config.device)
    for device in devices:
        check_device(device)
    run = Run.create(out, config, dataset.classes)
    with session(run):
        if same_images:
            forget_changed(dataset, run)
        if len(devices) > 1:
            launch(run, devices, reporter)  # `learn` in a process for each
        else:
            accelerator = make_accelerator(config.device, config.precision)
            learn(dataset, Work(config, accelerator, run, Progress(run, reporter)))
    return run


def learn(dataset: Dataset, work: Work) -> None:
    """The method. Each process of the run's team goes through it; the first one writes."""
    config = work.config
    dataset = same_dataset(dataset, work)
    scorer = Scorer(dataset)
    log.info("%s: %d classes, on %s", config.data.spec, len(dataset.classes), describe(work.accelerator))
    train, val = usable_images(dataset, work)

    work.progress.preparing("loading CLIP")
    clip = load_teacher(config.clip, dataset.classes, work.accelerator)
    global_clip = global_outputs(clip, train.images, work)  # Sec. 3.1, Eq. 1-3
    bias = measure_bias(global_clip.p, work)  # Sec. 3.3
    none = find_none_images(global_clip, work)  # supplement, Sec. 8
    initial = zero_none_images(initial_labels(global_clip.p, bias, config), none)

    work.progress.preparing("loading the classifier")
    torch.manual_seed(config.seed)
    trainer = Trainer(make_classifier(config.classifier, len(dataset.classes)), work)
    validate = validation(scorer, val, work)  # logged, never acted on
    trainer.warm_up(train, initial, validate)  # Sec. 3.4

    if config.labels.update:
        find_views(trainer.plain_model, clip, train.images, work)  # Sec. 3.2, Eq. 4
        p_local, n_views = read_local_probabilities(work.folder, train.ids)  # Eq. 5-6
        local = debiased_local(p_local, bias, config)
        final = zero_none_images(final_labels(initial, local, config), none)  # Eq. 7
        write_labels(work, train.ids, initial, local, final, n_views)
        trainer.train(train, final, validate)  # Eq. 8
    else:
        write_labels(work, train.ids, initial)

    write_scores(trainer, {"train": train, "val": val}, scorer, global_clip.p, work)
