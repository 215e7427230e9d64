"""`ccd data`: exit codes, JSON, and sentences."""

from __future__ import annotations

import json
import subprocess
import sys

from typer.testing import CliRunner

from ccd_core.cli.commands import app
from ccd_core.data.check import examine_dataset
from tests.make_datasets import make_nuswide


def ccd(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["data", *arguments], env={"COLUMNS": "200"})
    return result.exit_code, result.output


def test_json_is_the_report(tmp_path):
    make_nuswide(tmp_path, n=10)
    code, said = ccd("check", f"nuswide:{tmp_path}", "--quick", "--json")
    report = json.loads(said)
    assert code == 1 and report == examine_dataset(f"nuswide:{tmp_path}").plain()
    assert report["splits"]["train"]["without_class"] == 2 and len(report["classes"]) == 81
    assert any("2 images of train (20.0 %) show none of the classes" in note for note in report["notes"])


def test_fetch_without_a_network_is_one_sentence_and_exit_code_2(tmp_path):
    code = "from ccd_core.cli import main; import sys; sys.argv = ['ccd', 'data', 'fetch', 'nuswide', sys.argv[1]]; main()"
    result = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert result.returncode == 2 and "Flickr.zip" in result.stderr and "Traceback" not in result.stderr
