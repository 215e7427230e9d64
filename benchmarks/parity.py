"""Print how far this project is from the authors' implementation, for each recorded case.

    python benchmarks/parity.py

The cases are those that the tests compare (tests/golden_cases.py).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.golden_cases import cases, difference


def main() -> None:
    print("| recorded in | what | largest absolute difference | allowed |\n|---|---|---|---|")
    for case in cases():
        print(f"| {case.file} | {case.what} | {difference(case):.1e} | {case.allowed:g} |")


if __name__ == "__main__":
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    main()
