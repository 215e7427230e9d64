"""The verbs of `ccd`, one file a verb or a group of them. `cli.commands` puts them together."""
