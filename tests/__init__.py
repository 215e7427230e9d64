"""The tests mirror the tree: tests/method/test_bias.py is about ccd_core/method/bias.py."""

import os

# Here, because torch reads OMP_NUM_THREADS when it is imported, and this file is read before any test is.
# Small models gain nothing from more threads, and the processes of a run then compute alike.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("HF_HUB_OFFLINE", "1")
