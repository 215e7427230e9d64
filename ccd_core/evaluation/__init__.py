"""Scoring against ground truth: measures, curves, thresholds."""
