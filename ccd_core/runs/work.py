"""Where and with whom images are computed: what every stage of a run is given."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from accelerate import Accelerator

from ccd_core.config import CCDConfig
from ccd_core.errors import UserError
from ccd_core.files import read_arrays, write_arrays
from ccd_core.runs.progress import Progress
from ccd_core.runs.run import Run
from ccd_core.runs.team import ALONE, Team

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Work:
    """A run's settings and folder, the device, the processes that share the work, and the progress that they
    report.

    run: None for a measurement that leaves no files; its results then stay in memory. images_a_pass: how many
    images a training step gives the network at once in one process, at most.
    """

    config: CCDConfig
    accelerator: Accelerator
    run: Run | None = None
    progress: Progress = field(default_factory=Progress)
    team: Team = ALONE
    images_a_pass: int = sys.maxsize

    @property
    def folder(self) -> Run:
        """The run, for a stage that cannot do without its folder."""
        assert self.run is not None, "this stage needs the folder of a run"
        return self.run

    def has(self, name: str) -> bool:
        """Whether the run has the file `name`, as the first process sees it."""
        return self.run is not None and self.team.broadcast_flag(self.run.has(name))

    def once(self, name: str, compute: Callable[[], Arrays], ids: Sequence[str]) -> Arrays:
        """What `compute()` gives. The first process writes it to the run's file `name`; where that is there
        already, it is read.

        ids: the images [N] that the arrays are of; the array `ids` names them. Raises UserError where the
        file is of other images. The chunks that `compute` kept on disk are removed when its result is
        written.
        """
        if self.run is None:
            return compute()
        if not self.has(name):
            arrays = compute()
            if self.team.first:
                write_arrays(self.run.file(name), **arrays)
            self.team.wait()
            if self.team.first:
                self.drop_chunks(Path(name).stem)
        arrays = read_arrays(self.run.file(name))
        if arrays["ids"].tolist() != list(ids):
            file = self.run.file(name)
            raise UserError(f"{file} is of other images than the run's; delete it and resume.")
        return arrays

    def chunks(
        self, name: str, ids: Sequence[str], size: int, compute: Callable[[slice], Arrays]
    ) -> Iterator[Arrays]:
        """Compute arrays chunk by chunk, and yield them in order, one in memory at a time.

        Finished chunks are kept in the run's folder, so that a killed run loses one at most. The processes
        share them. A chunk that was kept for other images than `ids` [N] is computed again. Its bounds depend
        on N and `size` alone. So a resumed run, and one on several devices, batches as an undisturbed one on
        one device would and gives the same numbers.
        """
        parts = [slice(begin, min(begin + size, len(ids))) for begin in range(0, len(ids), size)]
        if self.run is None:
            return map(compute, parts)
        paths = {self.run.file("partial", f"{name}-{part.start:08d}.npz"): part for part in parts}
        for path in self.team.shard(list(paths)):
            part = paths[path]
            of = np.array(_digest(ids[part]))
            if not _is_chunk_of(path, of):
                write_arrays(path, of=of, **compute(part))
        self.team.wait()
        return self.read_chunks(name)

    def kept_chunk(self, name: str, part: slice) -> Arrays:
        """What `chunks` keeps of `part` under `name`; nothing for a measurement, which keeps nothing."""
        if self.run is None:
            return {}
        path = self.run.file("partial", f"{name}-{part.start:08d}.npz")
        return read_arrays(path) if path.is_file() else {}

    def read_chunks(self, name: str) -> Iterator[Arrays]:
        """What `chunks` computed, in order, one in memory at a time."""
        return map(read_arrays, sorted(self.folder.file("partial").glob(f"{name}-*.npz")))

    def drop_chunks(self, name: str) -> None:
        """Remove the chunks that `chunks` kept under `name`."""
        if self.run is None:
            return
        for path in self.run.file("partial").glob(f"{name}-*.npz"):
            path.unlink()


def _digest(ids: Sequence[str]) -> str:
    """What tells the images of a chunk from others."""
    return hashlib.blake2b("\0".join(ids).encode(errors="surrogateescape"), digest_size=16).hexdigest()


def _is_chunk_of(path: Path, of: np.ndarray) -> bool:
    """Whether the chunk is there, whole, and of these images."""
    try:
        return path.is_file() and bool(read_arrays(path).get("of") == of)
    except UserError:
        return False
