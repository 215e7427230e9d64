"""The preflight of a run in a process of its own, for callers that do without torch, such as the app."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from ccd_core.config import CCDConfig
from ccd_core.errors import UserError
from ccd_core.machine.processes import child_environment, python_command

PATIENCE = 180  # seconds; a file of weights on a slow disk is read once


def check_run(config: CCDConfig, out: str | Path) -> list[str]:
    """Notes about a run that can begin in the folder `out`.

    Raises one UserError with a sentence for everything that is missing.
    """
    try:
        done = subprocess.run(
            python_command("ccd_core.preflight", str(out)),
            input=config.to_yaml(),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env=child_environment(),
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"The look at what the run needs did not end within {PATIENCE} seconds.") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise UserError(f"What the run needs could not be looked at: {lines[-1]}")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    if found["problems"]:
        raise UserError(" ".join(found["problems"]))
    return found["notes"]
