"""What the app's process must not load: a page never imports torch, and the library never imports the app's frameworks."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_pages_need_no_torch():
    imports = "import sys, app.widgets, app.figures, app.image_component, app.gallery, app.image_routes, app.cam_panels, app.view_lab_panels, app.view_lab_component, app.predicting, app.pipeline_strip, ccd_core.jobs, ccd_core.bias, ccd_core.labels, ccd_core.metrics"
    code = f"{imports}; assert 'torch' not in sys.modules, 'torch was imported'"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    for page in (ROOT / "pages").glob("*.py"):
        assert "torch" not in page.read_text(), page


def test_the_library_knows_no_browser():
    for module in (ROOT / "ccd_core").rglob("*.py"):
        assert not re.search(r"^\s*(import|from) (streamlit|gradio)\b", module.read_text(), re.MULTILINE), (
            module
        )
