"""Keys of the session and of links are named in app/state.py, and nowhere else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import state
from tests.support import ROOT

FILES = [*(ROOT / "app").rglob("*.py"), *(ROOT / "pages").glob("*.py")]
STORES = ("st.session_state", "st.query_params")


def keys_used(path: Path) -> Iterator[ast.expr]:
    """The keys of session and link that a file uses, and those of widgets that are bound to the link."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) in STORES:
            yield node.slice
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if ast.unparse(node.func.value) in STORES and node.args:
                yield node.args[0]
            options = {option.arg: option.value for option in node.keywords}
            if "bind" in options:
                yield options["key"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_key_is_written_out_where_it_is_used(path):
    if path.relative_to(ROOT).as_posix() != "app/state.py":
        written = [ast.unparse(key) for key in keys_used(path) if isinstance(key, ast.Constant)]
        assert written == []


def test_every_key_is_used():
    code = "".join(path.read_text() for path in FILES if path.name != "state.py")
    names = [name for name in vars(state) if not name.startswith("_")]
    assert len(names) > 60 and [name for name in names if f"state.{name}" not in code] == []
