"""Files of weights: tensors by name, read as data. Nothing in a file is run, whatever the file says.

May import `files` and `errors`, no other part of the project. `clip` and `method` read weights through it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ccd_core._lazy import lazy_names

if TYPE_CHECKING:
    from ccd_core.weights.files import read_weights

__all__ = ["read_weights"]

__getattr__, __dir__ = lazy_names(__name__, {"read_weights": "ccd_core.weights.files"})
