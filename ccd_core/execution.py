"""A run from its settings to its end: what it needs is looked at, then its method works in its folder.

    run = run_ccd(CCDConfig.preset("demo"), out="runs/first")

Each step of a method leaves its result in the folder, once. So a stopped run goes on where it stopped.
"""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

from ccd_core.baselines.learn import learn_baseline
from ccd_core.config import CCDConfig
from ccd_core.data import open_dataset
from ccd_core.errors import UserError
from ccd_core.machine.device import make_accelerator
from ccd_core.machine.gpus import devices_of
from ccd_core.pipeline import learn
from ccd_core.preflight import preflight
from ccd_core.profiling import profiled
from ccd_core.runs.progress import Progress, Reporter
from ccd_core.runs.run import Run
from ccd_core.runs.session import session
from ccd_core.runs.work import Work
from ccd_core.stages.inventory import forget_changed
from ccd_core.training.distributed import launch


def run_ccd(
    config: CCDConfig,
    out: str | Path,
    reporter: Reporter | None = None,
    same_images: bool = False,
    profile: bool = False,
) -> Run:
    """Run CCD, or the method that `config` names, in the folder `out`, or go on with the run that is there.

    reporter(stage, done, total, detail) is called as the work proceeds. same_images: leave out images that
    are gone or have changed since the run began. profile: see where the time goes (`profiling`). Raises
    UserError for a mistake that the user can correct.
    """
    drawing = (lambda done, total: reporter("drawing", done, total, "")) if reporter else None
    dataset = open_dataset(config.data.spec, config.data.classes, progress=drawing)
    notes = preflight(config, dataset, out)
    run = Run.create(out, config, dataset.classes)
    devices = devices_of(config.device)
    if profile and len(devices) > 1:
        raise UserError("--profile looks at one process; name one device, such as --device cuda:0.")
    with session(run, notes):
        if same_images:
            forget_changed(dataset, run)
        if len(devices) > 1:
            launch(run, devices, reporter)  # calls `learn` in one process for each device
        else:
            accelerator = make_accelerator(config.device, config.precision)
            method = learn if config.method.is_ccd else learn_baseline
            with profiled(run, reporter) if profile else nullcontext(reporter) as listener:
                method(dataset, Work(config, accelerator, run, Progress(run, listener)))
    return run
