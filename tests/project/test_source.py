"""Habits of the source that ruff has no rule for."""

from __future__ import annotations

import ast

import pytest

from tests.support import ROOT

FILES = [
    path
    for top in ("ccd_core", "app", "pages", "benchmarks", "examples", "tests")
    for path in sorted(ROOT.glob(f"{top}/**/*.py"))
]


def test_no_conditional_expression_stands_in_another():
    nested = [
        f"{path.relative_to(ROOT)}:{inner.lineno}"
        for path in FILES
        for outer in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(outer, ast.IfExp)
        for inner in (outer.body, outer.orelse)
        if isinstance(inner, ast.IfExp)
    ]
    assert nested == []


@pytest.mark.parametrize("top", ["ccd_core", "app"])
def test_folders_stay_small(top):
    """Whoever opens a folder should see at once what is in it."""
    crowded = {
        str(folder.relative_to(ROOT)): count
        for folder in {path.parent for path in FILES if path.is_relative_to(ROOT / top)}
        if (count := len(list(folder.glob("*.py")))) > 16
    }
    assert crowded == {}
