"""CCD from unlabelled images to a trained classifier, in the order of the paper's Section 3.

`learn` is the whole method. `execution.run_ccd` calls it for a run. Each step leaves its result in the run's
folder, where the result can be examined, and is not computed again.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from ccd_core.clip.teacher import load_teacher
from ccd_core.data.types import Dataset
from ccd_core.evaluation.scorer import Scorer
from ccd_core.method.classifier import make_classifier
from ccd_core.method.labels import debiased_local, final_labels, initial_labels
from ccd_core.method.none_images import zero_none_images
from ccd_core.runs.work import Work
from ccd_core.stages.global_labels import global_outputs
from ccd_core.stages.images import usable_images
from ccd_core.stages.inventory import same_dataset
from ccd_core.stages.labels import (
    bias_of_global,
    find_none_images,
    measure_bias,
    read_local_probabilities,
    write_labels,
)
from ccd_core.stages.likeness import write_likeness_of
from ccd_core.stages.local_views import find_views
from ccd_core.stages.scores import validation, write_scores
from ccd_core.stages.teacher_scores import clip_shares, teacher_of_validation
from ccd_core.training.schedule import fitted
from ccd_core.training.trainer import Trainer


def learn(dataset: Dataset, work: Work) -> None:
    """The method (Sec. 3). Every process of the run executes it, and only the first one writes files."""
    config = work.config
    dataset = same_dataset(dataset, work)
    scorer = Scorer(dataset)  # the only part that reads ground truth; nothing below depends on its results
    work.progress.preparing("loading CLIP")
    clip = load_teacher(config.clip, dataset.classes, work.accelerator)
    train, val = usable_images(dataset, work)

    config = fitted(config, len(train), tell=True)  # epochs and learning rate by the number of images
    work = replace(work, config=config)

    # Sec. 3.1: probabilities of whole images, Eq. 1-3
    global_clip = global_outputs(clip, train.images, work)

    # Sec. 3.3: initial labels, debiased; images that show no class (supplement, Sec. 8)
    bias = measure_bias(global_clip.p_clip, work)
    none = find_none_images(global_clip, work)
    own_bias = bias_of_global(global_clip, bias, config)  # the same, but for labels from patches
    initial = zero_none_images(initial_labels(global_clip.p, own_bias, config), none)

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
    splits = {"train": train, "val": val}
    shares = clip_shares(clip, splits, global_clip.p_clip, work)  # CLIP's part in predictions
    features = write_scores(trainer, splits, scorer, global_clip.p, work, shares)
    write_likeness_of(features, work)
