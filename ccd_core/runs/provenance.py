"""What a result may depend on beside its settings: versions, the commit, the machine."""

from __future__ import annotations

import importlib.metadata
import platform
import socket
import subprocess
from typing import Any

from ccd_core.paths import ROOT


def surroundings() -> dict[str, Any]:
    """What a result may depend on beside its settings."""
    packages = ("torch", "torchvision", "open_clip_torch", "timm", "numpy", "scikit-learn", "accelerate")
    versions = {name: importlib.metadata.version(name) for name in packages if _installed(name)}
    try:
        commit = subprocess.run(
            ["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        commit = ""
    return {
        "python": platform.python_version(),
        "versions": versions,
        "git_commit": commit or None,
        "host": socket.gethostname(),
    }


def _installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
