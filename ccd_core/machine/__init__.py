"""This machine: its devices, GPUs, processes, users and names, signals, and what `ccd doctor` finds.

May import `paths` and `errors` only. Only `device` loads torch.
"""
