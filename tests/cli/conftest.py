"""The command line in this process, which is quicker than a process of its own for every command."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace

import pytest

from ccd_core.cli import main


@pytest.fixture
def ccd(monkeypatch, capsys):
    """`ccd("eval", run, "--json")` -> `code`, `out` and `err`, as a shell would see them."""

    def run(*arguments: object) -> SimpleNamespace:
        monkeypatch.setattr(sys, "argv", ["ccd", *map(str, arguments)])
        monkeypatch.setattr(os, "execv", lambda *command: pytest.fail(f"it would become {command}"))
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
            sys.exit(0)
        code = left.value.code
        out, err = capsys.readouterr()
        return SimpleNamespace(code=code or 0, out=out, err=err)

    return run
