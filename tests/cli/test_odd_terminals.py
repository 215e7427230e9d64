"""Terminals and places that are not a developer's own: ASCII only, odd names, a folder with a random.py."""

from __future__ import annotations

import os
import re
import shlex
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from ccd_core.cli.bars import StageBars
from ccd_core.cli.text import shorter
from ccd_core.errors import UserError
from ccd_core.paths import home
from tests.support import ROOT, ccd_process

ODD = "[/b] [red]x"


def test_a_terminal_that_knows_ascii_only_gets_every_name_escaped():
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"}
    for name, escaped in (("l\u00f6we", r"l\udcc3\udcb6we"), (os.fsdecode(b"caf\xe9"), r"caf\udce9")):
        done = ccd_process("eval", name, env=environment)
        assert done.returncode == 2 and "Traceback" not in done.stderr and escaped in done.stderr


def test_a_users_random_py_and_numpy_py_are_not_imported(tmp_path):
    for name in ("random.py", "numpy.py", "json.py"):
        (tmp_path / name).write_text("raise SystemExit('the file of the user was imported')\n")
    import subprocess

    from ccd_core.machine.processes import child_environment, python_command

    command = python_command("ccd_core.cli", "settings", "--preset", "demo")
    done = subprocess.run(command, cwd=tmp_path, env=child_environment(), capture_output=True, text=True)
    assert done.returncode == 0 and "seed: 0" in done.stdout


def test_names_with_brackets_are_shown_as_they_are_by_the_bars():
    out = StringIO()
    with StageBars(Console(file=out)) as bars:
        bars.report("views", 0, 3, ODD)
    assert f"views ({ODD}): 3 images" in out.getvalue()
    terminal = StringIO()
    with StageBars(Console(file=terminal, force_terminal=True, width=200)) as bars:
        bars.report("views", 1, 3, ODD)
    assert ODD in terminal.getvalue()


def test_lists_and_sentences_show_a_name_as_it_is_and_a_terminal_obeys_none(ccd, copied_run, tmp_path):
    for name in ("[red]x", "[bold] [", "a :cat: b", "a\x1b[2Jb", "gpj\u202e.x"):
        copied_run(f"runs/{name}")
    refused = ccd("eval", "[/red] :cat: \x1b[2J")
    listed = ccd("runs", "--workspace", tmp_path / "runs")
    assert listed.code == 0 and refused.code == 2
    for shown in ("[red]x", "[bold] [", "a :cat: b", r"a\x1b[2Jb", r"gpj\u202e.x"):
        assert f" {shown} " in listed.out
    assert r"[/red] :cat: \x1b[2J is not a run" in refused.err
    assert not {"\x1b", "\u202e"} & set(listed.out + refused.err)


def test_a_name_of_thousands_of_letters_is_a_short_sentence(ccd):
    refused = ccd("eval", "a" * 5000)
    assert refused.code == 2 and len(refused.err) < 400 and "aaa..." in refused.err
    assert shorter("short words") == "short words"


def test_a_user_without_a_home_folder_is_told_to_name_one(monkeypatch):
    monkeypatch.delenv("CCD_HOME")
    monkeypatch.setattr(Path, "expanduser", lambda _: (_ for _ in ()).throw(RuntimeError("no home")))
    with pytest.raises(UserError, match="set CCD_HOME"):
        home()


def test_an_empty_preset_and_a_place_that_is_taken_are_refused_before_torch_is_loaded(ccd, tmp_path):
    assert "no preset ''" in ccd("settings", "--preset=").err
    (tmp_path / "taken").write_text("mine")
    photos = ROOT / "tests" / "old_run" / "photos"
    refused = ccd("run", "--preset=demo", f"--dataset=folder:{photos}", "--out", tmp_path / "taken")
    assert refused.code == 2 and "is not a run; choose another --out" in refused.err


@pytest.mark.parametrize("kind", ["voc2012", "coco2014", "nuswide"])
def test_a_command_that_is_shown_can_be_pasted(ccd, tmp_path, kind):
    folder = tmp_path / "it's; echo $(id)"
    folder.mkdir()
    refused = ccd("data", "check", f"{kind}:{folder}")
    shown = re.search(r"`(ccd data fetch .*?)`", " ".join((refused.out + refused.err).split()))
    assert shown and shlex.split(shown[1]) == ["ccd", "data", "fetch", kind, str(folder)]
