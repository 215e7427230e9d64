"""What may import what: packages stand in rows, and a package imports from rows below its own only.

The files are read, not run, so imports inside functions count as well.
"""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from itertools import product
from pathlib import Path

import pytest

from tests.support import ROOT

# From the top down. Packages and modules of one row do not import each other.
ROWS = (
    "pages",
    "app.main",
    "app.navigation",
    "app.parts",
    "app.components",
    "app.choices",
    "app.gradio_app, app.widgets, app.routes",
    "app.reading",
    "app.access, app.figures, app.state",
    "app.hosts, app.gradio_inputs, app.sessions, app.upload_quota",
    "ccd_core.cli, ccd_core.slurm",
    "ccd_core.jobs, ccd_core.comparison",
    "ccd_core.export, ccd_core.report",
    "ccd_core.execution, ccd_core.worker",
    "ccd_core.pipeline, ccd_core.study, ccd_core.predict, ccd_core.explore",
    "ccd_core.preflight, ccd_core.profiling, ccd_core.speed",
    "ccd_core.baselines",
    "ccd_core.stages",
    "ccd_core.training",
    "ccd_core.evaluation",
    "ccd_core.runs",
    "ccd_core.method",
    "ccd_core.data",
    "ccd_core.toy",
    "ccd_core.clip, ccd_core.machine",
    "ccd_core.config",
    "ccd_core.settings",
    "ccd_core.paths, ccd_core.weights",
    "ccd_core.files, ccd_core.yaml_files, ccd_core.device_memory",
    "ccd_core.errors, ccd_core._lazy",
)
ROW = {name: row for row, names in enumerate(ROWS) for name in names.split(", ")}
OPENS_A_FILE = re.compile(
    r"(\bopen|read_(text|bytes)|write_(text|bytes)|(np|torch)\.(load|save)|savez|(load|save)_file|mkdir|glob)$"
)


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    name_of(path): path for top in ("ccd_core", "app", "pages") for path in ROOT.glob(f"{top}/**/*.py")
}


def package_of(module: str) -> str:
    """The name in ROWS: `app.parts` of the module `app.parts.train_job`, `pages` of every page."""
    parts = module.split(".")
    return parts[0] if parts[0] == "pages" else ".".join(parts[:2])


@functools.cache
def imports_of(module: str) -> frozenset[str]:
    """All that the file of `module` imports, wherever in the file: modules of the project by full name."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively in line {node.lineno}; write the whole name"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in MODULES else str(node.module))
    return frozenset(found)


def imports_from(tops: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """(module, what it imports) of every file below `tops`."""
    for module in sorted(MODULES):
        if module.split(".")[0] in tops:
            for imported in sorted(imports_of(module)):
                yield module, imported


def test_every_package_has_its_row():
    """`ccd_core` itself has none: its __init__ gives names of many rows, lazily. That of `app` is empty."""
    assert {package_of(module) for module in MODULES} - {"ccd_core", "app"} == set(ROW)


def test_nothing_imports_from_its_own_row_or_from_above():
    upwards = []
    for module, imported in imports_from(("ccd_core", "app", "pages")):
        importing, used = package_of(module), package_of(imported)
        if imported not in MODULES or importing in ("ccd_core", used):
            continue
        if used == "ccd_core":
            upwards.append(
                f"{module} imports the face of the library; import from {imported}'s module instead"
            )
        elif ROW[used] <= ROW[importing]:
            upwards.append(f"{module} imports {imported}, which stands beside or above it")
    assert upwards == []


def test_modules_of_one_package_import_each_other_in_no_circle():
    graph = {
        module: {
            other
            for other in imports_of(module)
            if other in MODULES and other != module and package_of(other) == package_of(module)
        }
        for module in MODULES
        if module != package_of(module)  # a package's __init__ may give lazy names of its modules
    }
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as circle:
        pytest.fail(f"a circle of imports: {' -> '.join(circle.args[1])}")


@pytest.mark.parametrize("module", [name for name in sorted(MODULES) if name.startswith("ccd_core.method")])
def test_the_method_opens_no_file(module):
    """Weights of a backbone come through `ccd_core.weights`; all else is given as arrays and tensors."""
    imported = {package_of(name) for name in imports_of(module)}
    assert not imported & {"ccd_core.files", "ccd_core.paths", "os", "io", "json", "shutil", "tempfile"}
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert not OPENS_A_FILE.search(called), f"{module}, line {node.lineno}: {called}"


@pytest.mark.parametrize(
    ("top", "frameworks"),
    [
        ("ccd_core", ("streamlit", "gradio", "app", "pages")),
        ("app", ("torch",)),
        ("pages", ("torch", "gradio")),
    ],
)
def test_frameworks_stay_where_they_belong(top, frameworks):
    """The library knows no browser, and no page loads torch: the predictor's process has the models."""
    wrong = [
        (module, imported)
        for (module, imported), framework in product(imports_from((top,)), frameworks)
        if imported.split(".")[0] == framework
    ]
    assert wrong == []


def test_the_app_and_all_that_it_imports_load_without_torch():
    """app/gradio_app.py is a program of its own, which runs the model in its process."""
    programs = {"app.gradio_app", "app.navigation"}  # the second is a script that Streamlit runs, like a page
    wanted = {module for module in MODULES if module.startswith("app")} - programs
    for module, imported in imports_from(("app", "pages")):
        if imported in MODULES and module != "app.gradio_app":
            wanted.add(imported)
    assert len(wanted) > 30 and "ccd_core.jobs.control" in wanted
    code = "\n".join(
        ["import importlib, sys"]
        + [
            f"importlib.import_module({module!r}); assert 'torch' not in sys.modules, '{module} loads torch'"
            for module in sorted(wanted)
        ]
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
