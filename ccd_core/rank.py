"""One process of a run on several devices: `python -m ccd_core.rank RUN cpu|cuda`, started by `distributed.launch`, never by hand."""

from __future__ import annotations

import logging
import sys

from torch.distributed.elastic.multiprocessing.errors import record

from ccd_core.data import open_dataset
from ccd_core.device import make_accelerator
from ccd_core.distributed import leave_with_launcher, team_of
from ccd_core.pipeline import learn, logged
from ccd_core.runs import Progress, Run


@record  # what went wrong goes to the launcher
def main(path: str, device: str) -> None:
    leave_with_launcher()
    run = Run.open(path)
    accelerator = make_accelerator(device, run.config.precision)
    run.team = team_of(accelerator)
    logging.getLogger("ccd").propagate = False
    with logged(run):
        learn(run, open_dataset(run.config.data.spec, run.config.data.classes), accelerator, Progress(run))


if __name__ == "__main__":
    main(*sys.argv[1:])
