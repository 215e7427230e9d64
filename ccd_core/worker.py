"""One process of a run on several devices. `training.distributed.launch` starts it; nobody starts it by hand.

    python -m ccd_core.worker RUN cpu|cuda PID IMAGES

PID is the process that launched it, IMAGES how many images it takes at most in one pass of a training step.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any

from torch.distributed.elastic.multiprocessing.errors import record

from ccd_core.data import open_dataset
from ccd_core.errors import UserError
from ccd_core.machine.device import make_accelerator
from ccd_core.machine.heap import keep_freed_memory
from ccd_core.pipeline import learn
from ccd_core.runs.progress import Progress, Silent
from ccd_core.runs.run import Run
from ccd_core.runs.session import logged
from ccd_core.runs.team import end_with_launcher
from ccd_core.runs.work import Work
from ccd_core.training.distributed import StepTooLarge, team_of


@record  # sends an exception to the launcher
def main(path: str, device: str, launcher: str, images: str) -> None:
    end_with_launcher(int(launcher))
    keep_freed_memory()
    run = Run.open(path)
    accelerator = make_accelerator(device, run.config.precision)
    team = team_of(accelerator)
    sys.excepthook = _unless_told(sys.excepthook)
    progress = Progress(run) if team.first else Silent()
    logging.getLogger("ccd").propagate = False
    with logged(run, logging.INFO if team.first else logging.CRITICAL):
        dataset = open_dataset(run.config.data.spec, run.config.data.classes)
        learn(dataset, Work(run.config, accelerator, run, progress, team, int(images)))
    accelerator.end_training()


def _unless_told(hook: Callable[..., Any]) -> Callable[..., Any]:
    """`hook`, which prints a trace, but for errors that the launcher tells in a sentence."""

    def hear(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not issubclass(kind, (UserError, StepTooLarge)):
            hook(kind, error, trace)

    return hear


if __name__ == "__main__":
    main(*sys.argv[1:])
