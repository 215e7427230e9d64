"""The section `predict`: what a prediction is made of."""

from __future__ import annotations

from pydantic import Field

from ccd_core.settings.sections.base import Section


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
