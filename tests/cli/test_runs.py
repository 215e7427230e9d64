"""`ccd runs`: list, show and delete the runs of a workspace."""

from __future__ import annotations

import json

import pytest


@pytest.mark.parametrize("arguments", [(), ("list",)])
def test_runs_lists_the_workspace(ccd, tiny_run, arguments):
    result = ccd("runs", "--workspace", tiny_run.path.parent, *arguments)
    assert result.code == 0 and "tiny" in result.out and "finished" in result.out


def test_runs_are_shown_and_deleted(ccd, copied_run, tmp_path):
    copy = copied_run("copy")
    (listed,) = json.loads(ccd("runs", "list", "--workspace", tmp_path, "--json").out)
    assert listed["run"] == "copy" and listed["status"] == "finished"
    assert json.loads(ccd("runs", "show", copy.path).out)["config"]["preset_name"] == "demo"
    assert ccd("runs", "delete", copy.path, "--yes").code == 0 and not copy.path.exists()
