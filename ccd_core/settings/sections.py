"""The sections of a run's settings, each with its meaning, unit and limits.

Numbers in parentheses are sections of the paper (Kim and Shim, CVPR 2025). "Code" is the authors' public
implementation. config.py puts the sections together. presets.py has the values of the presets and their
sources.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, ClassVar, Literal, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    computed_field,
    field_validator,
    model_validator,
)

from ccd_core.settings.prompts import check

# Larger numbers are typing errors. They would fill the memory or take for ever.
MOST_SIDE = 8192  # pixels of a side of an image or a view
MOST_BATCH = 65_536  # images or views a step
MOST_SEED = 9 * 10**12  # the trainer multiplies it by a million, and torch takes 63 bits
# Marks a field whose value may be a mapping, but a new mapping replaces the old one and is not merged with
# it.
REPLACED_AS_A_WHOLE: dict[str, Any] = {"replaced_as_a_whole": True}


class Section(BaseModel):
    """A group of settings. `title` is its heading in the app."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, allow_inf_nan=False)
    title: ClassVar[str] = "General"

    @field_validator("*", mode="before")
    @classmethod
    def _is_what_it_says(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse true for a number, which pydantic would take for 1, and NUL, which no path can contain."""
        kinds = _kinds(cls.model_fields[str(info.field_name)].annotation)
        if isinstance(value, bool) and kinds & {int, float} and bool not in kinds:
            raise ValueError(f"is a number, not {str(value).lower()}")
        if isinstance(value, str) and "\0" in value:
            raise ValueError("has a character that no name has")
        return value


def _kinds(annotation: Any) -> set[Any]:
    """The types that a setting may have, for example {int, NoneType} of `int | None`."""
    return set(get_args(annotation)) if get_origin(annotation) is UnionType else {annotation}


MethodName = Literal[
    "bce",
    "bce_ls",
    "asl",
    "sst",
    "sarb",
    "ll_r",
    "g2netpl",
    "an",
    "an_ls",
    "wan",
    "partial_bce",
    "role",
    "cdul",
    "ccd",
    "cdul_patch",
    "ccd_patch",
    "clip_zero_shot",
    "clip_grid",
    "sparc",
]
# What labels of the training images a method is given. A method that is not named is given none.
SUPERVISION: dict[str, Literal["full", "partial", "single"]] = {
    "bce": "full",
    "bce_ls": "full",
    "asl": "partial",
    "sst": "partial",
    "sarb": "partial",
    "ll_r": "single",
    "g2netpl": "single",
}


class MethodSettings(Section):
    title = "Method"

    name: MethodName = Field(
        "ccd",
        description="ccd, or another method of Table 1, on the same data. With labels: bce and bce_ls (all), "
        "asl, sst and sarb (some), ll_r and g2netpl (one an image). Without: an, an_ls, wan, partial_bce, "
        "role, cdul, and cdul_patch and ccd_patch, whose labels come from CLIP's patches. Without training: "
        "clip_zero_shot, clip_grid, sparc.",
    )
    recipe: Literal["common", "own"] = Field(
        "common",
        description="common: this run's training settings, the same for all methods; own: those of the "
        "method's authors, where they are known.",
    )
    label_seed: int | None = Field(
        None,
        ge=0,
        le=2**32 - 1,
        description="Which labels a method with some labels is given; null: the published seed (one an "
        "image: 1200, some: 0) plus the run's seed.",
    )
    known_labels: float = Field(
        0.1, gt=0, le=1, description="Probability that an entry is known, for asl, sst and sarb (Table 1)."
    )
    head_width: int = Field(
        1024, ge=8, le=16_384, description="Features of a class in the head of sst and sarb (their code)."
    )
    options: dict[str, float] = Field(
        default_factory=dict,
        description="Other values of the method's own constants, which its file in ccd_core/baselines names, "
        "such as {delta: 0.4} of ll_r.",
        json_schema_extra=REPLACED_AS_A_WHOLE,
    )

    @model_validator(mode="before")
    @classmethod
    def _without_what_follows(cls, values: Any) -> Any:
        """Drop `supervision`, which is written to config.yaml for readers and follows from the name."""
        if not isinstance(values, dict):
            return values
        return {key: value for key, value in values.items() if key != "supervision"}

    @computed_field  # type: ignore[prop-decorator]
    @property
    def supervision(self) -> Literal["none", "full", "partial", "single"]:
        """Which labels of the training images the run is given: none, full, partial or single."""
        return SUPERVISION.get(self.name, "none")

    @property
    def trains(self) -> bool:
        """Whether a classifier is trained; else CLIP alone scores the images."""
        return self.name not in ("clip_zero_shot", "clip_grid", "sparc")

    @property
    def is_ccd(self) -> bool:
        """Whether the run goes CCD's way, from warm-up over local views to the main phase."""
        return self.name in ("ccd", "ccd_patch")

    @property
    def from_patches(self) -> bool:
        """Whether the labels come from CLIP's patches, by PIAA's recipe, in place of whole images."""
        return self.name in ("ccd_patch", "cdul_patch")


class DataSettings(Section):
    title = "Data set"

    spec: str = Field(
        "demo",
        description="Data set: demo, folder:DIR, imagefolder:ROOT, csv:FILE, "
        "coco:ANNOTATIONS.json[,IMAGES], voc:ROOT, yolo:ROOT, hf:ROOT, voc2007:ROOT, voc2012:ROOT, "
        "coco2014:ROOT or nuswide:ROOT.",
    )
    classes: Path | None = Field(
        None, description="File with one class name a line (folder:, csv: and hf: data sets only)."
    )
    workers: int = Field(
        -1, ge=-1, le=1024, description="Processes that decode images; -1: one for each core, at most 8."
    )
    cache_gb: float = Field(
        8.0,
        ge=0,
        le=1e6,
        description="Decoded images are cached on disk, in $CCD_HOME, up to this size (GB); 0: none.",
    )


class ClipSettings(Section):
    title = "CLIP"

    model: str = Field(
        "RN50x64", description="open_clip model, local-dir:PATH, hf-hub:NAME, demo or photo-words."
    )
    pretrained: str | None = Field("openai", description="open_clip tag, or path of a local checkpoint.")
    size: int = Field(
        640,
        ge=32,
        le=MOST_SIDE,
        description="Side of the global view and longer side of a local view, pixels (4.1).",
    )
    normalisation: Literal["clip", "imagenet"] = Field(
        "clip", description="Mean and std of CLIP's input; imagenet is the code's."
    )
    prompt: str | list[str] = Field(
        "a photo of the {}",
        description="Prompt with {} for the class name (3.1; NUS-WIDE: a photo of a {}), a list of "
        "prompts to average, imagenet7 or imagenet80 (OpenAI's sets).",
    )
    names: dict[str, str | list[str]] = Field(
        default_factory=dict,
        description="Other words for a class in prompts, several are averaged: {tvmonitor: [tv monitor, "
        "television]}.",
    )
    probabilities: Literal["softmax", "sigmoid"] = Field(
        "softmax",
        description="softmax over the classes (Eq. 2), for SigLIP too; sigmoid: each class by itself, "
        "of sigmoid-trained models only.",
    )
    background: list[str] = Field(
        default_factory=list,
        description="Words for what local views show besides the classes, such as grass or wall: they take a "
        "share of a view's softmax. A word like a class name is left out. The paper has none.",
    )
    batch_size: int | str = Field(
        "auto",
        description="Images or views in one CLIP forward pass; auto: what is quickest on this machine, "
        "measured once.",
    )
    fold_norms: bool = Field(
        True,
        description="Batch norms of a ResNet CLIP become part of its convolutions: quicker, and the same but "
        "for rounding.",
    )
    round_to: int | None = Field(
        None,
        ge=1,
        le=MOST_SIDE,
        description="Sides of local views are rounded to multiples of this, so that they batch; null: "
        "the tower's stride; 1: exact.",
    )

    @field_validator("batch_size")
    @classmethod
    def _is_auto_or_a_number(cls, size: int | str) -> int | str:
        if size == "auto" or (isinstance(size, int) and 1 <= size <= MOST_BATCH):
            return size
        raise ValueError(f"is auto or a whole number from 1 to {MOST_BATCH}")

    @field_validator("background")
    @classmethod
    def _has_words(cls, words: list[str]) -> list[str]:
        if all(word.strip() for word in words):
            return words
        raise ValueError("has an empty word")

    @field_validator("prompt")
    @classmethod
    def _has_a_place_for_the_class(cls, prompt: str | list[str]) -> str | list[str]:
        check(prompt)
        return prompt


class BiasSettings(Section):
    title = "CLIP bias"

    mode: Literal["class", "constant", "floor", "none"] = Field(
        "class",
        description="class: debias by each class's CLIP bias (3.3); constant: by their mean (a "
        "control); floor: the floor alone (a control); none: neither floor nor debiasing.",
    )
    entropy_threshold: float = Field(
        0.5, gt=0, le=1e6, description="Only images with less entropy than this (natural log) count (4.1)."
    )
    entropy_share: float | None = Field(
        None,
        gt=0,
        le=1,
        description="The entropy threshold as a share of log C, the most that C classes can have; it "
        "takes the place of entropy_threshold.",
    )
    shrink: float = Field(
        0.0,
        ge=0,
        le=1e9,
        description="A class's bias counts as measured on so many more images, all at the mean bias: few "
        "images cannot decide.",
    )
    form: Literal["divide", "smooth"] = Field(
        "divide",
        description="How a probability p becomes a label with bias b. divide: min(p / b, 1), the paper's; "
        "smooth: 1 - (1 - p)^(1/b), nearly p / b where p is small, and without ties at 1.",
    )
    floor: float | None = Field(
        0.05,
        ge=0,
        lt=1,
        description="The least probability before debiasing (code: 1/20); null: 1/20, or 1/C where there "
        "are more than 20 classes.",
    )
    floor_form: Literal["max", "blend"] = Field(
        "max",
        description="How the floor f raises a probability p. max: max(p, f), the code's; blend: "
        "f + (1 - f) p, which keeps the order.",
    )


class NoneImageSettings(Section):
    title = "Images without a class"

    filter: Literal["off", "similarity", "entropy"] = Field(
        "off",
        description="Images without any class get labels of zero (supplement, 8); told by the best "
        "class's similarity, or by entropy.",
    )
    threshold: float | None = Field(
        None,
        ge=-1,
        le=1e6,
        description="Cosine below, or entropy (nats) above which an image shows no class; null: Otsu's "
        "split.",
    )


class ClassifierSettings(Section):
    title = "Classifier"

    backbone: str = Field("resnet101", description="torchvision ResNet name, timm:NAME, or clip:demo (4.1).")
    backbone_options: dict[str, Any] = Field(
        default_factory=dict,
        description="Further arguments of the backbone's constructor.",
        json_schema_extra=REPLACED_AS_A_WHOLE,
    )
    weights: str | None = Field(
        "imagenet", description="imagenet, a local file (safetensors or torch), or null for random weights."
    )
    image_size: int = Field(448, ge=32, le=MOST_SIDE, description="Side of a training image, pixels.")
    cam_size: int = Field(
        640, ge=32, le=MOST_SIDE, description="Side of the image that CAMs are computed from, pixels (4.1)."
    )
    cam_boost: float = Field(
        1.0, gt=0, le=1e6, description="Positive activations are multiplied by this (code: 3)."
    )

    frozen: float = Field(
        0.0,
        ge=0,
        le=1,
        description="This share of the backbone's layers, from the image on, keeps its weights; 1: only the "
        "head learns.",
    )
    frozen_below: int = Field(
        0,
        ge=0,
        le=10**9,
        description="With fewer training images than this, only the head learns, as with frozen: 1.",
    )

    learns: Literal["all", "last_stage"] = Field(
        "all",
        description="Which layers of the backbone learn, where frozen is below 1. last_stage: its last stage "
        "alone, such as layer4 of a ResNet (SST's and SARB's own recipe).",
    )

    @field_validator("backbone_options")
    @classmethod
    def _load_no_files(cls, options: dict[str, Any]) -> dict[str, Any]:
        """Refuse timm's own arguments for weights, which can load pickles and files of the machine."""
        files = sorted(
            {"checkpoint_path", "pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"} & set(options)
        )
        if files:
            raise ValueError(
                f"{', '.join(files)} would load files unchecked; name a file in classifier.weights instead"
            )
        if not all(map(math.isfinite, _numbers(options))):
            raise ValueError("a number in it is not finite")
        return options


def _numbers(value: Any) -> Iterator[float]:
    """All numbers of type float in nested lists and dictionaries."""
    if isinstance(value, float):
        yield value
    elif isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _numbers(inner)


class MeanViews(Section):
    mean_views: float = Field(10.0, gt=0, le=1e6, description="Mean number of views an image (4.3).")


class SearchedViews(Section):
    """The search of the authors' code for the view threshold.

    It tries each threshold on the next `images` images, until their mean number of views lies in `between`.
    """

    between: tuple[float, float] = Field(
        (4.0, 6.0), description="Mean number of views an image, both ends excluded."
    )
    images: int = Field(100, ge=1, le=10**9, description="Shuffled images at each threshold.")
    start: float = Field(0.05, ge=0, le=1, description="The first threshold.")
    step: float = Field(0.001, ge=1e-6, le=1, description="What the threshold rises by.")

    @field_validator("between")
    @classmethod
    def _has_something_between(cls, ends: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= ends[0] < ends[1]:
            raise ValueError("the first number is below the second, and neither is below zero")
        return ends

    @property
    def mean_views(self) -> float:
        """The middle of the interval that is searched for."""
        return sum(self.between) / 2


class ViewSettings(Section):
    title = "Local views"

    policy: Literal["cam", "random", "moved"] = Field(
        "cam",
        description="cam: CAM boxes (3.2). Two controls: random boxes, as many; or the CAM views, moved to "
        "random places.",
    )
    threshold: float | MeanViews | SearchedViews = Field(
        default_factory=MeanViews,
        description="Classes scored above this get a view (0 to 1); or mean_views; or the code's search.",
        json_schema_extra=REPLACED_AS_A_WHOLE,
    )
    cam_threshold: float = Field(
        0.95, gt=0, lt=1, description="A CAM box holds the pixels above this share of the map's range (4.1)."
    )
    offset: int = Field(
        80,
        ge=0,
        le=MOST_SIDE,
        description="A view reaches this far beyond the CAM box, pixels of the frame (4.1).",
    )
    frame: int = Field(
        640, ge=32, le=MOST_SIDE, description="Side of the square frame in which boxes are cut, pixels (4.1)."
    )
    box: Literal["extent", "peak", "first_last"] = Field(
        "extent",
        description="extent: around all pixels above the threshold; peak: around those connected with the "
        "highest; first_last: the code's, first and last pixel in row order.",
    )
    smallest: float = Field(
        0.0, ge=0, lt=1, description="A view of a smaller share of the frame is enlarged to it."
    )
    largest: float = Field(
        1.0, gt=0, le=1, description="A view of a larger share of the frame is reduced to it."
    )
    ask_once: bool = Field(
        False, description="CLIP is asked once for several equal views of an image; the paper does not say."
    )

    @field_validator("largest")
    @classmethod
    def _is_not_below_the_smallest(cls, largest: float, info: ValidationInfo) -> float:
        if largest < info.data.get("smallest", 0):
            raise ValueError("is below views.smallest")
        return largest


class LabelSettings(Section):
    title = "Labels"

    update: bool = Field(True, description="Update the labels with local views after warm-up (3.2).")
    alpha: float = Field(
        0.4, ge=0, le=1, description="Weight of the initial label in the final label (Eq. 7)."
    )
    clamp_local: bool = Field(
        True,
        description="Clamp debiased local labels to 1 before mixing (Eq. 5-7); the code clamps only the mix.",
    )
    views_required: bool = Field(
        True, description="An image without views keeps its initial label; the code mixes in floor / bias."
    )


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


class PredictSettings(Section):
    title = "Predictions"

    blend: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Weight of CLIP's own probabilities in CCD's predictions; 0: the classifier alone.",
    )
    grid: int = Field(
        1,
        ge=1,
        le=6,
        description="What CLIP is asked for that share: the whole image (1), or the cells of a grid with so "
        "many on a side, of which the largest probability counts. A prediction costs a CLIP pass a cell.",
    )

    @property
    def in_words(self) -> str:
        """How a blended score comes about, as the end of a sentence."""
        seen = "the whole image" if self.grid == 1 else f"{self.grid} x {self.grid} cells of the image"
        return f"{1 - self.blend:.0%} the classifier's and {self.blend:.0%} CLIP's, asked of {seen}"
