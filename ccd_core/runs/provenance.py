"""What a result may depend on, beside its settings: versions, the commit, the machine."""

from __future__ import annotations

import importlib.metadata
import platform
import socket
import subprocess
from typing import Any

from ccd_core.paths import ROOT

PACKAGES = ("torch", "torchvision", "open_clip_torch", "timm", "numpy", "scikit-learn", "accelerate")


def surroundings() -> dict[str, Any]:
    """Versions of Python and of the packages that compute, the commit of this checkout, and the machine's
    name.
    """
    versions = {name: version for name in PACKAGES if (version := _version(name))}
    return {
        "python": platform.python_version(),
        "versions": versions,
        "git_commit": _commit(),
        "host": socket.gethostname(),
    }


def own_version() -> str:
    """The version of this project; "unknown" where it is not installed as a package."""
    return _version("ccd-studio") or "unknown"


def _commit() -> str | None:
    if not (ROOT / ".git").exists():
        return None  # installed from a wheel; a repository around it is somebody else's
    try:
        command = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
