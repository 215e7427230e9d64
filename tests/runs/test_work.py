"""What a stage computes once: by one process or several, in a folder or without one."""

from __future__ import annotations

import threading

import numpy as np

from ccd_core.machine.device import make_accelerator
from ccd_core.runs.run import Run
from ccd_core.runs.team import Team
from ccd_core.runs.work import Work


def test_chunks_are_dealt_and_put_together_in_order(tiny_run, tmp_path):
    """Two processes, here threads, compute five chunks; each reads all."""
    meeting, made, read = threading.Barrier(2), {0: [], 1: []}, {}

    def work(rank: int) -> None:
        run = Run(tmp_path, tiny_run.config, tiny_run.classes)
        team = Team(rank, 2, lambda: meeting.wait(10) and None)
        shared = Work(run.config, make_accelerator("cpu", "fp32"), run, team=team)

        def compute(part: slice) -> dict[str, np.ndarray]:
            made[rank].append(part.start)
            return {"number": np.arange(part.start, part.stop)}

        read[rank] = np.concatenate(
            [part["number"] for part in shared.chunks("numbers", list(map(str, range(43))), 10, compute)]
        )

    threads = [threading.Thread(target=work, args=(rank,)) for rank in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert made == {0: [0, 20, 40], 1: [10, 30]}
    for rank in (0, 1):
        np.testing.assert_array_equal(read[rank], np.arange(43))
