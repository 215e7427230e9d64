"""Runs as background jobs: start, stop, resume, queue, SLURM, estimates."""
