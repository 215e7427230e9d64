"""The section `classifier`: its backbone, sizes, and which layers learn."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field, field_validator

from ccd_core.settings.sections.base import MOST_SIDE, REPLACED_AS_A_WHOLE, Section


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

    fold_norms: bool = Field(
        True,
        description="Where the backbone does not learn, its batch norms become part of its convolutions: "
        "quicker, and the same but for rounding.",
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
