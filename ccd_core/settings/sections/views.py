"""The section `views`: where the local views are cut (3.2)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from ccd_core.settings.sections.base import MOST_SIDE, REPLACED_AS_A_WHOLE, Section


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
