"""Comparisons: the paper's Table 1 with every method, and sweeps over the values of a setting.

A comparison is a folder with ordinary runs below `runs/`. `plan` says which runs it needs, `compute` computes
those that are missing, `collect` reads the finished ones, and `shown` prints them.
"""
