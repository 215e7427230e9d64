"""The methods that can be compared: names, titles, what they are told of the images, and where they are.

A method's file has its source and formula. It offers `make(inputs)`, which returns an `Objective`; a method
without training offers `scores(inputs)`. This module needs no torch.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from ccd_core.baselines.tables import USES_LABELS, Group
from ccd_core.config import CCDConfig

CLIP_TOP = "CLIP's most probable class of each image"
PATCHES = (
    "PIAA's recipe, as the specification says: a Gaussian classifier of CLIP's patch features, with one "
    "setting for all data sets; no reproduction."
)


@dataclass(frozen=True)
class Method:
    """One method.

    title: its name in tables. group: what it is told of the training images. labels: where its training
    labels come from. module: its file in `with_labels` or `without_labels`; None for those that go CCD's way,
    which is `ccd_core.pipeline`. own_head: whether it brings a head of its own. note: what a reader of a
    table must know.
    """

    title: str
    group: Group
    labels: str
    module: str | None
    own_head: bool = False
    note: str = ""

    @property
    def uses_labels(self) -> bool:
        return self.group in USES_LABELS

    @property
    def trains(self) -> bool:
        return self.group != "training_free"


# In the order of the paper's Table 1, then what a user would take instead.
METHODS: dict[str, Method] = {
    "bce": Method("BCE", "full", "all labels", "bce"),
    "bce_ls": Method("BCE-LS", "full", "all labels", "bce_ls"),
    "sarb": Method(
        "SARB (CLIP words)",
        "partial",
        "some entries",
        "sarb",
        own_head=True,
        note="The smallest faithful version, with CLIP's text embeddings in place of GloVe.",
    ),
    "asl": Method("ASL (masked)", "partial", "some entries", "asl"),
    "sst": Method(
        "Chen et al., SST (CLIP words)",
        "partial",
        "some entries",
        "sst",
        own_head=True,
        note="The smallest faithful version, with CLIP's text embeddings in place of GloVe.",
    ),
    "ll_r": Method("LL-R", "single", "one positive an image", "ll_r"),
    "g2netpl": Method(
        "G2NetPL-style",
        "single",
        "one positive an image",
        "g2netpl",
        note="Our reading of the abstract; no code is public, so this is no reproduction.",
    ),
    "an": Method("Naive AN", "label_free", CLIP_TOP, "an"),
    "an_ls": Method("Szegedy et al. (AN-LS)", "label_free", CLIP_TOP, "an_ls"),
    "wan": Method("Aodha et al. (WAN)", "label_free", CLIP_TOP, "wan"),
    "partial_bce": Method(
        "Durand et al. (partial BCE)",
        "label_free",
        "CLIP's probabilities, thresholded",
        "partial_bce",
        note="With its curriculum, without its graph network.",
    ),
    "role": Method(
        "ROLE",
        "label_free",
        CLIP_TOP,
        "role",
        note="The expected number of positives comes from CLIP's probabilities, not from ground truth.",
    ),
    "cdul": Method(
        "CDUL",
        "label_free",
        "CLIP's probabilities of images and 3 x 3 tiles",
        "cdul",
        note="Its schedule is not published; ours is in docs/methods.md.",
    ),
    "ccd": Method("CCD", "label_free", "CLIP's probabilities, debiased, with local views", None),
    "cdul_patch": Method(
        "CDUL, PIAA's recipe",
        "label_free",
        "CLIP's patches, and its probabilities of 3 x 3 tiles",
        "cdul_patch",
        note=PATCHES,
    ),
    "ccd_patch": Method(
        "CCD, PIAA's recipe",
        "label_free",
        "CLIP's patches, debiased, with local views",
        None,
        note=PATCHES,
    ),
    "clip_zero_shot": Method("CLIP zero-shot", "training_free", "none", "clip_zero_shot"),
    "clip_grid": Method("CLIP, maximum of 3 x 3 tiles", "training_free", "none", "clip_grid"),
    "sparc": Method(
        "CLIP, standardised twice (SPARC's first step)",
        "training_free",
        "none",
        "sparc",
        note="Standardised over the images that it scores, so a score depends on the other images.",
    ),
}
LABELS_USED = {
    "full": "all labels of the training images",
    "partial": "a part of the labels of the training images",
    "single": "one positive label of each training image",
}


def method_of(config: CCDConfig) -> Method:
    """The method of a run."""
    return METHODS[config.method.name]


def implementation(method: Method) -> Any:
    """The module of a method, which loads torch."""
    assert method.module is not None, "CCD is ccd_core.pipeline"
    folder = "with_labels" if method.uses_labels else "without_labels"
    return importlib.import_module(f"ccd_core.baselines.{folder}.{method.module}")


def labels_used(config: CCDConfig) -> str | None:
    """Which labels of the training images a run uses, in a few words; None if it uses none."""
    return LABELS_USED.get(config.method.supervision)


def label_source(config: CCDConfig) -> str:
    """Where the training labels of a run come from, with the seed and the rate where some are drawn."""
    kind = config.method.supervision
    if kind == "partial":
        return f"{100 * config.method.known_labels:g} % of the entries, label seed {label_seed(config)}"
    if kind == "single":
        return f"one positive an image, label seed {label_seed(config)}"
    return method_of(config).labels


PUBLISHED_SEEDS = {"partial": 0, "single": 1200}  # of HCP-MLR-PL and single-positive-multi-label


def label_seed(config: CCDConfig) -> int:
    """The seed by which a run's labels are drawn: the published one for seed 0, and on from there."""
    if config.method.label_seed is not None:
        return config.method.label_seed
    return (PUBLISHED_SEEDS.get(config.method.supervision, 0) + config.seed) % 2**32
