"""The stages of a run. Each reads its inputs from the run's folder and writes its result there, once.

Only here does the method meet a run's folder. This package may import `training`, `evaluation`, `runs`,
`method`, `data`, `clip` and what these import. The pipeline calls it.
"""
