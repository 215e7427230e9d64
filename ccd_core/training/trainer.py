"""Train the classifier on pseudo-labels: warm-up and main phase, early stop, checkpoints, resume (Sec. 3.4, 4.1).

Nothing here has ever seen ground truth: the trainer is given images and pseudo-labels only.
"""

from __future__ import annotations

import logging
import math
import shutil
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator

from ccd_core.data.loading import DecodedImages, in_batches
from ccd_core.errors import Stopped
from ccd_core.evaluation.metrics import mean_average_precision
from ccd_core.files import write_json
from ccd_core.machine.signals import step_by_step
from ccd_core.method.classifier import CamClassifier
from ccd_core.method.early_stop import first_local_minimum
from ccd_core.method.losses import ccd_loss
from ccd_core.runs.progress import Advance, Phase, Stage
from ccd_core.runs.team import ALONE, Team
from ccd_core.runs.work import Work
from ccd_core.training.augment import augment, to_network
from ccd_core.training.checkpoint import (
    Checkpoint,
    EpochState,
    Row,
    load_checkpoint,
    random_state,
    save_checkpoint,
    set_random_state,
    write_tensors,
)
from ccd_core.training.distributed import wrap_ddp
from ccd_core.training.tensorboard import EventFile

log = logging.getLogger("ccd")
PREDICTED_TOGETHER = 64  # images in one forward pass that trains nothing
CHECKPOINT_SECONDS = 300  # in a long epoch, between two checkpoints
STAGE_OF: dict[Phase, Stage] = {"warm-up": "warm-up", "main": "training"}
# Called after each epoch with the model and the processes that share the work; gives what is logged beside the epoch.
Validate = Callable[[CamClassifier, Team], float | None]


class Trainer:
    """One classifier being trained, from wherever the last checkpoint in the run's folder left it."""

    def __init__(self, model: CamClassifier, work: Work):
        self.work = work
        self.run = work.folder
        self.settings = work.config.training
        self.accelerator = work.accelerator
        self.seed = work.config.seed
        groups: list[dict[str, Any]] = [
            {"params": model.backbone.parameters(), "lr": self.settings.learning_rate},
            {
                "params": model.head.parameters(),
                "lr": self.settings.learning_rate * self.settings.head_factor,
            },
        ]
        maker = torch.optim.AdamW if self.settings.optimizer == "adamw" else torch.optim.Adam
        optimizer = maker(groups, weight_decay=self.settings.weight_decay)
        self.base_rates = [float(group["lr"]) for group in groups]
        channels_last = model.to(memory_format=torch.channels_last)
        self.plain_model: CamClassifier = self.accelerator.prepare_model(channels_last, evaluation_mode=True)
        self.optimizer = self.accelerator.prepare_optimizer(optimizer)
        self.model: torch.nn.Module = self.plain_model
        self.team = ALONE  # the processes that share the batches of the phase at hand
        self.epoch = 0  # the next one
        self.inside: EpochState | None = None  # where the last checkpoint is inside of that epoch
        self.rows: list[Row] = []  # metrics.csv
        self.events = EventFile(self.run.file("tensorboard"))
        self._resume()
        work.team.wait()  # before a process writes another checkpoint

    def warm_up(self, images: DecodedImages, labels: np.ndarray, validate: Validate | None = None) -> None:
        """Train on the initial labels [N, C], all epochs where no update of the labels follows (Sec. 3.4).

        Before an update one process trains and the others take over what it learnt, unless `training.warmup_on` is "all".
        """
        update = self.work.config.labels.update
        epochs = self.settings.epochs
        until = min(self.settings.warmup_epochs, epochs) if update else epochs
        if self.epoch >= until:
            return
        if not update or self.settings.warmup_on == "all":
            self._train_until(until, "warm-up", self.work.team, images, labels, validate)
        elif self.work.team.first:
            self._train_until(until, "warm-up", ALONE, images, labels, validate)
            self.work.team.wait()
        else:
            self.work.team.wait()
            self._resume()

    def train(self, images: DecodedImages, labels: np.ndarray, validate: Validate | None = None) -> None:
        """The main phase, on the final labels [N, C]: until the last epoch or the early stop (Eq. 8, Sec. 4.1)."""
        self._train_until(self.settings.epochs, "main", self.work.team, images, labels, validate)

    def _train_until(
        self,
        until: int,
        phase: Phase,
        team: Team,
        images: DecodedImages,
        labels: np.ndarray,
        validate: Validate | None,
    ) -> None:
        self._share_with(team)
        while self.epoch < until and not self._stopped(phase):
            began = time.time() - (self.inside.seconds if self.inside else 0)
            loss, train_map = self._one_epoch(images, labels, phase)
            score = validate(self.plain_model, self.team) if validate else None
            row: Row = {
                "epoch": self.epoch,
                "phase": phase,
                "loss": loss,
                "train_map": 100 * train_map,
                "val_map": None if score is None else 100 * score,
                "seconds": round(time.time() - began, 2),
            }
            self.rows.append(row)
            self.epoch += 1
            self._save()
            validation = "" if score is None else f", validation mAP {100 * score:.1f}"
            log.info(
                "epoch %d (%s): loss %.4f, mAP on training labels %.1f%s",
                row["epoch"], phase, loss, row["train_map"], validation,
            )  # fmt: skip
        if self.work.team.first:
            if (phase == "main" or until == self.settings.epochs) and not self._best_is_saved():
                self._save_best()
            if phase == "warm-up":
                last = self.run.file("checkpoints", "last.safetensors")
                shutil.copy2(last, self.run.file("checkpoints", "warmup.safetensors"))
        if team is self.work.team:
            team.wait()

    def _share_with(self, team: Team) -> None:
        if team.size > 1 and self.model is self.plain_model:
            self.model = wrap_ddp(self.plain_model, self.accelerator)
        self.team = team

    def _one_epoch(self, images: DecodedImages, labels: np.ndarray, phase: Phase) -> tuple[float, float]:
        """Mean loss and the mAP of the epoch's own predictions against the labels that it was trained on."""
        # An epoch depends on no earlier one's random numbers.
        torch.manual_seed(1_000_003 * (self.seed + 1) + self.epoch)
        settings = self.settings
        device = self.accelerator.device
        team = self.team
        began = time.time()
        batches = in_batches(torch.randperm(len(images)).numpy(), settings.batch_size)
        steps = len(batches)
        batches = [
            batch for batch in batches if len(batch) > 1 or steps == 1
        ]  # batch norm needs at least two images
        earlier = self.inside
        self.inside = None
        if earlier and len(earlier.scores) != len(labels):
            earlier = None  # the user goes on without some images, so the epoch begins anew
        begin = earlier.step if earlier else 0
        scores = earlier.scores if earlier else np.zeros_like(labels)
        losses = earlier.losses if earlier else []
        if not team.first:
            scores[:] = 0  # the first process has those of an earlier session
        batches = batches[begin:]
        parts = [team.batch_slice(len(batch)) for batch in batches]
        read = images.batches([batch[part] for batch, part in zip(batches, parts, strict=True)])
        self.model.train()
        with self._stop_between_steps() as asked_to_stop, self._stage(phase, len(images), begin) as advance:
            saved = began
            for step, (batch, part, (indices, pixels)) in enumerate(
                zip(batches, parts, read, strict=True), begin
            ):
                if earlier and step == begin:
                    # After the DataLoader was started, because that draws a random number.
                    set_random_state(earlier.random, device)
                self._set_rate((self.epoch + step / steps) / settings.epochs)
                target = torch.from_numpy(labels[indices]).to(device)
                with_strong = phase == "main" and settings.beta > 0
                weak, strong = augment(pixels.to(device), settings, with_strong, len(batch), part)
                logits = self.model(weak)
                strong_logits = None if strong is None else self.model(strong)
                loss = ccd_loss(logits, target, strong_logits, settings.beta)
                if len(batch) >= team.size > 1:
                    # Gradients are averaged over the processes, whose parts may differ by one image.
                    loss = loss * (len(indices) * team.size / len(batch))
                self.optimizer.zero_grad()
                self.accelerator.backward(loss)
                self.optimizer.step()
                losses.append(loss.detach())
                if len(batch) >= team.size or team.first:
                    scores[indices] = torch.sigmoid(logits.detach()).float().cpu().numpy()
                advance(min((step + 1) * settings.batch_size, len(images)))
                if team.size == 1 and (asked_to_stop() or time.time() - saved > CHECKPOINT_SECONDS):
                    spent = time.time() - began + (earlier.seconds if earlier else 0)
                    self._save(EpochState(step + 1, scores, losses, random_state(device), spent))
                    saved = time.time()
                    if asked_to_stop():
                        raise Stopped
        positive = (labels >= settings.positive_label).astype(np.float32)
        mean_loss = torch.stack(losses).mean(0, keepdim=True).cpu().numpy()
        loss_of_all = team.all_reduce(mean_loss)[0] / team.size
        return float(loss_of_all), mean_average_precision(team.all_reduce(scores), positive)

    def _stop_between_steps(self) -> Any:
        """Yields a function that says whether to stop; of several processes, the launcher ends them instead."""
        return step_by_step() if self.team.size == 1 else nullcontext(lambda: False)

    def _stage(self, phase: Phase, count: int, begin: int) -> Any:
        detail = f"epoch {self.epoch + 1} of {self.settings.epochs}"
        return self.work.progress.stage(STAGE_OF[phase], count, detail, begin * self.settings.batch_size)

    def _set_rate(self, progress: float) -> None:
        """The learning rate at `progress` in [0, 1] of all epochs."""
        factor = 1.0 if self.settings.schedule == "constant" else 0.5 * (1 + math.cos(math.pi * progress))
        for group, rate in zip(self.optimizer.param_groups, self.base_rates, strict=True):
            group["lr"] = rate * factor

    # -- which epoch is kept -----------------------------------------------------------------

    def _maps(self) -> list[float]:
        """Train-label mAP of the main phase; warm-up, which was measured against other labels, counts only if all gains do."""
        of_all = self.settings.keep == "first_local_minimum_of_all"
        return [row["train_map"] for row in self.rows if of_all or row["phase"] == "main"]

    def _stopped(self, phase: Phase) -> bool:
        stops = self.settings.keep != "last" and phase == "main"
        return stops and first_local_minimum(self._maps()) is not None

    def _best_is_saved(self) -> bool:
        if not self.run.has("checkpoints", "best.json"):
            return False
        return self.run.load_json("checkpoints", "best.json")["epoch"] == self.epoch - 1

    def _save_best(self) -> None:
        """Write the model as it is now: the early stop has just fired, or the last epoch is over."""
        reason = (
            "first local minimum of the gain in train-label mAP" if self._stopped("main") else "last epoch"
        )
        write_tensors(self.run.file("checkpoints", "best.safetensors"), self.plain_model.state_dict())
        write_json(
            self.run.file("checkpoints", "best.json"), {"epoch": self.epoch - 1, "kept_because": reason}
        )
        log.info("kept the model of epoch %d: %s", self.epoch - 1, reason)

    # -- checkpoints -------------------------------------------------------------------------

    def _save(self, inside: EpochState | None = None) -> None:
        if not self.work.team.first:
            return
        optimizer = self.optimizer.state_dict()["state"]
        checkpoint = Checkpoint(self.epoch, self.rows, self.plain_model.state_dict(), optimizer, inside)
        save_checkpoint(self.run.file("checkpoints", "last.safetensors"), checkpoint)
        self.run.write_metrics(self.rows)
        self.events.write(self.rows)

    def _resume(self) -> None:
        path = self.run.file("checkpoints", "last.safetensors")
        if not path.is_file():
            return
        there = load_checkpoint(path)
        self.epoch = there.epoch
        self.rows = there.rows
        self.plain_model.load_state_dict(there.model)
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": there.optimizer, "param_groups": groups})
        self.inside = there.inside
        if self.inside:
            self.inside.losses = [loss.to(self.accelerator.device) for loss in self.inside.losses]
        if self.work.team.first:
            self.run.write_metrics(self.rows)
        log.info("going on at epoch %d%s", self.epoch, f", step {self.inside.step}" if self.inside else "")


@torch.inference_mode()
def predict_scores(
    model: CamClassifier,
    images: DecodedImages,
    accelerator: Accelerator,
    team: Team = ALONE,
    advance: Advance | None = None,
) -> np.ndarray:
    """[N, C] float32 probabilities of every image, to all processes of the team, which share the batches."""
    was_training = model.training
    model.eval()
    scores = np.zeros((len(images), model.head.out_channels), np.float32)
    done = 0
    batches = in_batches(np.arange(len(images)), PREDICTED_TOGETHER)
    for indices, pixels in images.batches(team.shard(batches)):
        with accelerator.autocast():
            logits = model(to_network(pixels.to(accelerator.device)))
        scores[indices] = torch.sigmoid(logits.float()).cpu().numpy()
        done += len(indices) * team.size
        if advance:
            advance(min(done, len(images)))
    model.train(was_training)
    return team.all_reduce(scores)
