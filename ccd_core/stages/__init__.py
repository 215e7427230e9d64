"""The stages of a run: each reads its inputs from the run's folder and leaves its result there, once."""
