"""Work on a `Plan`: predict its open parts, and merge them when all are there.

python -m ccd_core.predict.folder FOLDER SHARD/SHARDS DEVICE      # as other devices and clusters run it
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from ccd_core.errors import UserError
from ccd_core.evaluation.thresholds import Thresholds
from ccd_core.predict.outputs import Columns, Merged, write_outputs
from ccd_core.predict.plan import PLAN, Plan, Row, alone, text_of
from ccd_core.runs.run import Run

ADVANCED = "images: "  # begins a line of such a process, before the number of images that it has done now


def thresholds_of(plan: Plan) -> Thresholds:
    """The thresholds of a plan."""
    return Thresholds(**plan.asked["thresholds"])


def work(
    plan: Plan, device: str, shard: int = 0, shards: int = 1, advance: Callable[[int], None] | None = None
) -> None:
    """Predict the open parts of a shard, counted from 0. advance(images) is called after every batch."""
    parts = plan.open_parts(shard, shards)
    if not parts:
        return
    from ccd_core.predict.predictor import Predictor

    asked = plan.asked
    predictor = Predictor.open(asked["run"], device, alone=asked.get("alone", False))
    on_gpu = predictor.accelerator.device.type == "cuda"
    batch_size = asked["batch_size"] or (64 if on_gpu else 32)
    boxes_at = thresholds_of(plan) if asked["boxes"] else None
    begun: deque[tuple[int, list[Path]]] = deque()  # the parts at work: number, and paths as they are listed

    def coming() -> Iterator[Path]:
        """The images of all parts, one after the other, so that decoding never waits for a part's end."""
        for part in parts:
            if not plan.is_done(part):
                begun.append((part, plan.paths_of(part)))
                yield from (Path(asked["cwd"]) / path for path in begun[-1][1])

    rows: list[Row] = []
    for batch in predictor.stream(coming(), batch_size, asked["workers"], boxes_at):
        for one in batch:
            part, given = begun[0]
            scores = [] if one.scores is None else one.scores.tolist()
            unlike = None if one.distance is None else one.unlike
            rows.append(Row(text_of(given[len(rows)]), scores, one.error, unlike, one.boxes))
            if len(rows) == len(given):
                plan.write_part(part, rows)
                begun.popleft()
                rows = []
        if advance:
            advance(len(batch))


def merge(plan: Plan, keep: bool = False) -> Merged | None:
    """Write the outputs and remove the parts. None if parts are missing, or if another process has merged.

    keep: leave the parts, for somebody who still reads them.
    """
    with alone(plan.folder):
        if not (plan.folder / PLAN).is_file() or plan.open_parts():
            return None
        asked = plan.asked
        outputs = {kind: Path(path) for kind, path in asked["outputs"].items()}
        run = Run.open(asked["run"])
        counts = write_outputs(
            plan.rows(),
            outputs,
            Path(asked["errors"]),
            Columns(run.classes, asked["boxes"], plan.knows_likeness()),
            thresholds_of(plan),
        )
        if not keep:
            plan.remove()
    return counts


def main(folder: str, shard: str, device: str) -> None:
    """Predict a shard, such as 2/8, of the plan in `folder`, and merge if it was the last one."""
    path = Path(folder)
    if not (path / PLAN).is_file():
        print("The prediction is merged already.")
        return
    number, count = map(int, shard.split("/"))

    def advance(images: int) -> None:
        print(f"{ADVANCED}{images}", flush=True)

    work(Plan.open(path), device, number - 1, count, advance)
    merge(Plan.open(path))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except UserError as error:
        sys.exit(str(error))
