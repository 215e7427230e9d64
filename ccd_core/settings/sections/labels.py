"""The sections `bias`, `none_images` and `labels`: from CLIP's probabilities to pseudo-labels (3.3, 3.4)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ccd_core.settings.sections.base import Section


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
