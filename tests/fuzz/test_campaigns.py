"""Some inputs of each campaign: none may end in a traceback, a hang, or a wrong result without a word."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.fuzz.__main__ import CAMPAIGNS
from tests.fuzz.outcomes import FAULTS, Case, Outcome, Silent, counts, run_case
from tests.support import ROOT


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_no_input_of_a_campaign_ends_badly(name):
    command = [sys.executable, "-m", "tests.fuzz", name, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    found = [Outcome(**json.loads(line)) for line in done.stdout.splitlines()]
    assert len(found) == CAMPAIGNS[name].few, done.stderr[-2000:]
    assert not [one for one in found if one.kind in FAULTS]
    assert counts(found)["sentence"] > 0 and counts(found)["worked"] > 0


def _fail(_):
    raise ValueError("wrong")


def _wrong(_):
    raise Silent("a wrong result")


def _wait(_):
    import time

    time.sleep(60)


@pytest.mark.parametrize(
    ("door", "kind"),
    [(_fail, "traceback"), (_wrong, "silent"), (_wait, "hang"), (lambda _: None, "worked")],
)
def test_faults_are_seen(door, kind, tmp_path, monkeypatch):
    monkeypatch.setattr("tests.fuzz.outcomes.SECONDS", 1)
    one = run_case(Case("case", lambda _: None, {"good": lambda _: None, "door": door}), tmp_path / "case")
    assert one.kind == kind
