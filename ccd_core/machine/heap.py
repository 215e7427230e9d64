"""Memory that a process of long computations keeps for itself between two steps.

Every step on a CPU needs the same large blocks again. By default the C library gives each block back to the
kernel when it is freed, and the kernel hands the next one out page by page, each filled with zeros. That is a
third of the processor time of training a head on a frozen EfficientNet-Lite0 (`benchmarks/kept_memory.py`).
Larger blocks than the C library keeps are taken in large pages. To keep these, too, gained 4 % more in a run
of the preset `laptop`, and needed 3.4 GB instead of 2.5.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress

# The parameters of glibc's mallopt: the size of free memory that goes back to the kernel, how much more than
# needed is asked of it, and from which size on a block goes back as soon as it is free (this is the most).
M_TRIM_THRESHOLD = -1
M_TOP_PAD = -2
M_MMAP_THRESHOLD = -3
ASKED = {M_MMAP_THRESHOLD: 32 * 2**20, M_TRIM_THRESHOLD: 2**31 - 1, M_TOP_PAD: 64 * 2**20}


def keep_freed_memory() -> None:
    """Freed memory stays with this process until it ends, and torch asks for large pages.

    For processes that compute and end, such as a run; the app would hold what others need. Call it before
    torch is loaded. What the user has set by environment variables counts. Without glibc, as on macOS, only
    torch is asked.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    if any(name.startswith("MALLOC_") for name in os.environ):
        return
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.gnu_get_libc_version  # noqa: B018  # others have a mallopt that means something else
        for parameter, value in ASKED.items():
            libc.mallopt(parameter, value)
