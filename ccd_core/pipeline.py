"""CCD from unlabelled images to a trained classifier, in the order of the paper's Sec. 3.

    run = run_ccd(CCDConfig.preset("demo"), out="runs/first")

Who reads `run_ccd` has read the method. Every step leaves its result in the run's folder and is skipped when
that is there, so a killed run goes on where it was and any stage can be looked at and run again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator

from ccd_core import cache
from ccd_core.bias import Bias, clip_bias, entropy
from ccd_core.classifier import CamClassifier
from ccd_core.clip import ClipTeacher
from ccd_core.config import CCDConfig
from ccd_core.data import Dataset, ImageList, open_dataset
from ccd_core.data.loading import Pictures, in_batches, read_usable
from ccd_core.device import check_device, describe, make_accelerator
from ccd_core.distributed import launch
from ccd_core.errors import Stopped, UserError
from ccd_core.files import write_arrays, write_json
from ccd_core.heartbeat import heartbeat
from ccd_core.job_queue import devices_of
from ccd_core.labels import debiased_local, final_labels, initial_labels, read_local_probabilities
from ccd_core.local_views import find_views
from ccd_core.none_images import none_images
from ccd_core.processes import this_process
from ccd_core.runs import Progress, Run
from ccd_core.scoring import Scorer
from ccd_core.stopping import stoppable
from ccd_core.team import Team
from ccd_core.training import Trainer, predict_scores

log = logging.getLogger("ccd")
Reporter = Callable[[str, int, int, str], None]
STATE_SKIPPED = 1000  # unusable images named in state.json; images.json and log.txt have all
CHUNK = 512  # images whose CLIP results are written together; a killed run loses at most these


def run_ccd(config: CCDConfig, out: str | Path, reporter: Reporter | None = None) -> Run:
    """Run CCD, or go on with the run that is in `out`. Raises UserError for what the user can put right.

    reporter(stage, done, total, detail) is called as work proceeds.
    """
    dataset = open_dataset(config.data.spec, config.data.classes, progress=reporter and (lambda done, total: reporter("drawing", done, total, "")))
    devices = devices_of(config.device)
    for device in devices:
        check_device(device)
    run = Run.create(out, config, dataset.classes)
    with session(run):
        if len(devices) > 1:
            launch(run, devices, reporter)  # `learn` in a process for each
        else:
            learn(run, dataset, make_accelerator(config.device, config.precision), Progress(run, reporter))
    return run


def learn(run: Run, dataset: Dataset, accelerator: Accelerator, progress: Progress) -> None:
    """The method. Each process of the run's team goes through it; the first one writes."""
    config, scorer = run.config, Scorer(dataset)
    log.info("%s: %d classes, on %s", config.data.spec, len(dataset.classes), describe(accelerator))
    train, val = usable_pictures(dataset, config, run, progress)
    progress.preparing("loading CLIP")
    teacher, text = load_teacher(config, dataset.classes, accelerator)

    p_global = global_probabilities(teacher, text, train.images, config, run, progress)  # Eq. 1-3
    bias = measure_bias(p_global, config, run)  # Sec. 3.3
    initial = set_none_images_to_zero(initial_labels(p_global, bias, config), p_global, config, run)

    progress.preparing("loading the classifier")
    torch.manual_seed(config.seed)
    model = make_classifier(config, len(dataset.classes))
    trainer = Trainer(model, config.training, accelerator, run, progress, config.seed)

    def validate(model: CamClassifier, team: Team) -> float | None:  # logged, never acted on
        return scorer.mean_ap("val", val.images.ids, predict_scores(model, val, accelerator, team)) if val else None

    warmup = config.training.warmup_epochs if config.labels.update else config.training.epochs
    final = initial
    if trainer.epoch < warmup:
        alone = config.labels.update and config.training.warmup_on == "one"
        trainer.train(train, initial, min(warmup, config.training.epochs), "warm-up", validate, alone)
    if config.labels.update:
        find_views(model, teacher, text, train.images, config, accelerator, run, progress)  # Sec. 3.2, Eq. 4
        p_local, n_views = read_local_probabilities(run, train.images.ids)  # Eq. 5-6
        local = debiased_local(p_local, bias, config)
        final = set_none_images_to_zero(final_labels(initial, local, config), p_global, config, run)  # Eq. 7
        write_labels(run, train.images.ids, initial, local, final, n_views)
        trainer.train(train, final, config.training.epochs, "main", validate)  # Eq. 8
    else:
        write_labels(run, train.images.ids, initial, np.full_like(initial, np.nan), initial, np.zeros(len(train), int))

    write_scores(run, trainer, {"train": train, "val": val}, accelerator, scorer, p_global, progress)


def usable_pictures(dataset: Dataset, config: CCDConfig, run: Run, progress: Progress) -> tuple[Pictures, Pictures]:
    """Read every image once; unusable ones are listed, logged and left out of all that follows."""
    size, settings = config.classifier.image_size, config.data
    empty = ImageList((), ())
    splits = [Pictures(dataset.splits.get(name, empty), size, settings.cache_gb, settings.workers) for name in ("train", "val")]
    found: dict[str, dict[str, str]] = {}
    with run.team.first_before_others(), progress.stage("images", sum(map(len, splits))) as advance:
        known = run.load_json("images.json") if run.has("images.json") else {}
        done = 0
        for name, pictures in zip(("train", "val"), splits, strict=True):
            count = len(pictures)
            found[name] = pictures.check(_after(advance, done), known.get(name))
            done += count
        if run.team.first:
            write_json(run.file("images.json"), found)
    skipped = [{"id": image, "reason": reason} for reasons in found.values() for image, reason in reasons.items()]
    for entry in skipped if not known else []:
        log.warning("skipped %s: %s", entry["id"], entry["reason"])
    run.update_state(skipped=skipped[:STATE_SKIPPED], skipped_count=len(skipped))  # the state is written twice a second
    train, val = splits
    if not len(train):
        raise UserError(f"None of the {len(dataset.splits['train'])} training images of {settings.spec} can be read.")
    return train, val


def _after(advance: Callable[[int], None], before: int) -> Callable[[int], None]:
    """Count on from what earlier splits did."""
    return lambda done: advance(before + done)


def load_teacher(config: CCDConfig, classes: tuple[str, ...], accelerator: Accelerator) -> tuple[ClipTeacher, torch.Tensor]:
    settings = config.clip
    precision = {"no": "fp32"}.get(accelerator.mixed_precision, accelerator.mixed_precision)
    teacher = ClipTeacher.load(settings.model, settings.pretrained, accelerator.device, precision, settings.probabilities == "sigmoid")
    teacher.side(settings.size)  # raises where the tower does not take this size
    return teacher, teacher.encode_text(classes, settings.prompt, settings.names)


def global_probabilities(teacher: ClipTeacher, text: torch.Tensor, images: ImageList, config: CCDConfig, run: Run, progress: Progress) -> np.ndarray:
    """[N, C] what CLIP says of each whole image, squeezed into a square (Eq. 1-3)."""
    if not run.team.agree(run.has("global.npz")):
        with progress.stage("global", len(images)) as advance:
            path = cache.embeddings_file(images, teacher_settings(teacher, config))
            kept = cache.read(path, len(images))
            if run.team.agree(kept is not None):
                log.info("CLIP's embeddings of these images are kept from an earlier run")
                parts = iter([] if kept is None else in_batches(kept, CHUNK))
            else:
                parts = global_embeddings(teacher, images, config, run, advance)
            if run.team.first:
                p, similarity = zip(*(_compared(torch.from_numpy(np.array(part)), teacher, text.cpu()) for part in parts), strict=True)
                p_global = np.concatenate(p)
                if kept is None:
                    cache.keep(path, (part["embeddings"] for part in run.read_chunks("global")), len(images))
                found = {"p_global": p_global, "entropy": entropy(p_global), "similarity": np.concatenate(similarity)}
                write_arrays(run.file("global.npz"), ids=np.array(images.ids), **found)
                run.drop_chunks("global")
        run.team.wait()
    return run.load_global()["p_global"]


def _compared(embeddings: torch.Tensor, teacher: ClipTeacher, text: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities [n, C] (Eq. 2) and the best class's similarity [n] (Eq. 1)."""
    return teacher.classify(embeddings, text).numpy(), (embeddings @ text.T).amax(1).numpy()


def set_none_images_to_zero(labels: np.ndarray, p_global: np.ndarray, config: CCDConfig, run: Run) -> np.ndarray:
    """Labels [N, C] with rows of zeros for images that show no class, where that is asked for (supplement, Sec. 8)."""
    if config.none_images.filter == "off":
        return labels
    none = none_images(p_global, run.load_global().get("similarity"), config.none_images)
    log.info("%d of %d images are taken to show no class", none.sum(), len(none))
    return np.where(none[:, None], np.float32(0), labels)


def global_embeddings(teacher: ClipTeacher, images: ImageList, config: CCDConfig, run: Run, advance: Callable[[int], None]) -> Iterator[np.ndarray]:
    """[CHUNK, D] float32 unit-length embeddings of the whole images, part by part; parts on disk are read back."""

    def compute(part: slice) -> dict[str, np.ndarray]:
        rows = []
        for _, pixels in read_usable(
            images, teacher.side(config.clip.size), config.clip.batch_size, range(part.start, part.stop), config.data.workers
        ):
            rows.append(teacher.encode_image(teacher.normalise(pixels.to(teacher.device), config.clip.normalisation)).cpu().numpy())
            advance(part.start + sum(map(len, rows)))
        return {"embeddings": np.concatenate(rows)}

    return (part["embeddings"] for part in run.chunks("global", len(images), CHUNK, compute))


def teacher_settings(teacher: ClipTeacher, config: CCDConfig) -> dict[str, Any]:
    """All that an image's embedding depends on beside the image."""
    chosen = {key: getattr(config.clip, key) for key in ("size", "normalisation", "batch_size")}
    return chosen | {"weights": teacher.fingerprint(), "precision": teacher.precision, "device": teacher.device.type, "torch": torch.__version__}


def measure_bias(p_global: np.ndarray, config: CCDConfig, run: Run) -> Bias:
    """The CLIP bias of each class, written to bias.json with how it was come by (Sec. 3.3)."""
    bias = clip_bias(p_global, config.bias.entropy_threshold)
    rows = {
        name: {
            "bias": float(bias.value[index]),
            "count": int(bias.count[index]),
            "mean_probability": float(p_global[:, index].mean()),
            "estimated": bool(bias.estimated[index]),
        }
        for index, name in enumerate(run.classes)
    }
    values = {"entropy_threshold": config.bias.entropy_threshold, "mode": config.bias.mode, "images_used": int(bias.used.sum())}
    if run.team.first:
        write_json(run.file("bias.json"), values | {"classes": rows})
    unmeasured = [name for name, row in rows.items() if not row["estimated"]]
    if unmeasured:
        log.warning("no low-entropy image has %s as its top class; their bias is taken from all images instead", ", ".join(unmeasured))
    return bias


def make_classifier(config: CCDConfig, classes: int) -> CamClassifier:
    settings = config.classifier
    return CamClassifier(settings.backbone, classes, settings.weights, settings.cam_boost, **settings.backbone_options)


def write_labels(run: Run, ids: tuple[str, ...], initial: np.ndarray, local: np.ndarray, final: np.ndarray, n_views: np.ndarray) -> None:
    if run.team.first:
        write_arrays(run.file("labels.npz"), ids=np.array(ids), initial=initial, local=local, final=final, n_views=n_views)


def write_scores(
    run: Run, trainer: Trainer, splits: dict[str, Pictures], accelerator: Accelerator, scorer: Scorer, p_global: np.ndarray, progress: Progress
) -> None:
    """Predictions of the kept model on every split and, where there is ground truth, their AP and that of the labels."""
    from safetensors.torch import load_file

    best, model = run.load_json("checkpoints", "best.json"), trainer.plain_model
    model.load_state_dict(load_file(run.file("checkpoints", "best.safetensors")))
    report: dict = {"epoch": best["epoch"]}
    with progress.stage("scores", sum(map(len, splits.values()))) as advance:
        done = 0
        for split, pictures in splits.items():
            if not len(pictures):
                continue
            scores = predict_scores(model, pictures, accelerator, run.team, advance=_after(advance, done))
            done += len(pictures)
            if run.team.first:
                write_arrays(run.file("scores", f"{split}.npz"), ids=np.array(pictures.images.ids), scores=scores)
            report[split] = scorer.report(split, pictures.images.ids, scores)
    if not run.team.first:
        return
    labels, ids = run.load_labels(), splits["train"].images.ids
    kinds = {"global": p_global, "initial": labels["initial"], "local": np.nan_to_num(labels["local"]), "final": labels["final"]}
    report["labels"] = {kind: scorer.report("train", ids, values) for kind, values in kinds.items()}
    if any(report.get(split) for split in ("train", "val")):
        write_json(run.file("scores", "ap.json"), report)


@contextmanager
def session(run: Run) -> Iterator[None]:
    """A run's time in this process: its claim, state and log file, signs of life, and stopping on SIGTERM or Ctrl-C without loss."""
    with run.claimed(), logged(run), stoppable() as listening:
        run.update_state(status="running", error=None, **this_process())
        try:
            with heartbeat(run, stoppable=listening):
                yield
            run.update_state(status="finished", stage="done", eta_seconds=0)
            log.info("finished")
        except (Stopped, KeyboardInterrupt):
            run.update_state(status="stopped", eta_seconds=None)
            log.info("stopped; `ccd run --resume --out %s` goes on", run.path)
            raise
        except BaseException as error:
            error = _explained(error, run)
            run.update_state(status="failed", error=str(error), eta_seconds=None)
            log.error("failed: %s", error, exc_info=not isinstance(error, UserError))
            raise error from None if isinstance(error, UserError) else error.__cause__


@contextmanager
def logged(run: Run) -> Iterator[None]:
    """What the block logs goes to the run's log.txt, from the first of its processes."""
    handler = logging.FileHandler(run.file("log.txt"))
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO if run.team.first else logging.CRITICAL)
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()


def _explained(error: BaseException, run: Run) -> BaseException:
    """Running out of memory is a setting to change, not a fault of the program."""
    if isinstance(error, torch.OutOfMemoryError):
        stage = run.state.get("stage", "start")
        key, value = (
            ("training.batch_size", run.config.training.batch_size)
            if stage in ("warm-up", "training")
            else ("clip.batch_size", run.config.clip.batch_size)
        )
        return UserError(f"The GPU ran out of memory in stage {stage}; try --set {key}={max(1, value // 2)} in a new run.")
    if isinstance(error, OSError) and error.errno == 28:
        return UserError(f"The disk that holds {run.path} is full; free some space and resume.")
    return error
