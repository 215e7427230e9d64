"""`python -m tests.fuzz [--long] [CAMPAIGN ...]`: try the inputs and print what became of them.

Exit code 1 if an input ended in a traceback, a hang or a wrong result without a word.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.outcomes import FAULTS, Outcome, counts, run_case

# Before torch is loaded: a forked process must not wait for the threads of its parent.
os.environ["OMP_NUM_THREADS"] = "1"


@dataclass(frozen=True)
class Campaign:
    """module: has `cases(count, folder)`. loaded: what is imported once, before processes are forked."""

    module: str
    few: int  # inputs that the tests try
    many: int  # inputs of the long mode
    loaded: tuple[str, ...]


# The first ones do without torch, so that their processes are forked quickly.
CAMPAIGNS = {
    "settings": Campaign("settings", 45, 700, ("ccd_core.cli.commands",)),
    "data": Campaign("datasets", 24, 240, ("ccd_core.cli.commands", "torch.utils.data")),
    "runs": Campaign(
        "run_folders", 13, 600, ("ccd_core.execution", "ccd_core.predict.predictor", "open_clip")
    ),
    "weights": Campaign("weights", 16, 200, ("ccd_core.execution", "open_clip", "timm")),
}


def outcomes(campaign: Campaign, count: int, only: int | None = None) -> Iterator[Outcome]:
    """Try `count` inputs of a campaign, or input number `only` of them."""
    for module in campaign.loaded:
        importlib.import_module(module)
    cases = importlib.import_module(f"tests.fuzz.{campaign.module}").cases
    with tempfile.TemporaryDirectory(prefix="ccd-fuzz-") as folder:
        os.environ["CCD_HOME"] = f"{folder}/home"
        for number, case in enumerate(cases(count, Path(folder) / "made")):
            if only in (None, number):
                yield run_case(case, Path(folder) / f"{number}")
        os.chdir("/")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("campaigns", nargs="*", metavar="CAMPAIGN", help=f"some of {', '.join(CAMPAIGNS)}")
    parser.add_argument("--long", action="store_true", help="all inputs instead of some of each campaign")
    parser.add_argument("--count", type=int, help="so many inputs of each campaign")
    parser.add_argument("--only", type=int, help="the number of one input")
    parser.add_argument("--json", action="store_true", help="print every outcome as JSON, one a line")
    parser.add_argument("--all", action="store_true", help="print every outcome, not the faults alone")
    given = parser.parse_args()
    is_well = True
    for name in given.campaigns or CAMPAIGNS:
        campaign = CAMPAIGNS[name]
        found = []
        for one in outcomes(
            campaign, given.count or (campaign.many if given.long else campaign.few), given.only
        ):
            found.append(one)
            is_well = is_well and one.kind not in FAULTS
            if given.json:
                print(json.dumps(vars(one)), flush=True)
            elif given.all or one.kind in FAULTS:
                print(f"  {one.kind}: {one.name} ({one.door}): {one.said}", flush=True)
        if not given.json:
            kinds = ", ".join(f"{number} {kind}" for kind, number in counts(found).items())
            print(f"{name}: {kinds}", flush=True)
    return int(not is_well)


if __name__ == "__main__":
    sys.exit(main())
