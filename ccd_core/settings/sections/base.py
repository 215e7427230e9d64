"""What every section of settings has, and the largest numbers that settings take."""

from __future__ import annotations

from types import UnionType
from typing import Any, ClassVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

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
