"""This machine: devices, GPUs, processes, signals, and what `ccd doctor` finds."""
