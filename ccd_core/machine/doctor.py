"""What this machine has for a run, and what to do about what is missing."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

import psutil

from ccd_core.paths import DEMO_CLIP


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    ok: whether it is as it should be; needed: whether a run cannot work without it; advice: what to do.
    """

    what: str
    found: str
    ok: bool = True
    needed: bool = False
    advice: str = ""


def examine() -> list[Finding]:
    """All that `ccd doctor` looks at, in its order."""
    return [_python(), _torch(), _gpu(), _memory(), _disk(), _demo(), _weights()]


def _python() -> Finding:
    version = platform.python_version_tuple()
    good = (int(version[0]), int(version[1])) >= (3, 11)
    return Finding(
        "python", platform.python_version(), good, True, "" if good else "Install Python 3.11 or newer."
    )


def _torch() -> Finding:
    versions = {
        name: importlib.metadata.version(name) for name in ("torch", "torchvision", "open_clip_torch")
    }
    found = ", ".join(f"{name} {version}" for name, version in versions.items())
    try:
        import torchvision

        torchvision.ops.nms  # noqa: B018 - fails where torch and torchvision do not match
    except (ImportError, RuntimeError, AttributeError):
        return Finding(
            "torch", found, False, True, "torch and torchvision do not match; run `make clean setup`."
        )
    return Finding("torch", found, True, True)


def _gpu() -> Finding:
    import torch

    if torch.cuda.is_available():
        cards = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
        found = ", ".join(f"{card.name} ({card.total_memory / 2**30:.0f} GiB)" for card in cards)
        return Finding("GPU", found)
    return Finding(
        "GPU",
        "none that torch can use",
        False,
        False,
        "Presets demo, laptop and offline are for CPUs; paper, reference and best need a CUDA GPU.",
    )


def _memory() -> Finding:
    gib = psutil.virtual_memory().total / 2**30
    return Finding(
        "memory", f"{gib:.0f} GiB", gib > 3.5, False, "" if gib > 3.5 else "The demo needs about 3 GiB."
    )


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    return Finding(
        "disk",
        f"{free:.0f} GiB free here",
        free > 2,
        True,
        "" if free > 2 else "Free at least 2 GiB, or work in another folder.",
    )


def _demo() -> Finding:
    there = (DEMO_CLIP / "open_clip_model.safetensors").is_file()
    return Finding(
        "demo CLIP",
        str(DEMO_CLIP) if there else "missing",
        there,
        True,
        "" if there else "Fetch the project again; assets/demo_clip is not complete.",
    )


def _weights() -> Finding:
    cache = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    try:
        socket.create_connection(("huggingface.co", 443), timeout=3).close()
        return Finding("weights", "huggingface.co can be reached; downloads are kept in " + str(cache))
    except OSError:
        advice = (
            "All presets but demo and offline need CLIP and ImageNet weights: "
            "set clip.pretrained and classifier.weights to local files."
        )
        return Finding("weights", "huggingface.co cannot be reached", False, False, advice)
