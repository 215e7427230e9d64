"""Scores compared with ground truth: measures, precision-recall curves and thresholds.

Nothing that trains depends on these results. This package may import `runs`, `data`, `files` and `errors`.
"""
