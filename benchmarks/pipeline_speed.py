"""Every stage of the pipeline beside a plain baseline, on a CPU or a GPU.

python benchmarks/pipeline_speed.py measure [--json FILE] [--write FILE.md]    each stage, in pairs
python benchmarks/pipeline_speed.py estimate FILE     full VOC 2012, COCO and NUS-WIDE runs from it
python benchmarks/pipeline_speed.py scale             cost an image from 1x to 16x as many images
python benchmarks/pipeline_speed.py warm              labelling again, from the cache
python benchmarks/pipeline_speed.py labels            label mAP in fp32 and in the device's precision
python benchmarks/pipeline_speed.py compile           the same work after torch.compile, with its warm-up

The baseline is what a first implementation does, and what the authors' loop does: one image and one crop at a
time, fp32, torch's default layout, jitter image by image, scores fetched after each step. Both sides have the
same models with random weights and the same images. Each round runs the baseline and then ours. What is
printed is the median ratio of the rounds, with the least and the largest. Seconds of CPU are the measure on a
CPU, because others may use the machine too, and seconds of the clock on a GPU.

Defaults are the sizes of the aims in docs/speed.md: RN50 at 640, ResNet-50 at 448, batch 4. The paper's own:
--clip RN50x64 --backbone resnet101 --batch 16.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from torchvision.transforms import v2

CLASSES = 20
VIEW_SIDES = ((430, 640), (640, 430), (560, 560), (640, 640), (520, 400))  # of boxes in the frame of 640
# (training images, validation images, classes)
FULL_RUNS = {
    "VOC 2012": (5_717, 5_823, 20),
    "COCO 2014": (82_081, 40_137, 80),
    "NUS-WIDE": (150_000, 60_200, 81),
}
VIEWS, WARM_UP, MAIN = 10, 2, 8  # views an image and epochs of the preset `paper`
# 1e9 FLOP an image: CLIP at 640, classifier at 448 and at 640. A training pass is three forward passes.
PAPER_FLOP = {"clip": 1_081e9, "classifier": 62e9, "cam": 62e9 * (640 / 448) ** 2}
VIEW_AREA = 0.75  # of a local view, as a share of the square


@dataclass
class Row:
    """One stage. Times are seconds an image, medians of the rounds."""

    stage: str
    plain: float
    ours: float
    ratio: float
    lowest: float
    highest: float
    flop: float  # of one image
    peak_memory: float | None  # GiB in the stage, of ours
    idle: float | None  # share of the time in which the GPU has no kernel
    difference: float | None  # largest difference of the results in fp32


@dataclass
class Stage:
    name: str
    images: int
    plain: Callable[[], Any]
    ours: Callable[[], Any]
    # Both in fp32, for the comparison of results. None where results are random or no numbers.
    same: Callable[[], tuple[Any, Any]] | None = None


class Clock:
    """Seconds: of CPU on a CPU, with child processes; of the clock on a GPU, after all kernels are done."""

    def __init__(self, device: torch.device):
        self.device = device

    def now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
            return time.perf_counter()
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return sum(each.ru_utime + each.ru_stime for each in used)

    def seconds(self, work: Callable[[], Any]) -> float:
        began = self.now()
        work()
        return self.now() - began


def peak_matmul(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of the quickest large matrix product: what the device can do at best, as measured here."""
    side = 8192 if device.type == "cuda" else 2048
    one = torch.randn(side, side, device=device, dtype=dtype)
    clock = Clock(device)
    one @ one
    return 2 * side**3 / min(clock.seconds(lambda: one @ one) for _ in range(5))


def flop_of(work: Callable[[], Any]) -> float:
    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops())


def forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        Path("/proc/self/clear_refs").write_text("5")  # Linux counts the peak from here
    except OSError:
        return


def peak_memory(device: torch.device) -> float | None:
    """GiB since `forget_peak`: of the GPU's tensors, or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    lines = Path("/proc/self/status").read_text().splitlines() if Path("/proc/self/status").exists() else []
    found = [line.split()[1] for line in lines if line.startswith("VmHWM")]
    return int(found[0]) / 2**20 if found else None


def idle_share(device: torch.device, work: Callable[[], Any]) -> float | None:
    """The share of the time between the first and the last kernel in which none is at work."""
    if device.type != "cuda":
        return None
    from torch.profiler import ProfilerActivity, profile

    from ccd_core.profiling import busy_seconds, device_work

    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as trace:
        work()
        torch.cuda.synchronize(device)
    found = device_work(trace.events())
    if not found:
        return None
    begin = min(event.time_range.start for event in found)
    end = max(event.time_range.end for event in found)
    return 1 - busy_seconds(found) / ((end - begin) / 1e6)


# -- what is measured ---------------------------------------------------------------------------------


def photographs(folder: Path, count: int) -> list[Path]:
    """JPEGs of VOC's size with smooth random content."""
    rng = np.random.default_rng(0)
    paths = []
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
        paths.append(folder / f"{number:03d}.jpg")
        coarse.resize((500, 375), Image.Resampling.BICUBIC).save(paths[-1], quality=92)
    return paths


def network(model: str) -> Any:
    import open_clip

    torch.manual_seed(0)
    return open_clip.create_model(model, load_weights=False, force_quick_gelu=True)


class Setting:
    """The models and images of both sides."""

    def __init__(self, arguments: argparse.Namespace, folder: Path):
        from ccd_core.clip.batch_size import best_batch_size
        from ccd_core.clip.teacher import ClipTeacher, PromptedClip
        from ccd_core.config import CCDConfig
        from ccd_core.data.types import ImageList
        from ccd_core.machine.device import describe, make_accelerator
        from ccd_core.method.classifier import CamClassifier
        from ccd_core.training.optimizer import make_optimizer

        self.arguments = arguments
        self.accelerator = make_accelerator(arguments.device, arguments.precision)
        self.device = self.accelerator.device
        self.clock = Clock(self.device)
        self.described = describe(self.accelerator)
        mixed = self.accelerator.mixed_precision
        self.precision = "fp32" if mixed == "no" else mixed
        self.config = CCDConfig.preset("paper")
        paths = photographs(folder, arguments.images)
        self.list = ImageList(tuple(path.stem for path in paths), tuple(paths))
        size = arguments.size
        self.plain_clip = ClipTeacher(network(arguments.clip), None, self.device)
        exact = ClipTeacher(network(arguments.clip), None, self.device, folded=True)
        quick = ClipTeacher(network(arguments.clip), None, self.device, self.precision, folded=True)
        dimensions = self.plain_clip.encode_image(torch.zeros(1, 3, 64, 64)).shape[1]
        self.text = F.normalize(torch.randn(CLASSES, dimensions), dim=1).to(self.device)
        blank = torch.zeros(1, 3, size, size, device=self.device)

        def one_pass(count: int) -> float:
            images = blank.expand(count, -1, -1, -1)
            quick.encode_image(images)
            return min(self.clock.seconds(lambda: quick.encode_image(images)) for _ in range(2))

        self.batch = best_batch_size(one_pass)
        settings = self.config.changed(clip={"size": size}).clip
        self.clip = PromptedClip(quick, self.text, settings, self.batch)
        self.exact_clip = PromptedClip(exact, self.text, settings, self.batch)

        def classifier(fold: bool) -> CamClassifier:
            torch.manual_seed(0)
            return CamClassifier(arguments.backbone, CLASSES, fold_norms=fold).to(self.device)

        self.plain_model = classifier(fold=False)
        ours = classifier(fold=True).to(memory_format=torch.channels_last)
        self.model = self.accelerator.prepare_model(ours, evaluation_mode=True)
        self.plain_optimizer = torch.optim.Adam(self.plain_model.parameters(), lr=1e-5, foreach=False)
        fused = self.device.type == "cuda" and self.precision != "fp16"
        optimizer = make_optimizer(self.model, self.config.training, fused=fused)
        self.optimizer = self.accelerator.prepare_optimizer(optimizer)
        self.frames = [plain_decode(path, size) for path in paths]
        rng = np.random.default_rng(1)
        self.views = []
        for frame in range(len(self.frames)):
            for height, width in VIEW_SIDES[: arguments.views]:
                height, width = height * size // 640, width * size // 640
                y, x = int(rng.integers(0, size - height + 1)), int(rng.integers(0, size - width + 1))
                self.views.append((frame, (x, y, x + width, y + height)))
        torch.manual_seed(2)
        shape = (arguments.batch, 3, arguments.image_size, arguments.image_size)
        self.training = torch.randint(0, 256, shape, dtype=torch.uint8)
        self.labels = torch.rand(arguments.batch, CLASSES)


def plain_decode(path: Path, size: int) -> Tensor:
    with Image.open(path) as image:
        pixels = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1).contiguous()


def stages(chosen: Setting) -> list[Stage]:
    from ccd_core.data.loading import read_batches
    from ccd_core.method.local_views import class_maps_of, clip_probabilities
    from ccd_core.method.losses import ccd_loss
    from ccd_core.method.views import cam_boxes, crop_views
    from ccd_core.training.augment import augment, to_network

    size = chosen.arguments.size
    device = chosen.device
    teacher = chosen.plain_clip
    images = len(chosen.frames)
    batch = chosen.arguments.batch
    together = torch.stack(chosen.frames)

    def plain_probabilities(pixels: Tensor) -> np.ndarray:
        return teacher.probabilities(teacher.normalise(pixels[None].to(device)), chosen.text)[0].cpu().numpy()

    def plain_global() -> np.ndarray:
        return np.stack([plain_probabilities(frame) for frame in chosen.frames])

    def our_global(clip: Any = chosen.clip) -> np.ndarray:
        parts = [clip.probabilities(part) for part in together.split(clip.batch_size)]
        return torch.cat(parts).cpu().numpy()

    def plain_local() -> np.ndarray:
        found = []
        for frame, box in chosen.views:
            found.append(plain_probabilities(crop_views(chosen.frames[frame], [box], size, 32)[0]))
        return np.stack(found)

    def our_local(clip: Any = chosen.clip) -> np.ndarray:
        return clip_probabilities(clip, [frame.to(device) for frame in chosen.frames], chosen.views)

    @torch.no_grad()
    def plain_maps() -> Tensor:
        chosen.plain_model.eval()
        found = [chosen.plain_model(to_plain(frame[None]), return_cam=True)[1] for frame in chosen.frames]
        return torch.cat(found).cpu()

    def to_plain(pixels: Tensor) -> Tensor:
        mean = torch.tensor([0.485, 0.456, 0.406], device=device).view(3, 1, 1)
        std = torch.tensor([0.229, 0.224, 0.225], device=device).view(3, 1, 1)
        return (pixels.to(device).float() / 255 - mean) / std

    def our_maps() -> Tensor:
        chosen.model.eval()
        return class_maps_of(chosen.model, together, size, chosen.accelerator)[1].cpu()

    maps = torch.randn(images * len(VIEW_SIDES), size // 32, size // 32)

    def plain_boxes() -> np.ndarray:
        boxes = []
        for one in maps:
            full = F.interpolate(one[None, None], (size, size), mode="bilinear", align_corners=False)[0, 0]
            full = (full - full.min()) / (full.max() - full.min() + 1e-5)
            y, x = (full > 0.95).nonzero().T
            boxes.append([int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1])
        return np.array(boxes)

    def our_boxes() -> np.ndarray:
        return cam_boxes(maps, (size, size), 0.95, 0)

    def plain_step(main: bool) -> None:
        model = chosen.plain_model.train()
        weak = torch.stack([image.flip(-1) if torch.rand(1) < 0.5 else image for image in chosen.training])
        jitter = v2.ColorJitter(0.5, 0.5, 0.5, 0.5)
        strong = torch.stack([jitter(image) for image in weak]) if main else None
        logits = model(to_plain(weak))
        strong_logits = model(to_plain(strong)) if strong is not None else None
        loss = ccd_loss(logits, chosen.labels.to(device), strong_logits)
        chosen.plain_optimizer.zero_grad()
        loss.backward()
        chosen.plain_optimizer.step()
        logits.detach().sigmoid().cpu()

    def our_step(main: bool) -> None:
        model = chosen.model.train()
        weak, strong = augment(chosen.training.to(device), chosen.config.training, main)
        logits = model(weak)
        strong_logits = model(strong) if strong is not None else None
        loss = ccd_loss(logits, chosen.labels.to(device), strong_logits)
        chosen.optimizer.zero_grad()
        chosen.accelerator.backward(loss)
        chosen.optimizer.step()

    @torch.no_grad()
    def plain_validation() -> np.ndarray:
        chosen.plain_model.eval()
        return np.stack(
            [chosen.plain_model(to_plain(image[None])).cpu().numpy() for image in chosen.training]
        )

    @torch.inference_mode()
    def our_validation() -> np.ndarray:
        chosen.model.eval()
        with chosen.accelerator.autocast():
            return chosen.model(to_network(chosen.training.to(device))).float().cpu().numpy()

    update = label_update(2_000)
    paths = chosen.list.paths
    return [
        Stage(
            "decode and resize",
            images,
            lambda: [plain_decode(path, size) for path in paths],
            lambda: list(read_batches(chosen.list, size, 32, workers=0)),
            lambda: (
                np.stack([plain_decode(path, size).numpy() for path in paths]),
                np.concatenate(
                    [pixels.numpy() for _, pixels, _ in read_batches(chosen.list, size, 32, workers=0)]
                ),
            ),
        ),
        Stage(
            "global labelling",
            images,
            plain_global,
            our_global,
            lambda: (plain_global(), our_global(chosen.exact_clip)),
        ),
        Stage("CAM pass", images, plain_maps, our_maps),
        Stage("boxes of maps", images, plain_boxes, our_boxes, lambda: (plain_boxes(), our_boxes())),
        Stage(
            "local labelling",
            images,
            plain_local,
            our_local,
            lambda: (plain_local(), our_local(chosen.exact_clip)),
        ),
        Stage("training step, warm-up", batch, lambda: plain_step(False), lambda: our_step(False)),
        Stage("training step, main", batch, lambda: plain_step(True), lambda: our_step(True)),
        Stage("validation", batch, plain_validation, our_validation),
        update,
    ]


def label_update(images: int) -> Stage:
    """Eq. 5-7 on the probabilities of ten views an image."""
    from ccd_core.config import CCDConfig
    from ccd_core.method.bias import clip_bias
    from ccd_core.method.labels import debiased_local, final_labels, include_views, initial_labels

    config = CCDConfig.preset("paper")
    rng = np.random.default_rng(0)
    p_global = rng.dirichlet(np.full(CLASSES, 0.2), images).astype(np.float32)
    p = rng.dirichlet(np.full(CLASSES, 0.2), images * VIEWS).astype(np.float32)
    row = np.repeat(np.arange(images), VIEWS)
    bias = clip_bias(p_global, 0.5)
    initial = initial_labels(p_global, bias, config)
    floor, alpha = config.bias.floor or 0.0, config.labels.alpha

    def plain() -> np.ndarray:
        final = np.empty_like(initial)
        for image in range(images):
            best = np.zeros(CLASSES, np.float32)
            for view in range(image * VIEWS, (image + 1) * VIEWS):
                best = np.maximum(best, p[view])
            local = np.minimum(np.maximum(best, floor) / bias.value, 1)
            final[image] = np.minimum(alpha * initial[image] + (1 - alpha) * local, 1)
        return final

    def ours() -> np.ndarray:
        local = np.full((images, CLASSES), np.nan, np.float32)
        include_views(local, row, p)
        return final_labels(initial, debiased_local(local, bias, config), config)

    return Stage("label update", images, plain, ours, lambda: (plain(), ours()))


# -- the commands -------------------------------------------------------------------------------------


def measure(arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        chosen = Setting(arguments, Path(folder))
        dtype = chosen.clip.teacher.arithmetic
        peak = peak_matmul(chosen.device, dtype)
        unit = "clock" if chosen.device.type == "cuda" else "CPU"
        head = (
            f"{chosen.described}; {arguments.clip} at {arguments.size}, {arguments.backbone} at "
            f"{arguments.image_size}, batch {arguments.batch}, CLIP's batch {chosen.batch} (auto), "
            f"{arguments.rounds} rounds, seconds of {unit}; measured matmul peak "
            f"{peak / 1e12:.2f} TFLOP/s in {str(dtype).removeprefix('torch.')}"
        )
        print(head, flush=True)
        only = arguments.only
        rows = [row_of(stage, chosen) for stage in stages(chosen) if not only or only in stage.name]
    text = f"{head}.\n\n{table(rows, peak)}\n"
    print(text)
    if arguments.write:
        arguments.write.write_text(text)
    if arguments.json:
        options = {key: value for key, value in vars(arguments).items() if not isinstance(value, Path)}
        record = {"head": head, "peak": peak, "arguments": options, "rows": [asdict(row) for row in rows]}
        record["arguments"].pop("command", None)
        arguments.json.write_text(json.dumps(record, indent=1))


def row_of(stage: Stage, chosen: Setting) -> Row:
    clock = chosen.clock
    stage.plain()  # prepares both
    flop = flop_of(stage.ours) / stage.images
    pairs = []
    forget_peak(chosen.device)
    stage.ours()
    memory = peak_memory(chosen.device)
    for _ in range(chosen.arguments.rounds):
        pairs.append((clock.seconds(stage.plain) / stage.images, clock.seconds(stage.ours) / stage.images))
    ratios = [plain / max(ours, 1e-9) for plain, ours in pairs]
    difference = None
    if stage.same:
        one, other = stage.same()
        difference = float(np.abs(np.asarray(one, np.float64) - np.asarray(other, np.float64)).max())
    plain, ours = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(ratios)
    print(f"{stage.name}: {ratio:.2f} ({min(ratios):.2f} to {max(ratios):.2f})", flush=True)
    idle = idle_share(chosen.device, stage.ours)
    return Row(stage.name, plain, ours, ratio, min(ratios), max(ratios), flop, memory, idle, difference)


def compiled(arguments: argparse.Namespace) -> None:
    """CLIP and training steps as they are, beside the same after torch.compile."""
    with tempfile.TemporaryDirectory() as folder:
        eager, other = Setting(arguments, Path(folder)), Setting(arguments, Path(folder))
        print(f"{eager.described}; {arguments.clip}, {arguments.backbone}, torch {torch.__version__}\n")
        other.clip.teacher.tower.compile()
        other.model.backbone.compile()
        print("| stage | times as fast (spread) | seconds of the first pass | images that pay them back |")
        print("|---|---|---|---|")
        for plain, quick in zip(stages(eager), stages(other), strict=True):
            if plain.name != "global labelling" and not plain.name.startswith("training step"):
                continue
            plain.ours()
            began = time.time()
            quick.ours()
            first = time.time() - began
            pairs = []
            for _ in range(arguments.rounds):
                pairs.append((eager.clock.seconds(plain.ours), eager.clock.seconds(quick.ours)))
            ratios = sorted(one / two for one, two in pairs)
            gained = statistics.median(one - two for one, two in pairs) / plain.images
            images = f"{first / gained:,.0f}" if gained > 0 else "never"
            spread = f"**{statistics.median(ratios):.2f}** ({ratios[0]:.2f} to {ratios[-1]:.2f})"
            print(f"| {plain.name} | {spread} | {first:.0f} | {images} |", flush=True)


def table(rows: list[Row], peak: float) -> str:
    lines = [
        "| stage | baseline, ms an image | ours | times as fast (spread) | images/s | GFLOP/s | of peak | "
        "peak memory, GiB | GPU idle | largest difference, fp32 |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        speed = row.flop / row.ours
        cells = [
            row.stage,
            f"{1e3 * row.plain:.3g}",
            f"{1e3 * row.ours:.3g}",
            f"**{row.ratio:.2f}** ({row.lowest:.2f} to {row.highest:.2f})",
            f"{1 / row.ours:.3g}",
            f"{speed / 1e9:.3g}" if row.flop else "",
            f"{speed / peak:.0%}" if row.flop else "",
            "" if row.peak_memory is None else f"{row.peak_memory:.2f}",
            "" if row.idle is None else f"{row.idle:.0%}",
            "" if row.difference is None else f"{row.difference:.1g}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def estimate(arguments: argparse.Namespace) -> None:
    """Full runs of the preset `paper`. Stages of other models are scaled by their arithmetic."""
    record = json.loads(arguments.file.read_text())
    rows = {row["stage"]: row for row in record["rows"]}
    used = record["arguments"]
    exact = used["clip"] == "RN50x64" and used["backbone"] == "resnet101" and used["size"] == 640
    cores = 1 if "clock" in record["head"] else os.cpu_count() or 1

    def seconds(stage: str, flop: float | None = None) -> float:
        row = rows[stage]
        factor = flop / row["flop"] if flop and row["flop"] else 1
        # Seconds of CPU are shared by the cores.
        return row["ours"] * factor / cores

    clip = seconds("global labelling", PAPER_FLOP["clip"])
    cam = seconds("CAM pass", PAPER_FLOP["cam"])
    boxes = seconds("boxes of maps") * VIEWS / len(VIEW_SIDES)
    # Views are measured with the sides of VIEW_SIDES, so the FLOP/s they reach are what counts.
    reached = rows["local labelling"]["flop"] / rows["local labelling"]["ours"]
    views = VIEWS * VIEW_AREA * PAPER_FLOP["clip"] / reached / cores
    warm_up = seconds("training step, warm-up", 3 * PAPER_FLOP["classifier"])
    main = seconds("training step, main", 6 * PAPER_FLOP["classifier"])
    look = seconds("validation", PAPER_FLOP["classifier"])
    decode = seconds("decode and resize")
    print(f"From: {record['head']}.\n")
    print(
        "| data set | CLIP, whole images | CAMs and boxes | CLIP, local views | training | validation | all |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, (train, val, _) in FULL_RUNS.items():
        parts = (
            train * (clip + decode),
            train * (cam + boxes + decode),
            train * views,
            train * (WARM_UP * warm_up + MAIN * main),
            (train + (WARM_UP + MAIN + 1) * val) * look,
        )
        print(f"| {name} | {' | '.join(in_words(part) for part in (*parts, sum(parts)))} |")
    spread = max(row["highest"] / max(row["lowest"], 1e-9) for row in record["rows"])
    if exact:
        print("\nThe models are those of the paper, so only the number of images is scaled. ", end="")
    else:
        print(
            "\nOther models were measured than the paper's. Their stages are scaled by FLOP, as if the "
            "paper's models reached the same FLOP/s; that is right within a factor of about 1.5. ",
            end="",
        )
    if used["rounds"] > 1:
        print(f"The rounds of one stage differ by a factor of up to {spread:.1f}. ", end="")
    else:
        print("There was one round, so how far rounds differ is not known. ", end="")
    print("No early stop is assumed.")


def in_words(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 200_000 else f"{seconds / 86_400:.1f} days"


def scale(arguments: argparse.Namespace) -> None:
    """Cost an image of labelling with the demo CLIP, and of the label update, at 1x to 16x the work."""
    from ccd_core.clip.teacher import ClipTeacher, PromptedClip
    from ccd_core.config import CCDConfig
    from ccd_core.machine.device import make_accelerator
    from ccd_core.method.local_views import clip_probabilities

    accelerator = make_accelerator(arguments.device, arguments.precision)
    clock = Clock(accelerator.device)
    teacher = ClipTeacher.load("demo", device=accelerator.device, folded=True)
    text = teacher.encode_text([f"thing {number}" for number in range(CLASSES)])
    clip = PromptedClip(teacher, text, CCDConfig.preset("demo").clip)
    print("| images | whole images, ms an image | local views, ms an image | label update, us an image |")
    print("|---|---|---|---|")
    for factor in (1, 2, 4, 8, 16):
        count = arguments.images * factor
        frames = torch.randint(0, 256, (count, 3, 128, 128), dtype=torch.uint8)
        views = [(row, box) for row in range(count) for box in ((0, 0, 96, 128), (10, 30, 120, 110))]
        stage = label_update(250 * count)
        whole = median_of(clock, functools.partial(clip.embed, frames))
        local = median_of(clock, functools.partial(clip_probabilities, clip, list(frames), views))
        update = median_of(clock, stage.ours) / stage.images
        print(f"| {count} | {1e3 * whole / count:.2f} | {1e3 * local / count:.2f} | {1e6 * update:.2f} |")


def median_of(clock: Clock, work: Callable[[], Any]) -> float:
    """Median seconds of five times, after one that prepares the kernels."""
    work()
    return statistics.median(clock.seconds(work) for _ in range(5))


def warm(arguments: argparse.Namespace) -> None:
    """Stage `global` of drawn scenes with the demo CLIP, with an empty cache and then with a full one."""
    from ccd_core.clip.teacher import load_teacher
    from ccd_core.config import CCDConfig
    from ccd_core.data import open_dataset
    from ccd_core.machine.device import make_accelerator
    from ccd_core.runs.run import Run
    from ccd_core.runs.work import Work
    from ccd_core.stages.global_labels import global_outputs
    from ccd_core.toy.scenes import write_dataset

    with tempfile.TemporaryDirectory() as folder:
        os.environ["CCD_HOME"] = f"{folder}/home"
        write_dataset(Path(folder) / "scenes", {"train": arguments.images, "val": 4})
        config = CCDConfig.preset("demo").changed(data={"spec": f"demo:{folder}/scenes", "workers": 0})
        dataset = open_dataset(config.data.spec)
        accelerator = make_accelerator(arguments.device, arguments.precision)
        clock = Clock(accelerator.device)
        clip = load_teacher(config.clip, dataset.classes, accelerator)
        images = dataset.splits["train"]

        def label(name: str) -> float:
            work = Work(config, accelerator, Run.create(f"{folder}/{name}", config, dataset.classes))
            return clock.seconds(lambda: global_outputs(clip, images, work))

        first = label("first")
        again = [label(f"again-{number}") for number in range(3)]
    ratios = sorted(first / max(seconds, 1e-3) for seconds in again)
    print(f"{arguments.images} images: {first:.2f} s, again {statistics.median(again):.3f} s")
    print(f"times as fast: {ratios[1]:.0f} ({ratios[0]:.0f} to {ratios[2]:.0f})")


def labels(arguments: argparse.Namespace) -> None:
    """The demo CLIP's probabilities of drawn scenes in fp32, unfolded, one by one, and as a run has them."""
    from ccd_core.clip.teacher import load_teacher
    from ccd_core.config import CCDConfig
    from ccd_core.data import open_dataset
    from ccd_core.data.loading import read_batches
    from ccd_core.evaluation.metrics import mean_average_precision
    from ccd_core.machine.device import make_accelerator

    dataset = open_dataset("demo")
    images = dataset.splits["val"]
    truth = dataset.read_ground_truth("val")
    assert truth is not None
    settings = CCDConfig.preset("demo").clip
    pixels = torch.cat(
        [batch for _, batch, _ in read_batches(images, settings.size, 64, range(arguments.images))]
    )
    positive = truth.targets[[truth.row_of[name] for name in images.ids[: arguments.images]]]
    found = {}
    for name, precision, folded, batch in (
        ("fp32, one by one", "fp32", False, 1),
        ("fp32, folded, batches", "fp32", True, 64),
        ("the device's precision, folded, batches", "auto", True, 64),
    ):
        accelerator = make_accelerator(arguments.device, precision)
        asked = settings.model_copy(update={"fold_norms": folded, "batch_size": batch})
        clip = load_teacher(asked, dataset.classes, accelerator)
        found[name] = torch.cat([clip.probabilities(part) for part in pixels.split(batch)]).cpu().numpy()
    exact = found["fp32, one by one"]
    print("| probabilities | largest difference | mean difference | label mAP |\n|---|---|---|---|")
    for name, p in found.items():
        off = np.abs(p - exact)
        quality = 100 * mean_average_precision(p, positive)
        print(f"| {name} | {off.max():.1e} | {off.mean():.1e} | {quality:.2f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, images in (("measure", 3), ("scale", 8), ("warm", 512), ("labels", 400), ("compile", 2)):
        command = commands.add_parser(name)
        command.add_argument("--device", default="auto", help="auto, cpu or cuda")
        command.add_argument("--precision", default="auto", help="of ours: auto, fp32, bf16 or fp16")
        command.add_argument("--images", type=int, default=images, help="images of each pass")
        if name in ("measure", "compile"):
            command.add_argument("--clip", default="RN50", help="open_clip model (default RN50)")
            command.add_argument("--size", type=int, default=640, help="CLIP's and the frame's side, pixels")
            command.add_argument("--backbone", default="resnet50", help="torchvision ResNet")
            command.add_argument(
                "--image-size", type=int, default=448, help="a training image's side, pixels"
            )
            command.add_argument("--batch", type=int, default=4, help="images of a training step")
            command.add_argument("--views", type=int, default=2, help="local views an image, at most 5")
            command.add_argument("--rounds", type=int, default=3, help="pairs of each stage")
        if name == "measure":
            command.add_argument("--only", help="stages whose name has this in it")
            command.add_argument("--json", type=Path, help="file for `estimate`")
            command.add_argument("--write", type=Path, help="file for the table, as Markdown")
    commands.add_parser("estimate").add_argument("file", type=Path, help="what `measure --json` wrote")
    given = parser.parse_args()
    {
        "measure": measure,
        "estimate": estimate,
        "scale": scale,
        "warm": warm,
        "labels": labels,
        "compile": compiled,
    }[given.command](given)
