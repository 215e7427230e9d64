"""Which CLIPs can teach, what memory they hold and how fast they are, on this machine.

python benchmarks/teachers.py towers                    every model of open_clip: tower, own size, other sizes
python benchmarks/teachers.py memory [--model RN50x64]  megabytes and seconds in fp32, fp16 and bf16
python benchmarks/teachers.py speed [--model RN50]      images a second at 640, by precision and layout
python benchmarks/teachers.py flops                     the arithmetic behind the models of preset laptop
python benchmarks/teachers.py zero-shot SPEC [--preset offline]     a teacher's own AP on a labelled data set
python benchmarks/teachers.py views                     how well the local views of a chunk fill their batches

Models for memory and speed have random weights in their full size.
Differences from the recorded features are printed by benchmarks/parity.py.
"""

from __future__ import annotations

import argparse
import collections
import multiprocessing
import resource
import statistics
import tempfile
import time
from typing import Any

import numpy as np
import psutil
import torch

SIZE = 640  # pixels of a whole image
CROP = (640, 416)  # and of a local view


def show_towers() -> None:
    import open_clip
    from open_clip.model import _build_vision_tower

    from ccd_core.clip.towers import any_size

    by_tower: dict[tuple, list[str]] = collections.defaultdict(list)
    for name in open_clip.list_models():
        config = open_clip.get_model_config(name)
        with torch.device("meta"):
            tower = any_size(_build_vision_tower(config["embed_dim"], config["vision_cfg"]).eval())
        sizes = f"any, in steps of {tower.stride}" if tower.any_size else "its own only"
        trained = "sigmoid" if "init_logit_bias" in config else "softmax"
        by_tower[type(tower).__name__, tower.kind, sizes, trained].append(f"{name} ({tower.native_size[0]})")
    print("| tower | class | sizes | trained with | models (own size) |\n|---|---|---|---|---|")
    for row, names in sorted(by_tower.items()):
        print(f"| {' | '.join(row)} | {len(names)}: {', '.join(names)} |")
    print(f"\n{sum(map(len, by_tower.values()))} models.")


def random_teacher(model: str, precision: str) -> Any:
    """A listed model of random weights, as `ClipTeacher.load` would make it ready."""
    import open_clip

    from ccd_core.clip.teacher import ClipTeacher

    network = open_clip.create_model(model, load_weights=False, force_quick_gelu=True)
    return ClipTeacher(
        network,
        open_clip.get_tokenizer(model),
        torch.device("cuda" if torch.cuda.is_available() else "cpu"),
        precision,
    )


def write_checkpoint(model: str, path: str) -> None:
    """A checkpoint of random weights of the model's full shape, in fp16 as OpenAI's files are."""
    import open_clip
    from safetensors.torch import save_file

    network = open_clip.create_model(model, load_weights=False)
    save_file(
        {
            name: value.half().contiguous() if value.is_floating_point() else value
            for name, value in network.state_dict().items()
        },
        path,
    )


def measure_memory(model: str, path: str, precision: str, answers: Any) -> None:
    """Put one row of the table into `answers`; runs in a process of its own."""
    from ccd_core.clip.teacher import ClipTeacher

    process = psutil.Process()
    before = process.memory_info().rss
    try:
        teacher = ClipTeacher.load(model, path, "cuda" if torch.cuda.is_available() else "cpu", precision)
        loaded = process.memory_info().rss
        text = teacher.encode_text(["cat", "dog"])
        seconds = []
        for shape in ((SIZE, SIZE), CROP):
            began = time.perf_counter()
            p = teacher.probabilities(torch.randn(1, 3, *shape), text)
            seconds.append(time.perf_counter() - began)
            assert torch.isfinite(p).all()
        held = sum(weight.nbytes for weight in teacher.model.parameters())
        tower = sum(weight.nbytes for weight in teacher.tower.parameters())
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        on_gpu = f"{torch.cuda.max_memory_allocated() / 2**20:.0f}" if torch.cuda.is_available() else "no GPU"
        answers.put(
            [f"{value / 2**20:.0f}" for value in (tower, held, loaded - before, most)]
            + [on_gpu]
            + [f"{value:.1f}" for value in seconds]
        )
    except Exception as error:  # a precision that this processor cannot do is a row, too
        answers.put([f"{type(error).__name__}: {error}"[:80]])


def show_memory(model: str) -> None:
    print(
        f"{model}, loaded from a checkpoint of random weights, batch 1; megabytes (2^20) and seconds, a "
        "fresh process each"
    )
    print(
        "| precision | image tower | with text tower | resident after loading | most, libraries included | "
        "on the GPU | 640x640 | 640x416 |"
    )
    print("|---|---|---|---|---|---|---|---|")
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/{model}-openai.safetensors"
        writer = context.Process(target=write_checkpoint, args=(model, path))
        writer.start()
        writer.join()
        for precision in ("fp32", "fp16", "bf16"):
            answers = context.Queue()
            process = context.Process(target=measure_memory, args=(model, path, precision, answers))
            process.start()
            print(f"| {precision} | {' | '.join(answers.get())} |", flush=True)
            process.join()


def show_speed(model: str, repeat: int) -> None:
    from ccd_core.machine.device import make_accelerator

    mixed = make_accelerator().mixed_precision
    chosen = "fp32" if mixed == "no" else mixed
    print(f"{model} at {SIZE}x{SIZE}, {torch.get_num_threads()} threads; `auto` chooses {chosen} here")
    print("| precision | layout | batch | images a second, median | all |\n|---|---|---|---|---|")
    for precision in ("fp32", "bf16"):
        teacher = random_teacher(model, precision)
        for layout in (torch.contiguous_format, torch.channels_last):
            teacher.tower.to(memory_format=layout)
            for batch in (1, 8):
                image = torch.randn(batch, 3, SIZE, SIZE).contiguous(memory_format=layout)
                rates = []
                teacher.encode_image(image)
                for _ in range(repeat):
                    began = time.perf_counter()
                    teacher.encode_image(image)
                    rates.append(batch / (time.perf_counter() - began))
                name = "channels_last" if layout == torch.channels_last else "contiguous"
                print(
                    f"| {precision} | {name} | {batch} | {statistics.median(rates):.2f} | "
                    f"{', '.join(f'{rate:.2f}' for rate in rates)} |",
                    flush=True,
                )


# Published top-1 accuracy on ImageNet, percent: open_clip's docs/openclip_results.csv, the model cards of
# Apple's MobileCLIP2, and timm's results-imagenet.csv.
ZERO_SHOT = {
    "MobileCLIP2-S0": 71.5,
    "MobileCLIP2-S2": 77.2,
    "MobileCLIP-S1": 72.6,
    "ViT-B-32": 69.2,
    "ViT-B-32-256": 72.8,
    "ViT-B-16": 73.5,
    "RN50x64": 73.9,
}


def show_flops() -> None:
    """Multiply-adds of one image at the model's own size, counted by torch, without numbers."""
    import open_clip
    import timm
    from torch.utils.flop_counter import FlopCounterMode

    torch.backends.mha.set_fastpath_enabled(False)  # its kernel is not counted

    def giga_macs(network: Any, size: int) -> float:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(torch.zeros(1, 3, size, size, device="meta"))
        return counter.get_total_flops() / 2e9

    print("| image tower | size | GMACs | ImageNet, zero-shot | points a GMAC |\n|---|---|---|---|---|")
    for name, accuracy in sorted(ZERO_SHOT.items(), key=lambda item: item[1]):
        visual = open_clip.create_model(name, load_weights=False, device="meta").eval().visual
        size = visual.image_size if isinstance(visual.image_size, int) else visual.image_size[0]
        cost = giga_macs(visual, size)
        print(f"| {name} | {size} | {cost:.2f} | {accuracy} | {accuracy / cost:.1f} |")
    print("\n| backbone | GMACs at 224 |\n|---|---|")
    for name in ("tf_efficientnet_lite0", "resnet18", "resnet50", "resnet101"):
        with torch.device("meta"):
            network = timm.create_model(name, num_classes=0).eval()
        print(f"| {name} | {giga_macs(network, 224):.2f} |")


def show_zero_shot(spec: str, preset: str) -> None:
    """A teacher's probabilities of whole validation images against ground truth; no training."""
    from ccd_core.clip.teacher import load_teacher
    from ccd_core.config import load_config
    from ccd_core.data import open_dataset
    from ccd_core.data.loading import read_usable
    from ccd_core.evaluation.metrics import summary
    from ccd_core.machine.device import make_accelerator

    config = load_config(preset, None, None, spec)
    dataset = open_dataset(spec)
    images = dataset.splits["val"]
    truth = dataset.ground_truth("val")
    if truth is None:
        raise SystemExit(f"{spec} has no labels to score against.")
    clip = load_teacher(config.clip, dataset.classes, make_accelerator(config.device, "fp32"))
    rows: list[np.ndarray] = []
    for _, pixels in read_usable(images, clip.side, 32, range(len(images)), 0):
        rows.append(clip.probabilities(pixels).cpu().numpy())
    report = summary(np.concatenate(rows), truth.rows(list(images.ids)))
    print({name: round(100 * value, 1) for name, value in report.items()})


def show_views() -> None:
    from ccd_core.clip.teacher import batches_of_equal
    from ccd_core.method.views import crop_shape, random_boxes
    from ccd_core.stages.local_views import CHUNK

    print(f"{CHUNK} images with 10 random views each, batches of at most 32")
    print("| sides in steps of | shapes | batches | mean batch |\n|---|---|---|---|")
    boxes = random_boxes(10 * CHUNK, (640, 640), np.random.default_rng(0))
    for round_to in (1, 14, 16, 32, 64):
        shapes = [crop_shape(y1 - y0, x1 - x0, 640, round_to) for x0, y0, x1, y1 in boxes]
        batches = list(batches_of_equal(shapes, 32))
        print(f"| {round_to} | {len(set(shapes))} | {len(batches)} | {len(shapes) / len(batches):.1f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("towers", "memory", "speed", "flops", "zero-shot", "views"))
    parser.add_argument("spec", nargs="?", help="with zero-shot: a data set, such as folder:DIR")
    parser.add_argument("--preset", default="offline", help="with zero-shot: whose teacher (default offline)")
    parser.add_argument("--model", help="open_clip model (default: RN50x64 for memory, RN50 for speed)")
    parser.add_argument("--repeat", type=int, default=5, help="how often each speed is measured (default 5)")
    arguments = parser.parse_args()
    if arguments.what == "memory":
        show_memory(arguments.model or "RN50x64")
    elif arguments.what == "speed":
        show_speed(arguments.model or "RN50", arguments.repeat)
    elif arguments.what == "zero-shot":
        show_zero_shot(arguments.spec or parser.error("zero-shot needs a data set"), arguments.preset)
    else:
        {"towers": show_towers, "views": show_views, "flops": show_flops}[arguments.what]()
