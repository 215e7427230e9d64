"""Campaigns of wrong inputs: damaged runs, wrong settings and options, odd data sets, odd files of weights.

Each input must work, or be refused in one sentence. `python -m tests.fuzz --long` tries 1,740 of them and
prints the counts; the tests try some of each campaign. The seed is fixed, so every input can be made again.
"""
