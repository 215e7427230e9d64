"""The public names of `ccd_core` are the same for Python, for type checkers and for editors."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys

import pytest

import ccd_core
import ccd_core.runs
from tests.support import ROOT

NAMES = {
    "CCDConfig",
    "CamClassifier",
    "ClipTeacher",
    "Predictor",
    "Run",
    "UserError",
    "aggregate_views",
    "average_precision",
    "cam_box",
    "ccd_loss",
    "clip_bias",
    "crop_views",
    "debias",
    "entropy",
    "first_local_minimum",
    "normalize_cam",
    "run_ccd",
    "update_labels",
}
LAZY_PACKAGES = [
    path.parent for path in sorted(ROOT.glob("ccd_core/**/__init__.py")) if "lazy_names(" in path.read_text()
]


def test_the_library_exports_these_18_names():
    assert len(NAMES) == 18 and len(ccd_core.__all__) == 18 and set(ccd_core.__all__) == NAMES
    assert set(dir(ccd_core)) >= NAMES
    with pytest.raises(AttributeError, match="no attribute 'run_cdd'"):
        _ = ccd_core.run_cdd


@pytest.mark.parametrize("package", LAZY_PACKAGES, ids=lambda path: path.name)
def test_what_type_checkers_read_is_what_python_loads(package):
    """A lazy package lists its names three times: for type checkers, in `__all__`, and in its table."""
    tree = ast.parse((package / "__init__.py").read_text())
    for_checkers, listed, table = {}, set(), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for line in node.body:
                assert isinstance(line, ast.ImportFrom)
                for_checkers |= {alias.name: line.module for alias in line.names}
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            listed = set(ast.literal_eval(node.value))
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "lazy_names":
            table = ast.literal_eval(node.args[1])
    assert table and table == for_checkers and set(table) == listed
    module = importlib.import_module(".".join(package.relative_to(ROOT).parts))
    for name, home in table.items():
        assert getattr(module, name).__module__ == home


# Other packages' types are left out: with them this takes three times as long and says nothing more of ours.
MYPY = """
[mypy]
python_version = 3.11
ignore_missing_imports = true
follow_imports = silent
[mypy-torch.*,torchvision.*,numpy.*,pandas.*,open_clip.*,timm.*,sklearn.*,PIL.*,cv2.*,pydantic.*]
follow_imports = skip
"""


@pytest.mark.slow
def test_a_type_checker_knows_every_public_name(tmp_path):
    (tmp_path / "mypy.ini").write_text(MYPY)
    lines = [f"reveal_type(ccd_core.{name})" for name in sorted(NAMES)]
    (tmp_path / "user.py").write_text("\n".join(["import ccd_core", *lines]))
    options = ["--config-file", str(tmp_path / "mypy.ini"), "--cache-dir", str(tmp_path / "cache")]
    command = [sys.executable, "-m", "mypy", *options, str(tmp_path / "user.py")]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    revealed = re.findall(r'Revealed type is "(.*)"', checked.stdout)
    assert len(revealed) == len(NAMES)
    assert all(kind.startswith("def (") for kind in revealed), revealed


def test_the_package_says_that_it_has_types():
    """PEP 561: type checkers look for this file. The test of the wheel looks for it in what is installed."""
    assert (ROOT / "ccd_core" / "py.typed").is_file()
