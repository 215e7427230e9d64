"""The section `method`: CCD or another method of Table 1, and which labels it is given."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, computed_field, model_validator

from ccd_core.settings.sections.base import REPLACED_AS_A_WHOLE, Section

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
