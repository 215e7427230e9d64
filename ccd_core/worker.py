"""One process of a run on several devices: `python -m ccd_core.rank RUN cpu|cuda PID`, started by `distributed.launch`, never by hand."""

from __future__ import annotations

import logging
import sys

from torch.distributed.elastic.multiprocessing.errors import record

from ccd_core.data import open_dataset
from ccd_core.device import make_accelerator
from ccd_core.distributed import team_of
from ccd_core.pipeline import learn, logged
from ccd_core.runs import Progress, Run
from ccd_core.team import leave_with


@record  # what went wrong goes to the launcher
def main(path: str, device: str, launcher: str) -> None:
    leave_with(int(launcher))
    run = Run.open(path)
    accelerator = make_accelerator(device, run.config.precision)
    run.team = team_of(accelerator)
    logging.getLogger("ccd").propagate = False
    with logged(run):
        learn(run, open_dataset(run.config.data.spec, run.config.data.classes), accelerator, Progress(run))
    accelerator.end_training()


if __name__ == "__main__":
    main(*sys.argv[1:])
