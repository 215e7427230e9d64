"""`ccd gradio` and `ccd space`: the predictor alone, on this machine or as a Hugging Face Space."""

from __future__ import annotations

import os
import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ccd_core.cli.options import AllowedHosts, RunPath, name_hosts
from ccd_core.cli.text import say
from ccd_core.errors import UserError
from ccd_core.paths import ROOT

if TYPE_CHECKING:
    from ccd_core.runs.run import Run

OF_RUN = ("checkpoints/best.safetensors", "checkpoints/best.json", "thresholds.json")
OF_APP = ("app/gradio_app.py", "app/gradio_inputs.py", "app/hosts.py")
# Of the project's packages; the Space brings gradio.
NEEDED = (
    "torch",
    "torchvision",
    "open_clip_torch",
    "timm",
    "accelerate",
    "safetensors",
    "numpy",
    "pillow",
    "pyarrow",
    "scikit-learn",
    "pydantic",
    "PyYAML",
    "psutil",
    "filelock",
)
README = """---
title: What is in the picture?
sdk: gradio
sdk_version: {gradio}
app_file: app/gradio_app.py
---

A multi-label classifier of {count} classes, trained without labels (CCD, CVPR 2025).
"""


def gradio_app(
    path: RunPath,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 7860,
    address: Annotated[
        str,
        typer.Option(help="Address to listen on; on anything but 127.0.0.1 others can use the page, too."),
    ] = "127.0.0.1",
    share: Annotated[
        bool, typer.Option("--share", help="Ask gradio.live for a public link; it ends with this command.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    allowed_host: AllowedHosts = None,
) -> None:
    """Open the predictor alone: a page to send to a colleague, and an HTTP API.

    Its examples are the images in RUN/examples, else some of the run's own.
    """
    from ccd_core.runs.run import Run

    name_hosts(allowed_host)
    Run.open(path)
    settings = {
        "CCD_RUN": str(path.resolve()),
        "CCD_DEVICE": device,
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_SERVER_NAME": address,
    }
    os.environ |= settings | ({"GRADIO_SHARE": "True"} if share else {})
    os.execv(sys.executable, [sys.executable, str(ROOT / "app" / "gradio_app.py")])


def space(
    path: RunPath, folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new or an empty folder.")]
) -> None:
    """Write a folder that is a Hugging Face Space: the page of `ccd gradio` with the run's classifier.

    ccd space runs/photos my-space

    hf upload NAME/my-space my-space . --repo-type space
    """
    from ccd_core.runs.files.shared_files import links_among_examples, require_own_file, shipped_examples
    from ccd_core.runs.run import Run

    run = Run.open(path)
    if not run.has("checkpoints", "best.safetensors"):
        raise UserError(f"{path} has no trained classifier yet; wait until the run is finished.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is not empty; name a new folder.")
    examples = shipped_examples(run.path)
    wanted = {name: ROOT / name for name in OF_APP}
    wanted |= {f"run/{name}": require_own_file(run.path, name) for name in OF_RUN if _is_there(run, name)}
    wanted |= {f"run/{path.relative_to(run.path)}": path for path in examples or []}
    shutil.copytree(ROOT / "ccd_core", folder / "ccd_core", ignore=shutil.ignore_patterns("__pycache__"))
    if run.config.classifier.backbone == "clip:demo":  # its architecture is read from there
        shutil.copytree(ROOT / "assets" / "demo_clip", folder / "assets" / "demo_clip")
    for name, source in wanted.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, folder / name)
    (folder / "run" / "config.yaml").write_text(run.settings_to_share(), encoding="utf-8")
    (folder / "README.md").write_text(
        README.format(gradio=metadata.version("gradio"), count=len(run.classes)), encoding="utf-8"
    )
    required = [line for line in metadata.requires("ccd-studio") or [] if line.startswith(NEEDED)]
    (folder / "requirements.txt").write_text("\n".join(required) + "\n", encoding="utf-8")
    said = f"{folder} is a Space."
    if links := links_among_examples(run.path):
        said += f" {links} of its examples were left out, because they are links."
    if examples is None:
        said += f" Images to try may go into {folder / 'run' / 'examples'}."
    say("{}", said)


def _is_there(run: Run, name: str) -> bool:
    """Whether the run has this file, or a link in its place."""
    return os.path.lexists(run.file(*name.split("/")))
