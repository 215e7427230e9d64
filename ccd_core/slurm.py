"""The old place of `RunJob`: jobs that an earlier release queued on a cluster name it. It stays for one
release.
"""

from ccd_core.jobs.slurm import RunJob

__all__ = ["RunJob"]
