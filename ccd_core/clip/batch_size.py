"""How many images an image tower takes at once on this machine: measured once, then remembered.

On a CPU one or two images are quickest, because their features stay in the cache. A GPU needs so many that
all of it has work.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable

import torch
from torch import Tensor

from ccd_core.device_memory import is_out_of_memory
from ccd_core.errors import UserError
from ccd_core.files import write_json
from ccd_core.paths import home

log = logging.getLogger("ccd")
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
GAIN = 1.05  # a larger batch must be this much quicker, for it needs more memory
SECONDS = 10.0  # a measurement that has taken this long ends
PASSES = 3  # of each size; the quickest counts, as others may use the machine too
ENOUGH_SECONDS = 2.0  # of one size
FILE = "batch-sizes.json"


def remembered_batch_size(
    network: str, encode: Callable[[Tensor], Tensor], side: int, device: torch.device
) -> int:
    """The batch size of this network on this device, from $CCD_HOME or measured now.

    network: a name for all that decides the speed. encode: from images [B, 3, side, side] to embeddings.
    """
    is_gpu = device.type == "cuda"
    machine = torch.cuda.get_device_name(device) if is_gpu else f"{torch.get_num_threads()} threads"
    key = f"{network}, {machine}, torch {torch.__version__}"
    path = home() / FILE
    known = _known()
    size = known.get(key)
    if isinstance(size, int) and size in SIZES:
        return size
    began = time.perf_counter()
    size = best_batch_size(lambda count: _seconds(encode, count, side, device))
    if is_gpu:
        torch.cuda.empty_cache()  # the largest batches were only tried
    log.info("batch size of CLIP: %d, measured in %.1f s", size, time.perf_counter() - began)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, known | {key: size})
    except (OSError, UserError) as error:
        log.warning("the batch size could not be remembered: %s", error)
    return size


def best_batch_size(seconds: Callable[[int], float], limit: float = SECONDS) -> int:
    """The batch size of the fewest seconds an image; a larger one counts only where it gains 5 %.

    seconds(size): the time of one pass. It may raise torch's OutOfMemoryError, which ends the search.
    """
    best = 1
    fewest = float("inf")
    spent = 0.0
    worse = 0
    for size in SIZES:
        try:
            passed = seconds(size)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            break
        spent += PASSES * passed
        each = passed / size
        if each * GAIN < fewest:
            best = size
            fewest = each
            worse = 0
        else:
            worse += 1
        # Two sizes without a gain in a row: larger ones bring none either.
        if worse == 2 or spent + 2 * PASSES * passed > limit:
            break
    return best


def _seconds(encode: Callable[[Tensor], Tensor], count: int, side: int, device: torch.device) -> float:
    """Seconds of the quickest of some passes over `count` images, after one that prepares the kernels."""
    images = torch.zeros(count, 3, side, side, device=device)
    times: list[float] = []
    # A pass of a large model may take many seconds on a CPU; then the first one has to do.
    while len(times) <= PASSES and sum(times) < ENOUGH_SECONDS:
        began = time.perf_counter()
        encode(images)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - began)
    return min(times[1:] or times)


def _known() -> dict[str, object]:
    """What was remembered. A file that is missing or damaged holds nothing."""
    try:
        known = json.loads((home() / FILE).read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
