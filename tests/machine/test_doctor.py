"""What `ccd doctor` finds on this machine, and what it advises."""

from __future__ import annotations

import platform

import pytest

from ccd_core.machine import doctor
from ccd_core.machine.doctor import examine


@pytest.fixture(scope="module")
def findings():
    return {finding.what: finding for finding in examine()}


def test_it_says_what_there_is(findings):
    assert list(findings) == ["python", "torch", "GPU", "memory", "disk", "demo CLIP", "weights"]
    assert findings["python"].found == platform.python_version() and findings["python"].ok
    assert findings["demo CLIP"].ok and "assets/demo_clip" in findings["demo CLIP"].found


def test_what_is_missing_comes_with_advice(findings, tmp_path, monkeypatch):
    for finding in findings.values():
        assert finding.ok or finding.advice
    monkeypatch.setattr(doctor, "DEMO_CLIP", tmp_path)
    missing = next(finding for finding in examine() if finding.what == "demo CLIP")
    assert not missing.ok and missing.needed and "not complete" in missing.advice
