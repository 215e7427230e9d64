"""Training of the classifier on pseudo-labels: warm-up, main phase, early stop, checkpoints (Sec. 3.4, 4.1).

The trainer receives images and pseudo-labels only. It never sees ground truth.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from ccd_core.data.loading import DecodedImages, in_batches
from ccd_core.device_memory import Pass, is_out_of_memory, to_device
from ccd_core.errors import Stopped
from ccd_core.evaluation.metrics import mean_average_precision
from ccd_core.files import write_json
from ccd_core.machine.signals import step_by_step
from ccd_core.method.classifier import CamClassifier
from ccd_core.method.early_stop import first_local_minimum
from ccd_core.runs.progress import Phase, Stage
from ccd_core.runs.team import ALONE, Team
from ccd_core.runs.work import Work
from ccd_core.training.augment import augment
from ccd_core.training.averaging import AveragedWeights
from ccd_core.training.ccd import Ccd
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
from ccd_core.training.distributed import StepTooLarge, wrap_ddp
from ccd_core.training.objective import Batch, Objective
from ccd_core.training.optimizer import lay_out_like_parameters, make_optimizer, rate_factor
from ccd_core.training.passes import InPasses
from ccd_core.training.tensorboard import EventFile

log = logging.getLogger("ccd")
CHECKPOINT_SECONDS = 300  # time between two checkpoints within a long epoch
STAGE_OF: dict[Phase, Stage] = {"warm-up": "warm-up", "main": "training"}
# Called after each epoch with the model and the processes that share the work. Returns mAP in [0, 1], or None
# if it is not known. The value is logged, and no decision depends on it.
Validate = Callable[[CamClassifier, Team], float | None]
Result = TypeVar("Result")


class Trainer:
    """Trains one classifier, beginning where the last checkpoint in the run's folder ends."""

    def __init__(self, model: CamClassifier, work: Work, objective: Objective | None = None):
        """model: the untrained classifier; a checkpoint overwrites its weights.

        objective: the loss and the state of another method; None for CCD.
        """
        self.objective = objective or Ccd(work.config.training)
        self.work = work
        self.run = work.folder
        self.settings = work.config.training
        self.accelerator = work.accelerator
        self.seed = work.config.seed
        more = self.objective.parameter_groups(self.settings.learning_rate)
        on_gpu = self.accelerator.device.type == "cuda"
        optimizer = make_optimizer(
            model, self.settings, more, fused=on_gpu and self.accelerator.mixed_precision != "fp16"
        )
        self.limit = Pass("images in one pass of a training step", work.images_a_pass)
        self.base_rates = [float(group["lr"]) for group in optimizer.param_groups]
        channels_last = model.to(memory_format=torch.channels_last)
        self.plain_model: CamClassifier = self.accelerator.prepare_model(channels_last, evaluation_mode=True)
        self.optimizer = self.accelerator.prepare_optimizer(optimizer)
        self.passes = InPasses(self.plain_model)
        self.model: torch.nn.Module = self.passes  # for several devices, what wraps it
        self.average = AveragedWeights(self.plain_model, self.settings.average)
        self.team = ALONE  # the processes that share the batches of the present phase
        self.epoch = 0  # the index of the next epoch
        self.inside: EpochState | None = None  # set if the last checkpoint was written within that epoch
        self.rows: list[Row] = []  # the rows of metrics.csv
        self.events = EventFile(self.run.file("tensorboard"))
        self._resume()
        work.team.wait()  # every process has read the checkpoint before one of them writes the next

    def warm_up(self, images: DecodedImages, labels: np.ndarray, validate: Validate | None = None) -> None:
        """Train on the initial labels [N, C] (Sec. 3.4), for all epochs if the labels will not be updated.

        On several devices, one process trains and the others load its weights, unless `training.warmup_on` is
        "all" or no update follows. So the labels that follow are the same, to the bit, as on one device.
        """
        update = self.work.config.labels.update
        epochs = self.settings.epochs
        until = min(self.settings.warmup_epochs, epochs) if update else epochs
        if self.epoch >= until:
            return
        self.objective.labels = labels
        if not update or self.settings.warmup_on == "all":
            self._train_until(until, "warm-up", self.work.team, images, validate)
        elif self.work.team.first:
            self._train_until(until, "warm-up", ALONE, images, validate)
            self.work.team.wait()
        else:
            self.work.team.wait()
            self._resume()

    def train(self, images: DecodedImages, labels: np.ndarray, validate: Validate | None = None) -> None:
        """Train on the final labels [N, C], until the last epoch or the early stop (Eq. 8, Sec. 4.1)."""
        self.objective.labels = labels
        self._train_until(self.settings.epochs, "main", self.work.team, images, validate)

    def fit(self, images: DecodedImages, validate: Validate | None = None) -> None:
        """Train another method, on the labels of its objective, for as many epochs as CCD.

        The first `warmup_epochs` do not count for the early stop, as they do not for CCD.
        """
        until = min(self.settings.warmup_epochs, self.settings.epochs)
        if self.epoch < until:
            self._train_until(until, "warm-up", self.work.team, images, validate)
        self._train_until(self.settings.epochs, "main", self.work.team, images, validate)

    def _train_until(
        self,
        until: int,
        phase: Phase,
        team: Team,
        images: DecodedImages,
        validate: Validate | None,
    ) -> None:
        self._share_with(team)
        while self.epoch < until and not self._stopped(phase):
            began = time.time() - (self.inside.seconds if self.inside else 0)
            loss, train_map = self._one_epoch(images, phase)
            with self.average.applied(self.plain_model):
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
            line = f"loss {loss:.4f}, mAP on training labels {row['train_map']:.1f}{validation}"
            log.info("epoch %d (%s): %s", row["epoch"], phase, line)
        if self.work.team.first:
            if (phase == "main" or until == self.settings.epochs) and not self._best_is_saved():
                self._save_best()
            if phase == "warm-up":
                last = self.run.file("checkpoints", "last.safetensors")
                shutil.copy2(last, self.run.file("checkpoints", "warmup.safetensors"))
        if team is self.work.team:
            team.wait()

    def _share_with(self, team: Team) -> None:
        if team.size > 1 and self.model is self.passes:
            self.model = wrap_ddp(self.passes, self.accelerator)
        self.team = team

    def _one_epoch(self, images: DecodedImages, phase: Phase) -> tuple[float, float]:
        """Train one epoch, or the rest of it. Returns the mean loss and, in [0, 1], the mAP on the labels.

        mAP compares the labels with the predictions made during the epoch, each before its own step.
        """
        # The random numbers of an epoch depend on the seed and its index only.
        torch.manual_seed(1_000_003 * (self.seed + 1) + self.epoch)
        settings = self.settings
        labels = self.objective.labels
        device = self.accelerator.device
        team = self.team
        began = time.time()
        batches = in_batches(torch.randperm(len(images)).numpy(), settings.batch_size)
        steps = len(batches)
        # Batch norm needs at least two images.
        batches = [batch for batch in batches if len(batch) > 1 or steps == 1]
        earlier = self.inside
        self.inside = None
        if earlier and len(earlier.scores) != len(labels):
            earlier = None  # the user has left out some images since, so the epoch begins again
        begin = earlier.step if earlier else 0
        scores = earlier.scores if earlier else np.zeros_like(labels)
        losses = earlier.losses if earlier else []
        # On the device, because fetching them after each step would make the CPU wait for the device.
        predicted: list[tuple[np.ndarray, Tensor]] = []
        if not team.first:
            scores[:] = 0  # processes add up their scores, and the first process has those of before
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
                    # Only now, because starting the DataLoader draws a random number.
                    set_random_state(earlier.random, device)
                self._set_rate((self.epoch + step / steps) / settings.epochs)
                target = to_device(torch.from_numpy(labels[indices]), device)
                loss, logits = self._step(to_device(pixels, device), indices, target, phase, len(batch), part)
                self.average.update(self.plain_model)
                losses.append(loss)
                if len(batch) >= team.size or team.first:
                    predicted.append((indices, torch.sigmoid(logits).float()))
                advance(min((step + 1) * settings.batch_size, len(images)))
                if team.size == 1 and (asked_to_stop() or time.time() - saved > CHECKPOINT_SECONDS):
                    _write_rows(scores, predicted)
                    seconds = time.time() - began + (earlier.seconds if earlier else 0)
                    self._save(EpochState(step + 1, scores, losses, random_state(device), seconds))
                    saved = time.time()
                    if asked_to_stop():
                        raise Stopped
        _write_rows(scores, predicted)
        positive = self.objective.positives().astype(np.float32)
        mean_loss = torch.stack(losses).mean(0, keepdim=True).cpu().numpy()
        loss_of_all = team.all_reduce(mean_loss)[0] / team.size
        train_map = mean_average_precision(team.all_reduce(scores), positive)
        self.objective.end_of_epoch(self.epoch, settings.epochs, scores)
        return float(loss_of_all), train_map

    def _step(
        self,
        pixels: Tensor,
        indices: np.ndarray,
        target: Tensor,
        phase: Phase,
        batch_size: int,
        part: slice,
    ) -> tuple[Tensor, Tensor]:
        """Make one step. Returns the loss and the logits [B, C] of the weak copies, both detached.

        pixels: [B, 3, S, S] uint8, this process's `part` of a batch of `batch_size` images; indices: [B],
        which images these are; target: [B, C] labels. Where the device runs out of memory, the images go
        through the network in several passes (`InPasses`).
        """
        with_strong = phase == "main" and self.objective.wants_strong
        weak, strong = augment(pixels, self.settings, with_strong, batch_size, part)
        rows = torch.as_tensor(indices)
        batch = Batch(rows, target, self.epoch, self.settings.epochs, strong)
        device = self.accelerator.device
        random = random_state(device)
        shared = batch_size >= self.team.size > 1
        most = -(-batch_size // self.team.size) if shared else batch_size  # images of one process
        fewest = batch_size // self.team.size if shared else batch_size

        def gradients() -> tuple[Tensor, Tensor]:
            set_random_state(random, device)
            self.optimizer.zero_grad()
            # As many in all processes, which share what batch norm sees in each pass.
            self.passes.count = min(-(-most // self.limit.size), fewest)
            loss, logits = self.objective.loss_of(self.model, weak, batch)
            if shared:
                # Gradients are averaged over the processes, whose parts may differ by one image.
                loss = loss * (len(pixels) * self.team.size / batch_size)
            self.accelerator.backward(loss)
            return loss.detach(), logits.detach()

        if self.team.size == 1:
            loss, logits = self.limit.fitting(batch_size, gradients)
        else:
            loss, logits = self._together(gradients, most)
        self.optimizer.step()
        self.objective.end_of_step()
        return loss, logits

    def _together(self, gradients: Callable[[], Result], images: int) -> Result:
        """`gradients()`, computed by several processes. None of them can begin again without the others.

        images: of one process at most. Raises StepTooLarge where it runs out of memory, but for one image.
        """
        tried = min(images, self.limit.size)
        try:
            return gradients()
        except RuntimeError as error:
            if tried == 1 or not is_out_of_memory(error):
                raise
        raise StepTooLarge(tried)

    def _stop_between_steps(self) -> Any:
        """A context that yields a function, which says whether to stop.

        The launcher ends several processes, so that they need not ask.
        """
        return step_by_step() if self.team.size == 1 else nullcontext(lambda: False)

    def _stage(self, phase: Phase, count: int, begin: int) -> Any:
        detail = f"epoch {self.epoch + 1} of {self.settings.epochs}"
        return self.work.progress.stage(STAGE_OF[phase], count, detail, begin * self.settings.batch_size)

    def _set_rate(self, progress: float) -> None:
        """Set the learning rate for `progress` in [0, 1], the part of all epochs that is done."""
        epochs = self.settings.epochs
        factor = rate_factor(self.settings, progress * epochs / (self.settings.schedule_epochs or epochs))
        for group, rate in zip(self.optimizer.param_groups, self.base_rates, strict=True):
            group["lr"] = rate * factor

    # -- which epoch is kept -----------------------------------------------------------------

    def _maps(self) -> list[float]:
        """The mAP on training labels, in percent, of the epochs that count for the early stop.

        They are those of the main phase, because the warm-up's mAP was measured on other labels. The setting
        `first_local_minimum_of_all` counts all epochs.
        """
        of_all = self.settings.keep == "first_local_minimum_of_all"
        return [row["train_map"] for row in self.rows if of_all or row["phase"] == "main"]

    def _stopped(self, phase: Phase) -> bool:
        stops = self.settings.keep != "last" and phase == "main"
        return stops and first_local_minimum(self._maps()) is not None

    def _best_is_saved(self) -> bool:
        best = self.run.load_best()
        return best is not None and best["epoch"] == self.epoch - 1

    def _save_best(self) -> None:
        """Write the present model as the final one, after the early stop or the last epoch."""
        stopped = self._stopped("main")
        reason = "first local minimum of the gain in train-label mAP" if stopped else "last epoch"
        weights = self.average.values or self.plain_model.state_dict()
        write_tensors(self.run.file("checkpoints", "best.safetensors"), weights)
        record = {"epoch": self.epoch - 1, "kept_because": reason}
        write_json(self.run.file("checkpoints", "best.json"), record)
        log.info("kept the model of epoch %d: %s", self.epoch - 1, reason)

    # -- checkpoints -------------------------------------------------------------------------

    def _save(self, inside: EpochState | None = None) -> None:
        if not self.work.team.first:
            return
        optimizer = self.optimizer.state_dict()["state"]
        method = self.objective.state()
        weights = self.plain_model.state_dict()
        average = self.average.state()
        checkpoint = Checkpoint(self.epoch, self.rows, weights, optimizer, inside, method, average)
        save_checkpoint(self.run.file("checkpoints", "last.safetensors"), checkpoint)
        self.run.write_metrics(self.rows)
        self.events.write(self.rows)

    def _resume(self) -> None:
        path = self.run.file("checkpoints", "last.safetensors")
        if not path.is_file():
            return
        checkpoint = load_checkpoint(path)
        self.epoch = checkpoint.epoch
        self.rows = checkpoint.rows
        self.plain_model.load_state_dict(checkpoint.model)
        self.average.load_state(checkpoint.average)
        self.objective.load_state(checkpoint.method)
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": checkpoint.optimizer, "param_groups": groups})
        lay_out_like_parameters(self.optimizer)
        self.inside = checkpoint.inside
        if self.inside:
            self.inside.losses = [loss.to(self.accelerator.device) for loss in self.inside.losses]
        if self.work.team.first:
            self.run.write_metrics(self.rows)
        log.info("going on at epoch %d%s", self.epoch, f", step {self.inside.step}" if self.inside else "")


def _write_rows(scores: np.ndarray, predicted: list[tuple[np.ndarray, Tensor]]) -> None:
    """Move the rows that `predicted` holds on the device to `scores` [N, C]."""
    if predicted:
        rows = np.concatenate([indices for indices, _ in predicted])
        scores[rows] = torch.cat([values for _, values in predicted]).cpu().numpy()
        predicted.clear()
