"""A run's folder: what is in it, how it is read and written.

Everything about a run is files that other tools can open. Each is written under a temporary name, synced and
renamed. So a reader never sees half a file, and a run that is killed loses at most its last chunk or epoch.
This module needs neither torch nor a browser.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from ccd_core.config import CCDConfig, build_recorded, differences
from ccd_core.errors import UserError
from ccd_core.files import reading, write_atomic, write_json
from ccd_core.machine.processes import claim, is_recent, process_alive, this_process
from ccd_core.runs import known_paths
from ccd_core.runs.files.arrays import read_run_arrays
from ccd_core.runs.files.digests import check_digest
from ccd_core.runs.files.documents import (
    BestFile,
    BiasFile,
    Document,
    RunState,
    SafeguardFile,
    Scores,
    ScoresFile,
    StopRequest,
    checked,
)
from ccd_core.runs.provenance import surroundings
from ccd_core.runs.slurm_state import is_this_job
from ccd_core.settings.versions import VERSION
from ccd_core.yaml_files import NotYaml, load_yaml

ACTIVE = ("running", "queued")
DAMAGED_STATE = "Its state.json is damaged; resume the run and it is written anew."
AP = ("scores", "ap.json")
BEST = ("checkpoints", "best.json")
BITS = "bits"  # in images.json
CORNERS = ("x0", "y0", "x1", "y1")
VIEW_COLUMNS = {"image", "class", "score", *CORNERS, *(f"cam_{corner}" for corner in CORNERS)}


class Run:
    """One run on disk. `Run.open(path)` reads one back, `Run.create(path, config)` starts one."""

    def __init__(self, path: Path, config: CCDConfig, classes: tuple[str, ...], lost: Sequence[str] = ()):
        self.path = Path(path)
        self.config = config
        self.classes = classes
        self.works_here = False  # whether a session of this process works on the run
        self.lost = tuple(lost)  # settings that its config.yaml lacks, and that have the preset's value

    # -- making and opening ------------------------------------------------------------------

    @classmethod
    def create(cls, path: str | Path, config: CCDConfig, classes: tuple[str, ...]) -> Run:
        """A new run in `path`, or the one that is there if its settings are the same."""
        path = Path(path)
        config = config.with_absolute_paths()
        run = cls(path, config, classes)
        if (path / "config.yaml").is_file():
            there = cls.open(path)
            earlier = there.config.with_absolute_paths()
            if earlier != config.changed(device=earlier.device):  # a run can be resumed on another device
                raise UserError(
                    f"{path} holds a run with other settings ({', '.join(differences(earlier, config))}); "
                    "choose another --out, or --resume without changing settings."
                )
            return there
        cls.require_free(path)
        recorded = {"recorded": {"classes": list(classes), **surroundings()}}
        settings = {"version": VERSION} | config.model_dump(mode="json") | recorded
        write_atomic(path / "config.yaml", yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))
        known_paths.remember(path for _, path in config.named_paths())
        return run

    @staticmethod
    def require_free(path: Path) -> None:
        """Raise UserError where something else is in the place of a new run."""
        if path.exists() and (
            not path.is_dir() or any(entry.name not in ("job.log", ".claim") for entry in path.iterdir())
        ):
            raise UserError(f"{path} exists and is not a run; choose another --out.")

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """Read a run's folder. Raises UserError where `path` is no run."""
        path = Path(path)
        settings = _settings(path / "config.yaml")
        recorded = settings.pop("recorded")
        try:
            config, lost = build_recorded(settings)
        except UserError as error:
            raise UserError(f"{path} cannot be opened: {error}") from None
        return cls(path, config, tuple(recorded["classes"]), lost)

    @property
    def name(self) -> str:
        return self.path.name

    @cached_property
    def recorded(self) -> dict[str, Any]:
        """Versions, commit and machine that the run was made with."""
        return _settings(self.path / "config.yaml")["recorded"]

    def settings_to_share(self) -> str:
        """config.yaml without the name of the machine and without its paths."""
        recorded = {key: value for key, value in self.recorded.items() if key != "host"}
        shared = self.config.without_paths().model_dump(mode="json")
        settings = {"version": VERSION} | shared | {"recorded": recorded}
        return yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)

    # -- state -------------------------------------------------------------------------------

    @property
    def state(self) -> RunState:
        """state.json; {} before the start.

        A damaged file reads as a run that failed. Resuming such a run writes the file anew.
        """
        path = self.file("state.json")
        try:
            if path.exists() and not path.is_file():  # reading a pipe or a device would not end
                raise ValueError("no ordinary file")
            return checked(RunState, json.loads(path.read_text(encoding="utf-8")))
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, ValueError, RecursionError, MemoryError):
            return {"status": "failed", "error": DAMAGED_STATE}

    def update_state(self, **changes: Any) -> None:
        """Change keys of state.json, which are those of `RunState`.

        Raises UserError if the folder is gone while the run works.
        """
        if self.works_here and not self.has("config.yaml"):
            raise UserError(
                f"The folder {self.path} was deleted or renamed while its run worked, so the run ends; "
                "resume it where it is now, or begin a new run."
            )
        write_json(self.path / "state.json", self.state | changes | {"heartbeat": time.time()})

    @property
    def status(self) -> str:
        """created, queued, running, finished, stopped or failed. A run whose process died unasked has failed.

        Only files and this machine's processes are looked at, and nothing is written. `jobs.look` also asks a
        cluster about the run's job.
        """
        state = self.state
        status = state.get("status", "created")
        if status not in ACTIVE:
            return status
        if state.get("place") == "slurm":
            return "failed" if status == "running" and not is_recent(self.heartbeat) else status
        if process_alive({**state, "heartbeat": self.heartbeat}):
            return status
        return "stopped" if self.stop_asked(state) is not None else "failed"

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """The right to work on this run, for one process at a time.

        Raises UserError where another process works on it or is about to.
        """
        self._refuse_if_active()
        with claim(self.path):
            self._refuse_if_active()
            self._sweep()
            yield

    def _sweep(self) -> None:
        """Remove what a killed process was in the middle of writing."""
        for partial in self.path.rglob(".*.partial"):
            if not partial.name.startswith(".stop.json"):  # any process may be writing a request to stop
                partial.unlink(missing_ok=True)

    def _refuse_if_active(self) -> None:
        state = self.state
        own = this_process()
        is_mine = (state.get("pid"), state.get("host")) == (own["pid"], own["host"])
        if is_mine or is_this_job(state):
            return
        status = self.status
        if status in ACTIVE:
            where = state.get("host") or "the cluster"
            raise UserError(
                f"Run {self.name} is {status} already, on {where}; stop it first, or wait for it."
            )

    @property
    def heartbeat(self) -> float:
        """When the run's process last showed that it lives: it touches state.json every few seconds."""
        try:
            return (self.path / "state.json").stat().st_mtime
        except OSError:
            return 0.0

    def ask_to_stop(self) -> None:
        """Leave a request for the process that works on this run, on any host. Later processes ignore it."""
        state = self.state
        request: StopRequest = {"asked": time.time(), "pid": state.get("pid"), "host": state.get("host")}
        write_json(self.path / "stop.json", request)

    def stop_asked(self, state: Mapping[str, Any] | None = None) -> float | None:
        """When the process that `state` names was asked to stop, or None."""
        if not self.has("stop.json"):
            return None
        state = self.state if state is None else state
        try:
            request = self._document(StopRequest, "stop.json")
        except UserError:
            return None  # a damaged request asks for nothing
        is_for_it = (request["pid"], request["host"]) == (state.get("pid"), state.get("host"))
        return request["asked"] if is_for_it else None

    # -- artefacts ---------------------------------------------------------------------------

    def file(self, *parts: str) -> Path:
        return self.path.joinpath(*parts)

    def has(self, *parts: str) -> bool:
        return self.file(*parts).is_file()

    def remove(self, name: str) -> None:
        """Remove a file or folder of the run, so that it is made again."""
        path = self.file(name)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def _arrays(self, name: str) -> dict[str, np.ndarray]:
        check_digest(self.path, name)
        if not self.has(name):
            raise UserError(f"Run {self.name} has no {name} yet; it is made in a later stage of the run.")
        kind = name.partition("/")[0].removesuffix(".npz")
        return read_run_arrays(self.file(name), kind, len(self.classes))

    def load_global(self) -> dict[str, np.ndarray]:
        """ids [N] str, p_global [N, C] float32, entropy [N] float32, of the training images.

        p_global is what labels are made of. Where that comes from patches, p_clip [N, C] is CLIP's own, whose
        entropy it is.
        """
        return self._arrays("global.npz")

    def load_labels(self) -> dict[str, np.ndarray]:
        """ids [N], initial / local / final [N, C] float32 (local: NaN where an image has no view), n_views
        [N].
        """
        return self._arrays("labels.npz")

    def load_scores(self, split: str, alone: bool = False) -> dict[str, np.ndarray]:
        """ids [N] and scores [N, C], the kept model's probabilities; where these are blended with CLIP's,
        classifier [N, C] are the kept model's alone.

        alone: `scores`, too, are without CLIP's share.
        """
        arrays = self._arrays(f"scores/{split}.npz")
        return arrays | {"scores": arrays["classifier"]} if alone and "classifier" in arrays else arrays

    def load_views(self) -> pd.DataFrame:
        """One row a local view: image and class (categories), score, CAM box and view.

        The boxes are cam_x0..cam_y1 and x0..y1, in pixels of the frame.
        """
        path = self._views_file()
        with reading(path):
            names = [name for name in pq.read_schema(path).names if name != "probabilities"]
            rows = pq.read_table(path, columns=names, read_dictionary=["image", "class"]).to_pandas()
            if missing := VIEW_COLUMNS - set(names):
                raise ValueError(f"without {missing}")
            if not set(rows["class"].unique()) <= set(self.classes):
                raise ValueError("classes that the run does not have")
            return rows

    def load_view_probabilities(self) -> np.ndarray:
        """[V, C] float32 what CLIP says of each local view, in the order of `load_views`."""
        path = self._views_file()
        with reading(path), pq.ParquetFile(path) as file:
            values = np.empty((file.metadata.num_rows, len(self.classes)), np.float32)
        done = 0
        for _, p in self.view_probabilities():  # the whole column at once would be held three times over
            values[done : done + len(p)] = p
            done += len(p)
        return values

    def view_probabilities(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(image ids [v], probabilities [v, C] float32) part by part, in the order of `load_views`.

        One part is in memory at a time.
        """
        path = self._views_file()
        with reading(path), pq.ParquetFile(path) as file:
            for part in file.iter_batches(columns=["image", "probabilities"]):
                images = part.column("image").to_numpy(zero_copy_only=False)
                yield images, self._matrix(part.column("probabilities"))

    def views_of(self, image: str) -> tuple[pd.DataFrame, np.ndarray]:
        """Rows of `load_views` of one image, and their probabilities [v, C] float32.

        Only the parts of the file that may hold the image are read.
        """
        path = self._views_file()
        with reading(path):
            table = pq.read_table(path, filters=[("image", "=", image)])
            p = self._matrix(table.column("probabilities").combine_chunks())
        return table.drop_columns(["probabilities"]).to_pandas(), p

    def _matrix(self, column: pa.Array) -> np.ndarray:
        """[v, C] float32 of a column of probabilities, a list a row."""
        flat = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
        lengths = pc.list_value_length(column).to_numpy(zero_copy_only=False)
        if (lengths != len(self.classes)).any() or not np.isfinite(flat).all():
            raise ValueError("a view whose probabilities are not one number for each class")
        return flat.reshape(-1, len(self.classes))

    def _views_file(self) -> Path:
        check_digest(self.path, "views.parquet")
        if not self.has("views.parquet"):
            raise UserError(f"Run {self.name} has no views.parquet yet; it is made after warm-up.")
        return self.file("views.parquet")

    def load_bias(self) -> BiasFile:
        """bias.json: the bias of each class, and how it was measured."""
        return self._document(BiasFile, "bias.json")

    def load_best(self) -> BestFile | None:
        """checkpoints/best.json: which epoch's model is kept, and why; None before the end of training."""
        return self._document(BestFile, *BEST) if self.has(*BEST) else None

    def load_safeguard(self) -> SafeguardFile | None:
        """safeguard.json: how far the classifier agrees with CLIP; None in runs without it."""
        return self._document(SafeguardFile, "safeguard.json") if self.has("safeguard.json") else None

    @property
    def picture_bits(self) -> int | None:
        """The bits, 1 to 16, that the data set's pictures of 16 bits use, for `read_image`.

        None if it has no such pictures, and of older runs, which did not keep the number.
        """
        bits = self._stored_bits()
        return bits if isinstance(bits, int) and bits in range(1, 17) else None

    def _stored_bits(self) -> object:
        return self.load_json("images.json").get(BITS) if self.has("images.json") else None

    def load_json(self, *parts: str) -> dict[str, Any]:
        """A JSON file of the run. Raises UserError if it is not there, is damaged, or holds no mapping."""
        return self._document(dict[str, Any], *parts)

    def _document(self, kind: type[Document], *parts: str) -> Document:
        check_digest(self.path, "/".join(parts))
        if not self.has(*parts):
            raise UserError(f"Run {self.name} has no {'/'.join(parts)} yet.")
        with reading(self.file(*parts)):
            return checked(kind, json.loads(self.file(*parts).read_text(encoding="utf-8")))

    def load_ap(self) -> ScoresFile:
        """scores/ap.json: AP of each class in percent for each split with ground truth; {} if none has any.

        A report without an mAP was made from ground truth that shows no class. It is left out: such a split
        is None, and such a kind of label is missing.
        """
        check_digest(self.path, "/".join(AP))
        if not self.has(*AP):
            return {}
        stored = self.load_json(*AP)
        with reading(self.file(*AP)):
            reports = checked(dict[str, Any], stored.get("labels") or {})
            labels = {kind: report for kind, report in reports.items() if _if_scored(report) is not None}
            splits = {split: _if_scored(stored.get(split)) for split in ("train", "val")}
            asked = checked(dict[str, Any], stored.get("clip") or {})
            clip = {split: report for split, report in asked.items() if _if_scored(report) is not None}
            return checked(ScoresFile, {**stored, **splits, "labels": labels, "clip": clip})

    def load_scores_of(self, split: str) -> Scores | None:
        """Scores of the kept model on a split, train or val, in percent; None without ground truth."""
        report = self.load_ap()
        return report.get("train") if split == "train" else report.get("val")

    def load_scores_alone(self, split: str) -> Scores | None:
        """Scores without CLIP's share in predictions; None where it has none, or without ground truth."""
        return (self.load_ap().get("classifier") or {}).get(split)

    def load_metrics(self) -> pd.DataFrame:
        """metrics.csv: one row an epoch."""
        check_digest(self.path, "metrics.csv")
        path = self.file("metrics.csv")
        with reading(path):
            return pd.read_csv(path) if path.is_file() else pd.DataFrame()

    def write_metrics(self, rows: list[dict[str, Any]]) -> None:
        write_atomic(self.file("metrics.csv"), pd.DataFrame(rows).to_csv(index=False))

    def log_tail(self, lines: int = 40) -> list[str]:
        """The last lines of log.txt. A link in its place may lead to any file, and is not followed."""
        path = self.file("log.txt")
        if path.is_symlink() or not path.is_file():
            return []
        return path.read_text(errors="replace").splitlines()[-lines:]


def _if_scored(report: object) -> object:
    """The report of a split or a kind of label; None for one without an mAP."""
    return None if isinstance(report, dict) and report.get("mAP") is None else report


def list_runs(workspace: str | Path) -> list[Run]:
    """The runs directly below `workspace`, newest first.

    Folders that are no runs are left out, and so are those that `damaged_runs` names.
    """
    return [run for _, run in _opened(workspace) if isinstance(run, Run)]


def damaged_runs(workspace: str | Path) -> dict[str, str]:
    """Name -> sentence of each folder directly below `workspace` whose config.yaml cannot be read."""
    return {name: str(error) for name, error in _opened(workspace) if isinstance(error, UserError)}


def _opened(workspace: str | Path) -> Iterator[tuple[str, Run | UserError]]:
    for path in _folders_with_settings(workspace):
        try:
            yield path.name, Run.open(path)
        except UserError as error:
            yield path.name, error


def _folders_with_settings(workspace: str | Path) -> list[Path]:
    """Folders directly below `workspace` that hold a config.yaml, newest first."""
    dated = []
    with contextlib.suppress(OSError):  # no workspace yet
        for path in Path(workspace).iterdir():
            with contextlib.suppress(OSError):
                dated.append(((path / "config.yaml").stat().st_mtime, path))
    return [path for _, path in sorted(dated, reverse=True)]


def _settings(file: Path) -> dict[str, Any]:
    """What a run's config.yaml holds; its "recorded" has the names of the classes.

    Raises UserError where there is no such file, or it does not hold that.
    """
    damaged = f"{file} is damaged: it does not hold the settings of a run"
    try:
        settings = load_yaml(file)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{file.parent} is not a run: it has no config.yaml.") from None
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror or error}.") from None
    except NotYaml as error:
        raise UserError(f"{damaged} ({error.args[0].rstrip('.')}).") from None
    recorded = settings.get("recorded") if isinstance(settings, dict) else None
    classes = recorded.get("classes") if isinstance(recorded, dict) else None
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise UserError(f"{damaged}.")
    return settings
