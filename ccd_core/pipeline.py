"""CCD from unlabelled images to a trained classifier, in the order of the paper's Section 3.

    run = run_ccd(CCDConfig.preset("demo"), out="runs/first")

`learn` is the whole method. Each step leaves its result in the run's folder, once, so a stopped run goes on.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch

from ccd_core.baselines.learn import learn_baseline
from ccd_core.clip.teacher import load_teacher
from ccd_core.config import CCDConfig
from ccd_core.data import open_dataset
from ccd_core.data.types import Dataset
from ccd_core.errors import UserError
from ccd_core.evaluation.scorer import Scorer
from ccd_core.machine.device import make_accelerator
from ccd_core.machine.gpus import devices_of
from ccd_core.method.classifier import make_classifier
from ccd_core.method.labels import debiased_local, final_labels, initial_labels
from ccd_core.method.none_images import zero_none_images
from ccd_core.preflight import preflight
from ccd_core.profiling import profiled
from ccd_core.runs.progress import Progress, Reporter
from ccd_core.runs.run import Run
from ccd_core.runs.session import session
from ccd_core.runs.work import Work
from ccd_core.stages.global_labels import global_outputs
from ccd_core.stages.images import usable_images
from ccd_core.stages.inventory import forget_changed, same_dataset
from ccd_core.stages.labels import find_none_images, measure_bias, read_local_probabilities, write_labels
from ccd_core.stages.likeness import write_likeness_of
from ccd_core.stages.local_views import find_views
from ccd_core.stages.scores import validation, write_scores
from ccd_core.stages.teacher_scores import teacher_of_validation
from ccd_core.training.distributed import launch
from ccd_core.training.schedule import fitted
from ccd_core.training.trainer import Trainer


def run_ccd(
    config: CCDConfig,
    out: str | Path,
    reporter: Reporter | None = None,
    same_images: bool = False,
    profile: bool = False,
) -> Run:
    """Run CCD, or the method that `config` names, in the folder `out`, or go on with the run that is there.

    reporter(stage, done, total, detail) is called as the work proceeds. same_images: leave out images that
    are gone or have changed since the run began. profile: see where the time
    goes (`profiling`). Raises UserError for a mistake that the user can correct.
    """
    drawing = (lambda done, total: reporter("drawing", done, total, "")) if reporter else None
    dataset = open_dataset(config.data.spec, config.data.classes, progress=drawing)
    notes = preflight(config, dataset, out)
    run = Run.create(out, config, dataset.classes)
    devices = devices_of(config.device)
    if profile and len(devices) > 1:
        raise UserError("--profile looks at one process; name one device, such as --device cuda:0.")
    with session(run, notes):
        if same_images:
            forget_changed(dataset, run)
        if len(devices) > 1:
            launch(run, devices, reporter)  # calls `learn` in one process for each device
        else:
            accelerator = make_accelerator(config.device, config.precision)
            method = learn if config.method.name == "ccd" else learn_baseline
            with profiled(run, reporter) if profile else nullcontext(reporter) as listener:
                method(dataset, Work(config, accelerator, run, Progress(run, listener)))
    return run


def learn(dataset: Dataset, work: Work) -> None:
    """The method (Sec. 3). Every process of the run executes it, and only the first one writes files."""
    config = work.config
    dataset = same_dataset(dataset, work)
    scorer = Scorer(dataset)  # the only part that reads ground truth; nothing below depends on its results
    work.progress.preparing("loading CLIP")
    clip = load_teacher(config.clip, dataset.classes, work.accelerator)
    train, val = usable_images(dataset, work)

    work = replace(
        work, config=fitted(config, len(train), tell=True)
    )  # epochs and rate by the number of images
    config = work.config

    # Sec. 3.1: probabilities of whole images, Eq. 1-3
    global_clip = global_outputs(clip, train.images, work)

    # Sec. 3.3: initial labels, debiased; images that show no class (supplement, Sec. 8)
    bias = measure_bias(global_clip.p, work)
    none = find_none_images(global_clip, work)
    initial = zero_none_images(initial_labels(global_clip.p, bias, config), none)

    # Sec. 3.4: warm-up
    work.progress.preparing("loading the classifier")
    torch.manual_seed(config.seed)
    trainer = Trainer(make_classifier(config.classifier, len(dataset.classes)), work)
    validate = validation(scorer, val, work)
    trainer.warm_up(train, initial, validate)

    if config.labels.update:
        # Sec. 3.2: local views, Eq. 4; local labels, Eq. 5-6; final labels, Eq. 7
        find_views(trainer.plain_model, clip, train.images, work)
        p_local, n_views = read_local_probabilities(work.folder, train.ids)
        local = debiased_local(p_local, bias, config)
        final = zero_none_images(final_labels(initial, local, config), none)
        write_labels(work, train.ids, initial, local, final, n_views)
        trainer.train(train, final, validate)  # Sec. 3.4: main phase, Eq. 8
    else:
        write_labels(work, train.ids, initial)

    teacher_of_validation(clip, val, work)  # for comparison: nothing above sees it
    write_scores(trainer, {"train": train, "val": val}, scorer, global_clip.p, work)
    write_likeness_of(trainer.plain_model, train, work)
