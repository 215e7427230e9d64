"""Which columns of a table hold the pictures and the labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from ccd_core.data.kinds.hugging_face.tables import Shards, features_of, schema_of
from ccd_core.data.listing.names import shown, some
from ccd_core.errors import UserError

LABEL_COLUMNS = (
    "labels", "label", "classes", "class", "categories", "category", "tags", "tag", "objects", "class_name",
    "class_names", "label_name", "label_names", "fine_label", "species",
)  # fmt: skip
IMAGE_COLUMNS = ("image", "img", "picture", "photo", "jpg", "jpeg", "png", "webp")


@dataclass(frozen=True)
class Columns:
    """Where pictures and labels are. path: the label's column and the fields in it. names: of numbers."""

    image: str
    path: tuple[str, ...] = ()
    names: tuple[str, ...] | None = None
    others: tuple[str, ...] = ()  # columns that could have been the labels


def find_columns(root: Path, shards: Shards) -> Columns:
    """The columns of pictures and labels. Raises UserError if there is none of pictures."""
    schema = schema_of(shards.files[0])
    features = features_of(root, shards)
    images = [
        name for name in schema.names if _is_image(features.get(name), schema.field(name).type, name)
    ]  # the first one is taken
    if not images:
        raise UserError(
            f"{shown(shards.files[0])} has no column with the bytes of pictures; its columns are "
            f"{some(schema.names)}."
        )
    found = [
        (path, names)
        for name in schema.names
        if name not in images
        for path, names in _labels_in((name,), features.get(name), schema.field(name).type)
    ]
    # Class labels with names come first, then the usual words.
    found.sort(key=lambda entry: (entry[1] is None, _place_of(entry[0][0])))
    others = tuple(".".join(path) for path, _ in found[1:])
    if not found:
        return Columns(images[0])
    return Columns(images[0], found[0][0], found[0][1], others)


def _place_of(column: str) -> int:
    return LABEL_COLUMNS.index(column.lower()) if column.lower() in LABEL_COLUMNS else len(LABEL_COLUMNS)


def _is_image(feature: Any, kind: pa.DataType, name: str) -> bool:
    if pa.types.is_struct(kind):
        has_bytes = kind.get_field_index("bytes") >= 0 and _is_binary(kind.field("bytes").type)
        is_known = isinstance(feature, dict) and feature.get("_type") == "Image"
        return has_bytes and (is_known or feature is None)
    return _is_binary(kind) and name.lower() in IMAGE_COLUMNS


def _is_binary(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _labels_in(
    path: tuple[str, ...], feature: Any, kind: pa.DataType
) -> Iterator[tuple[tuple[str, ...], tuple[str, ...] | None]]:
    """(path, names of its numbers or None) of each place in a column that may hold labels."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        yield from _labels_in(path, _inner(feature), kind.value_type)
    elif pa.types.is_struct(kind):
        fields = _inner(feature)
        for place in range(kind.num_fields):
            name = kind.field(place).name
            inner = fields.get(name) if isinstance(fields, dict) else None
            yield from _labels_in((*path, name), inner, kind.field(place).type)
    elif isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and pa.types.is_integer(kind):
        names = feature.get("names")
        is_named = isinstance(names, list) and names and all(isinstance(name, str) for name in names)
        yield path, tuple(names) if is_named and isinstance(names, list) else None
    elif path[-1].lower() in LABEL_COLUMNS and (
        pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)
    ):
        yield path, None


def _inner(feature: Any) -> Any:
    """What a list holds, in any of the forms that versions of the library write."""
    if isinstance(feature, list):
        return feature[0] if feature else None
    if isinstance(feature, dict) and feature.get("_type") in ("Sequence", "List", "LargeList"):
        return feature.get("feature")
    return feature


def check_columns(shards: Shards, columns: Columns) -> None:
    """Raises UserError if a file of a split has other columns than the first one."""
    wanted = {columns.image, *columns.path[:1]}
    for path in shards.files:
        if missing := wanted - set(schema_of(path).names):
            raise UserError(f"{shown(path)} lacks the column {some(sorted(missing))}, which others have.")
