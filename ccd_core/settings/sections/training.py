"""The section `training`: optimiser, augmentation, loss and stop."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ccd_core.settings.sections.base import MOST_BATCH, Section


class TrainingSettings(Section):
    title = "Training"

    epochs: int = Field(10, ge=1, le=10**6, description="Epochs in all, warm-up included (4.1).")
    warmup_epochs: int = Field(2, ge=0, le=10**6, description="Epochs on the initial labels (4.1).")
    warmup_steps: int = Field(
        0,
        ge=0,
        le=10**9,
        description="Least number of steps of the warm-up; small data sets get more epochs for it.",
    )
    main_steps: int = Field(
        0, ge=0, le=10**9, description="Least number of steps after the warm-up, in the same way."
    )
    rate_steps: int | None = Field(
        None,
        ge=1,
        le=10**9,
        description="The number of steps that learning_rate is meant for; a run of fewer steps learns faster "
        "in proportion, up to 10 times.",
    )
    batch_size: int = Field(
        16, ge=1, le=MOST_BATCH, description="Images a step (4.1), in all where several devices share them."
    )
    warmup_on: Literal["one", "all"] = Field(
        "one",
        description="With several devices. one: a single one warms up, so that the labels are one "
        "device's to the bit; all: faster.",
    )
    optimizer: Literal["adam", "adamw", "sgd"] = Field(
        "adam",
        description="Optimiser (code: adam). adamw: for backbones that are trained with decay; sgd: with "
        "momentum 0.9, of LL-R's own recipe.",
    )
    learning_rate: float = Field(1e-5, gt=0, le=1e3, description="Learning rate of the backbone (4.1).")
    head_factor: float = Field(
        10.0, gt=0, le=1e6, description="The last layer learns this many times faster (code)."
    )
    weight_decay: float = Field(
        0.0, ge=0, le=1e3, description="Weight decay, mostly with adamw (none in paper or code)."
    )
    schedule: Literal["constant", "cosine", "step", "one_cycle"] = Field(
        "constant",
        description="Learning rate over the epochs; step: a tenth in the second half; one_cycle: up for a "
        "fifth of the steps, then down.",
    )
    schedule_epochs: int | None = Field(
        None,
        ge=1,
        le=10**6,
        description="For how many epochs the schedule is laid out; null: for those that are trained.",
    )
    decay: Literal["all", "matrices"] = Field(
        "all",
        description="What weight_decay decays: all parameters, or matrices alone, without biases and norms.",
    )
    average: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Decay of the moving average of the weights, which is then kept; 0: no average.",
    )
    crop: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Least side of a random crop as a share of the image; 1: no crops.",
    )
    rand_augment: int = Field(
        0, ge=0, le=10, description="Random changes of colour and geometry an image (RandAugment)."
    )
    cutout: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Side of a square that is painted over, as a share of the image (Cutout).",
    )
    beta: float = Field(
        1.0, ge=0, le=1e6, description="Weight of the consistency loss after warm-up (Eq. 8)."
    )
    jitter: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Strength of the strong copy's jitter of brightness, contrast, saturation and hue "
        "(code: 0.5).",
    )
    shared_flip: bool = Field(
        True, description="Weak and strong copy are flipped alike; the code flips them independently."
    )
    keep: Literal["first_local_minimum", "first_local_minimum_of_all", "last"] = Field(
        "first_local_minimum",
        description="Which epoch's model is kept: the first local minimum of the gain in train-label mAP "
        "after the labels were updated (4.1), or of all gains, that of the update included (code), or the "
        "last.",
    )
    positive_label: float = Field(
        1.0,
        gt=0,
        le=1,
        description="A training label counts as positive for that mAP from this value on (code: 1).",
    )
