"""The section `clip`: the teacher and what it is asked (3.1)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from ccd_core.settings.prompts import check
from ccd_core.settings.sections.base import MOST_BATCH, MOST_SIDE, Section


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
        description="CLIP's batch norms become part of its convolutions: quicker, and the same but "
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
