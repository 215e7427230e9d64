"""The `ccd` command, one file a group of verbs. May import everything else of the library; nothing imports
it.
"""


def main() -> None:
    """What the command `ccd` runs."""
    from ccd_core.cli.commands import main as run_command

    run_command()
