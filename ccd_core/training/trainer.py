"""Train the classifier on pseudo-labels: warm-up and main phase, early stop, checkpoints, resume (Sec. 3.4, 4.1).

Nothing here has ever seen ground truth: the trainer is given pictures and pseudo-labels only.
"""

from __future__ import annotations

import json
import logging
import math
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torchvision.transforms import v2

from ccd_core.classifier import CamClassifier
from ccd_core.clip import normalise
from ccd_core.config import TrainingSettings
from ccd_core.data.loading import Pictures, in_batches
from ccd_core.distributed import divided
from ccd_core.errors import Stopped
from ccd_core.event_files import EventFile
from ccd_core.files import replacing, write_json
from ccd_core.losses import ccd_loss
from ccd_core.metrics import mean_average_precision
from ccd_core.runs import Progress, Run
from ccd_core.stopping import step_by_step
from ccd_core.team import ALONE, Team

log = logging.getLogger("ccd")
PREDICTED_TOGETHER = 64  # pictures in one forward pass that trains nothing
CHECKPOINT_SECONDS = 300  # in a long epoch, between two checkpoints


def first_local_minimum(train_map_per_epoch: Sequence[float]) -> int | None:
    """The epoch whose model is kept: the first whose gain in mAP exceeds the gain before it (Sec. 4.1).

    The gain of epoch e is map[e] - map[e - 1]; an increase means that the gain before was a local minimum. None where
    that never happens; comparisons with NaN never count.
    """
    values = np.asarray(train_map_per_epoch, np.float64)
    gains = np.diff(values)
    for epoch in range(2, len(values)):
        if gains[epoch - 1] > gains[epoch - 2]:
            return epoch
    return None


@dataclass
class Midway:
    """How far an epoch is: the next step, scores [N, C] and losses so far, the random numbers' state, and the seconds spent on it."""

    step: int
    scores: np.ndarray
    losses: list[Tensor]
    random: Tensor
    seconds: float


class Trainer:
    """One classifier being trained; `train` takes it on to an epoch, from wherever the last checkpoint left it."""

    def __init__(self, model: CamClassifier, settings: TrainingSettings, accelerator: Accelerator, run: Run, progress: Progress, seed: int):
        self.settings, self.accelerator, self.run, self.progress, self.seed = settings, accelerator, run, progress, seed
        groups: list[dict[str, Any]] = [
            {"params": model.backbone.parameters(), "lr": settings.learning_rate},
            {"params": model.head.parameters(), "lr": settings.learning_rate * settings.head_factor},
        ]
        maker = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
        optimizer = maker(groups, weight_decay=settings.weight_decay)
        self.base_rates = [float(group["lr"]) for group in groups]
        self.plain_model: CamClassifier = accelerator.prepare_model(model.to(memory_format=torch.channels_last), evaluation_mode=True)
        self.optimizer = accelerator.prepare_optimizer(optimizer)
        self.model: torch.nn.Module = self.plain_model
        self.team = ALONE  # who shares the batches of the phase at hand
        self.epoch = 0  # the next one
        self.midway: Midway | None = None  # where the last checkpoint is inside of that epoch
        self.rows: list[dict[str, Any]] = []  # metrics.csv
        self.events = EventFile(run.file("tensorboard"))
        self._resume()
        run.team.wait()  # before anybody writes another checkpoint

    def train(
        self,
        pictures: Pictures,
        labels: np.ndarray,
        until: int,
        phase: str,
        after_epoch: Callable[[CamClassifier, Team], float | None] | None = None,
        alone: bool = False,
    ) -> None:
        """Train on `labels` [N, C] until epoch `until` (exclusive) or, in the main phase, until the early stop fires.

        after_epoch: called with the model, and who is there to share the work, for what is to be logged beside the epoch; its value steers
        nothing. alone: the first of several processes trains and the others take over what it learnt; otherwise all share each batch.
        """
        if alone and not self.run.team.first:
            self.run.team.wait()
            return self._resume()
        self._share_with(ALONE if alone else self.run.team)
        while self.epoch < until and not self._stopped(phase):
            began = time.time() - (self.midway.seconds if self.midway else 0)
            loss, train_map = self._one_epoch(pictures, labels, phase)
            score = after_epoch(self.plain_model, self.team) if after_epoch else None
            row = {"epoch": self.epoch, "phase": phase, "loss": loss, "train_map": 100 * train_map}
            self.rows.append(row | {"val_map": None if score is None else 100 * score, "seconds": round(time.time() - began, 2)})
            self.epoch += 1
            self._save()
            log.info("epoch %d (%s): loss %.4f, mAP on training labels %.1f%s", row["epoch"], phase, loss, row["train_map"],
                     "" if score is None else f", validation mAP {100 * score:.1f}")  # fmt: skip
        if self.run.team.first and (phase == "main" or until == self.settings.epochs) and not self._kept():
            self._keep()
        if self.run.team.first and phase == "warm-up":
            shutil.copy2(self.run.file("checkpoints", "last.safetensors"), self.run.file("checkpoints", "warmup.safetensors"))
        self.run.team.wait()

    def _share_with(self, team: Team) -> None:
        if team.size > 1 and self.model is self.plain_model:
            self.model = divided(self.plain_model, self.accelerator)
        self.team = team

    def _one_epoch(self, pictures: Pictures, labels: np.ndarray, phase: str) -> tuple[float, float]:
        """Mean loss and the mAP of the epoch's own predictions against the labels that it was trained on."""
        torch.manual_seed(1_000_003 * (self.seed + 1) + self.epoch)  # an epoch depends on no earlier one's random numbers
        settings, device, began = self.settings, self.accelerator.device, time.time()
        batches = in_batches(torch.randperm(len(pictures)).numpy(), settings.batch_size)
        steps = len(batches)
        batches = [batch for batch in batches if len(batch) > 1 or steps == 1]  # batch statistics of one image are none
        done, self.midway = self.midway, None
        begin, scores, losses = (done.step, done.scores, done.losses) if done else (0, np.zeros_like(labels), [])
        if not self.team.first:
            scores[:] = 0  # the first one has them
        batches = batches[begin:]
        parts = [self.team.part(len(batch)) for batch in batches]
        read = pictures.batches([batch[part] for batch, part in zip(batches, parts, strict=True)])
        self.model.train()
        name, detail = ("warm-up" if phase == "warm-up" else "training"), f"epoch {self.epoch + 1} of {settings.epochs}"
        with (
            step_by_step() if self.team.size == 1 else nullcontext(lambda: False) as asked,
            self.progress.stage(name, len(pictures), detail, begin * settings.batch_size) as advance,
        ):
            saved = began
            for step, (batch, part, (indices, pixels)) in enumerate(zip(batches, parts, read, strict=True), begin):
                if done and step == begin:
                    set_random_state(done.random, device)  # now: starting to read has drawn a number
                self._set_rate((self.epoch + step / steps) / settings.epochs)
                target = torch.from_numpy(labels[indices]).to(device)
                weak, strong = augment(pixels.to(device), settings, phase == "main" and settings.beta > 0, len(batch), part)
                logits = self.model(weak)
                strong_logits = None if strong is None else self.model(strong)
                loss = ccd_loss(logits, target, strong_logits, settings.beta)
                if len(batch) >= self.team.size > 1:  # gradients are averaged over the processes, whose parts may differ by one
                    loss = loss * (len(indices) * self.team.size / len(batch))
                self.optimizer.zero_grad()
                self.accelerator.backward(loss)
                self.optimizer.step()
                losses.append(loss.detach())
                if len(batch) >= self.team.size or self.team.first:
                    scores[indices] = torch.sigmoid(logits.detach()).float().cpu().numpy()
                advance(min((step + 1) * settings.batch_size, len(pictures)))
                if self.team.size == 1 and (asked() or time.time() - saved > CHECKPOINT_SECONDS):
                    spent = time.time() - began + (done.seconds if done else 0)
                    self._save(Midway(step + 1, scores, losses, random_state(device), spent))
                    saved = time.time()
                    if asked():
                        raise Stopped
        positive = (labels >= settings.positive_label).astype(np.float32)
        loss = self.team.add_up(torch.stack(losses).mean(0, keepdim=True).cpu().numpy())[0] / self.team.size
        return float(loss), mean_average_precision(self.team.add_up(scores), positive)

    def _set_rate(self, progress: float) -> None:
        factor = 1.0 if self.settings.schedule == "constant" else 0.5 * (1 + math.cos(math.pi * progress))
        for group, rate in zip(self.optimizer.param_groups, self.base_rates, strict=True):
            group["lr"] = rate * factor

    # -- which epoch is kept -----------------------------------------------------------------

    def _maps(self) -> list[float]:
        """Train-label mAP of the main phase. Warm-up is left out, since it was measured against other labels, unless all gains count."""
        of_all = self.settings.keep == "first_local_minimum_of_all"
        return [row["train_map"] for row in self.rows if of_all or row["phase"] == "main"]

    def _stopped(self, phase: str) -> bool:
        stops = self.settings.keep != "last" and phase == "main"
        return stops and first_local_minimum(self._maps()) is not None

    def _kept(self) -> bool:
        return self.run.has("checkpoints", "best.json") and self.run.load_json("checkpoints", "best.json")["epoch"] == self.epoch - 1

    def _keep(self) -> None:
        """Write the model as it is now: the early stop has just fired, or the last epoch is over."""
        reason = "first local minimum of the gain in train-label mAP" if self._stopped("main") else "last epoch"
        write_tensors(self.run.file("checkpoints", "best.safetensors"), self.plain_model.state_dict())
        write_json(self.run.file("checkpoints", "best.json"), {"epoch": self.epoch - 1, "kept_because": reason})
        log.info("kept the model of epoch %d: %s", self.epoch - 1, reason)

    # -- checkpoints: one safetensors file, its header holds what is not a tensor ---------------------

    def _save(self, midway: Midway | None = None) -> None:
        if not self.run.team.first:
            return
        tensors = {f"model.{name}": value for name, value in self.plain_model.state_dict().items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{key}": torch.as_tensor(value) for key, value in state.items()}
        header = {"epoch": str(self.epoch), "rows": json.dumps(self.rows)}
        if midway:
            tensors |= {"midway.scores": torch.from_numpy(midway.scores), "midway.losses": torch.stack(midway.losses), "midway.random": midway.random}
            header |= {"step": str(midway.step), "seconds": str(midway.seconds)}
        write_tensors(self.run.file("checkpoints", "last.safetensors"), tensors, header)
        self.run.write_metrics(self.rows)
        self.events.write(self.rows)

    def _resume(self) -> None:
        path = self.run.file("checkpoints", "last.safetensors")
        if path.is_file():
            self.load(path)
            log.info("going on at epoch %d%s", self.epoch, f", step {self.midway.step}" if self.midway else "")

    def load(self, path: Path) -> None:
        with safe_open(path, framework="pt") as file:
            header = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        self.epoch, self.rows = int(header["epoch"]), json.loads(header["rows"])
        self.plain_model.load_state_dict({name.removeprefix("model."): value for name, value in tensors.items() if name.startswith("model.")})
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith("optimizer."):
                _, index, key = name.split(".")
                state.setdefault(int(index), {})[key] = value
        self.optimizer.load_state_dict({"state": state, "param_groups": self.optimizer.state_dict()["param_groups"]})
        self.midway = None
        if "step" in header:
            losses = list(tensors["midway.losses"].to(self.accelerator.device))
            scores = tensors["midway.scores"].numpy()
            self.midway = Midway(int(header["step"]), scores, losses, tensors["midway.random"], float(header["seconds"]))
        self.run.write_metrics(self.rows)


def random_state(device: torch.device) -> Tensor:
    """uint8: the CPU's random numbers and, behind them, those of a GPU."""
    states = [torch.get_rng_state()] + ([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])
    return torch.cat(states)


def set_random_state(state: Tensor, device: torch.device) -> None:
    cpu = len(torch.get_rng_state())
    torch.set_rng_state(state[:cpu])
    if device.type == "cuda" and len(state) > cpu:
        torch.cuda.set_rng_state(state[cpu:], device)


def write_tensors(path: Path, tensors: dict[str, Tensor], header: dict[str, str] | None = None) -> None:
    with replacing(path) as partial:
        save_file({name: value.contiguous() for name, value in tensors.items()}, partial, metadata=header)


def augment(
    pixels: Tensor, settings: TrainingSettings, with_strong: bool, batch: int | None = None, part: slice = slice(None)
) -> tuple[Tensor, Tensor | None]:
    """Weak copy: random flip; strong copy: the same and colour jitter (Sec. 3.4). [B, 3, S, S] uint8 -> normalised float32.

    Where `pixels` are only `part` of a batch of `batch` images, each is treated as it would be among the whole batch.
    """
    count = len(pixels) if batch is None else batch
    flip = torch.rand(count) < 0.5
    weak = _flip(pixels, flip[part])
    if not with_strong:
        return _prepare(weak), None
    other = flip if settings.shared_flip else torch.rand(count) < 0.5
    amount = settings.jitter
    jitter = v2.ColorJitter(amount, amount, amount, min(amount, 0.5))
    draws = [jitter.make_params([]) for _ in range(count)]
    strong = torch.stack([jitter.transform(picture, draw) for picture, draw in zip(_flip(pixels, other[part]), draws[part], strict=True)])
    return _prepare(weak), _prepare(strong)


def _flip(pixels: Tensor, which: Tensor) -> Tensor:
    return torch.where(which.to(pixels.device)[:, None, None, None], pixels.flip(-1), pixels)


def _prepare(pixels: Tensor) -> Tensor:
    return normalise(pixels).contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def predict_scores(
    model: CamClassifier, pictures: Pictures, accelerator: Accelerator, team: Team = ALONE, advance: Callable[[int], None] | None = None
) -> np.ndarray:
    """[N, C] float32 probabilities of every picture, to all of the team, which shares the batches."""
    was_training = model.training
    model.eval()
    scores, done = np.zeros((len(pictures), model.head.out_channels), np.float32), 0
    for indices, pixels in pictures.batches(team.share(in_batches(np.arange(len(pictures)), PREDICTED_TOGETHER))):
        with accelerator.autocast():
            logits = model(_prepare(pixels.to(accelerator.device)))
        scores[indices] = torch.sigmoid(logits.float()).cpu().numpy()
        done += len(indices) * team.size
        if advance:
            advance(min(done, len(pictures)))
    model.train(was_training)
    return team.add_up(scores)
