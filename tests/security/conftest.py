from __future__ import annotations

from tests.cli.conftest import ccd

__all__ = ["ccd"]
