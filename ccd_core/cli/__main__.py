"""`python -m ccd_core.cli` is the command `ccd`."""

from ccd_core.cli import main

main()
