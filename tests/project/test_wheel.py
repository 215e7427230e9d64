"""The built wheel holds all that the command and the app need, and works from any folder."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    files = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    for name in files.stdout.splitlines():
        if (ROOT / name).is_file() and not name.startswith(("tests/", "docs/", "benchmarks/")):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--wheel-dir",
        str(folder),
        str(source),
    ]
    subprocess.run(command, check=True, capture_output=True, text=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The wheel's files as pip lays them out, without its dependencies, which are installed here."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def run(installed: Path, cwd: Path, *arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(installed)}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_holds_pages_components_and_the_demo(installed):
    for name in (
        "pages/overview.py",
        "app/style.css",
        "app/logo.svg",
        "app/.streamlit/config.toml",
        "assets/demo_clip/open_clip_model.safetensors",
        "assets/photo_words/words.tsv.gz",
        "assets/demo_run/checkpoints/best.safetensors",
        "ccd_core/py.typed",
    ):
        assert (installed / name).is_file(), name
    for pattern in ("*.js", "*.css", "*.html"):
        in_checkout = {path.relative_to(ROOT) for path in (ROOT / "app").rglob(pattern)}
        assert in_checkout
        assert in_checkout <= {path.relative_to(installed) for path in (installed / "app").rglob(pattern)}


@pytest.mark.slow
def test_it_predicts_with_the_demo_run_from_another_folder(installed, tmp_path):
    from PIL import Image

    where = run(installed, tmp_path, "-c", "import ccd_core; print(ccd_core.__file__)")
    assert Path(where.strip()).is_relative_to(installed)
    Image.new("RGB", (64, 64), (200, 30, 30)).save(tmp_path / "red.png")
    demo = installed / "assets" / "demo_run"
    said = run(installed, tmp_path, "-m", "ccd_core.cli", "predict", str(demo), "red.png")
    assert "red.png" in said


@pytest.mark.slow
def test_its_app_opens_on_the_demo_from_another_folder(installed, tmp_path):
    program = """
from streamlit.testing.v1 import AppTest
from ccd_core.paths import ROOT

app = AppTest.from_file(str(ROOT / "app" / "navigation.py"), default_timeout=120).run()
assert not app.exception, app.exception
print([box.value for box in app.selectbox])
"""
    assert "demo_run" in run(installed, tmp_path, "-c", program)
