"""The teacher: CLIP models of open_clip, their weights and their image towers at any input size.

May import `weights`, `config`, `prompts`, `paths` and `errors`. The method, the stages and the predictor use
it. `ClipTeacher` is its public name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ccd_core._lazy import lazy_names

if TYPE_CHECKING:
    from ccd_core.clip.teacher import ClipTeacher

__all__ = ["ClipTeacher"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "ClipTeacher": "ccd_core.clip.teacher",
    },
)
