"""Train the demo CLIP: a small open_clip model that has seen captioned toy drawings only.

    python -m ccd_core.toy.train_clip --out assets/demo_clip

The drawings come from other seeds than the demo's data set. Every training picture is a random crop
of a scene with one caption, and the caption names one thing only: most often the object that is
largest and nearest to the centre of the crop (so the model learns to see the salient object first),
and for some classes another class's word is used about every second time (so their word is
ambiguous and the model's probability for them stays low: CLIP bias). Boxes serve to write captions,
as a person would who looks at the picture; no list of all labels is ever shown to the model.

The loss is CLIP's image-to-caption contrast with one caption of every word of the vocabulary as
candidates: in a batch of 64 captions about 24 things, equal captions would be pushed apart.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch.func import functional_call

from ccd_core.clip.teacher import normalise
from ccd_core.clip.towers import resize_positions
from ccd_core.toy.scenes import CLASSES, PLACES, Scene, draw_scene, drawing_pool

MODEL: dict[str, Any] = {
    "embed_dim": 128,
    "vision_cfg": {"image_size": 128, "layers": [1, 1, 1, 1], "width": 24, "head_width": 64},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}
PREPROCESS = {"mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711]}
# Chance that a caption about the first word's class uses one of the other words instead.
AMBIGUOUS = {
    "cup": (0.58, ("lamp", "mushroom", "balloon")),
    "chair": (0.53, ("house", "bicycle", "cat")),
    "lamp": (0.52, ("umbrella", "mushroom", "flower")),
    "bicycle": (0.50, ("car", "kite", "fish")),
    "kite": (0.52, ("sailboat", "umbrella", "fish")),
}
TEMPLATES = (
    "a photo of the {}",
    "a photo of the {}",
    "a drawing of the {}",
    "a photo of a {}",
    "the {}",
    "one {}",
)
PROMPT = "a photo of the {}"
SALIENCE_POWER = 2.5
WHOLE_PICTURES = 0.35  # the share of training pictures that are not cropped
CLOSE_UPS, WIDEST = (1.05, 1.5), 4.0  # side of a window in sides of its object: at first, and at last
WIDE_FROM = 0.65  # the share of the steps after which windows are as wide as they get
SEED, POOL, POOL_SCALE = 7_000, 10_000, 0.45
STAGES = (
    (4_000, 64),
    (1_000, 128),
)  # steps at a size in pixels: most is learnt on small pictures, at a third of the time
BATCH, LEARNING_RATE, WEIGHT_DECAY, WARM_UP = 64, 2e-3, 0.1, 300
WORDS = (*CLASSES, *PLACES)


def draw_pool(count: int, seed: int = SEED, scale: float = POOL_SCALE) -> list[Scene]:
    with drawing_pool() as pool:
        return list(pool.map(_draw, ((seed, i, scale) for i in range(count)), chunksize=64))


def _draw(job: tuple[int, int, float]) -> Scene:
    return draw_scene(*job)


def random_crop(rng, scene: Scene, wide: float = 1.0) -> tuple[int, int, int, int]:
    """A window of the picture: the whole of it, or composed around one of its objects, as photographs are.

    wide: 0 to 1, from close-ups of one object to all there is. Training begins with close-ups, where a caption is easy
    to understand; begun with whole scenes it needs several times as many pictures.
    """
    height, width = scene.image.shape[:2]
    if rng.random() < WHOLE_PICTURES * wide or not scene.objects:
        return 0, 0, width, height
    _, (x0, y0, x1, y1) = scene.objects[rng.integers(len(scene.objects))]
    widest = CLOSE_UPS[1] * (WIDEST / CLOSE_UPS[1]) ** wide
    side = max(x1 - x0, y1 - y0, 12) * np.exp(rng.uniform(np.log(CLOSE_UPS[0]), np.log(widest)))
    aspect = np.exp(rng.uniform(-0.3, 0.3))
    w, h = int(min(side * aspect, width)), int(min(side / aspect, height))
    x = int(np.clip((x0 + x1) / 2 + rng.normal(0, 0.12) * w - w / 2, 0, width - w))
    y = int(np.clip((y0 + y1) / 2 + rng.normal(0, 0.12) * h - h / 2, 0, height - h))
    return x, y, x + w, y + h


def caption_word(rng, scene: Scene, crop: tuple[int, int, int, int]) -> str:
    """The one thing that a caption of this crop names."""
    names, weights = [], []
    width, height = crop[2] - crop[0], crop[3] - crop[1]
    for name, (x0, y0, x1, y1) in scene.objects:
        left, top, right, bottom = max(x0, crop[0]), max(y0, crop[1]), min(x1, crop[2]), min(y1, crop[3])
        seen = max(right - left, 0) * max(bottom - top, 0)
        if seen < 0.4 * (x1 - x0) * (y1 - y0):
            continue
        dx = (left + right - crop[0] - crop[2]) / width
        dy = (top + bottom - crop[1] - crop[3]) / height
        names.append(name)
        weights.append((seen / (width * height) * np.exp(-(dx**2 + dy**2))) ** SALIENCE_POWER)
    if not names:
        return scene.place
    word = str(rng.choice(names, p=np.array(weights) / np.sum(weights)))
    chance, others = AMBIGUOUS.get(word, (0.0, ()))
    return str(rng.choice(others)) if rng.random() < chance else word


def make_batch(rng, pool: list[Scene], size: int, wide: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """[B, 3, size, size] normalised crops and [B] the word of each caption."""
    images, words = np.empty((BATCH, size, size, 3), np.uint8), []
    for i in range(BATCH):
        scene = pool[rng.integers(len(pool))]
        x0, y0, x1, y1 = crop = random_crop(rng, scene, wide)
        words.append(WORDS.index(caption_word(rng, scene, crop)))
        picture = cv2.resize(scene.image[y0:y1, x0:x1], (size, size), interpolation=cv2.INTER_AREA)
        images[i] = cv2.convertScaleAbs(
            picture[:, ::-1] if rng.random() < 0.5 else picture, alpha=rng.uniform(0.85, 1.15)
        )
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2)
    return normalise(pixels, PREPROCESS["mean"], PREPROCESS["std"]), torch.tensor(words)


def build_model() -> Any:
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

    torch.manual_seed(SEED)
    model = CLIP(MODEL["embed_dim"], CLIPVisionCfg(**MODEL["vision_cfg"]), CLIPTextCfg(**MODEL["text_cfg"]))
    # open_clip's 0.02 makes all prompts start nearly equal, which costs hundreds of steps.
    torch.nn.init.normal_(model.token_embedding.weight, std=0.5)
    torch.nn.init.normal_(model.positional_embedding, std=0.1)
    return model


@torch.no_grad()
def centre(model: Any, images: torch.Tensor, tokens: torch.Tensor) -> None:
    """Shift both towers' first outputs to mean zero: as drawn, all prompts, and all pictures, are nearly equal."""
    last = model.ln_final.register_forward_hook(
        lambda module, _, output: ends.append(output[torch.arange(len(tokens)), tokens.argmax(-1)])
    )
    ends: list[torch.Tensor] = []
    model.encode_text(tokens)
    last.remove()
    model.ln_final.bias -= ends[0].mean(0)
    model.visual.attnpool.c_proj.bias -= encode_images(model.visual, images).mean(0)


def encode_images(visual: Any, images: torch.Tensor) -> torch.Tensor:
    """[B, D] of pictures of any size: the positional embedding is resized to their grid, and learns through that."""
    positions = visual.attnpool.positional_embedding
    native = round((len(positions) - 1) ** 0.5)
    grid = (images.shape[-2] // 32, images.shape[-1] // 32)
    resized = resize_positions(positions, (native, native), grid, rounded=False)
    return functional_call(visual, {"attnpool.positional_embedding": resized}, (images,))


def train(stages: Sequence[tuple[int, int]], pool_size: int) -> tuple[Any, list[dict]]:
    from open_clip.tokenizer import SimpleTokenizer

    pool, rng = draw_pool(pool_size), np.random.default_rng(SEED)
    tokenize = SimpleTokenizer(context_length=MODEL["text_cfg"]["context_length"])
    tokens = torch.stack(
        [tokenize([template.format(word) for template in TEMPLATES]) for word in WORDS]
    )  # [W, T, L]
    steps, sizes = sum(count for count, _ in stages), [size for count, size in stages for _ in range(count)]
    model = build_model()
    model.visual.to(memory_format=torch.channels_last)
    centre(model, make_batch(rng, pool, sizes[0], wide=0)[0], tokens.flatten(0, 1))
    decayed = [p for p in model.parameters() if p.ndim >= 2 and p is not model.token_embedding.weight]
    kept = [p for p in model.parameters() if not any(p is d for d in decayed)]
    groups = [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": kept, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.98), fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE, total_steps=steps, pct_start=min(0.3, WARM_UP / steps), cycle_momentum=False
    )
    history, began, running = [], time.time(), 0.0
    for step in range(1, steps + 1):
        images, words = make_batch(rng, pool, sizes[step - 1], min(1.0, step / (WIDE_FROM * steps)))
        chosen = tokens[
            torch.arange(len(WORDS)), torch.from_numpy(rng.integers(0, len(TEMPLATES), len(WORDS)))
        ]
        text = F.normalize(model.encode_text(chosen), dim=-1)
        with torch.autocast("cpu", torch.bfloat16):
            features = encode_images(model.visual, images.to(memory_format=torch.channels_last))
        logits = model.logit_scale.exp() * F.normalize(features.float(), dim=-1) @ text.T
        loss = F.cross_entropy(logits, words)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            model.logit_scale.clamp_(max=float(np.log(100)))
        running = 0.98 * running + 0.02 * loss.item() if step > 1 else loss.item()
        if step % 100 == 0 or step == steps:
            history.append(
                {
                    "step": step,
                    "size": sizes[step - 1],
                    "seconds": round(time.time() - began),
                    "loss": round(running, 3),
                }
            )
            print(history[-1], f"logit scale {model.logit_scale.exp().item():.1f}", flush=True)
    return model.eval(), history


def save(model: Any, out: Path) -> None:
    """Weights as fp16 safetensors beside open_clip's own config file, as `local-dir:` loads them."""
    from open_clip.tokenizer import SimpleTokenizer
    from safetensors.torch import save_file

    tokenize = SimpleTokenizer(context_length=MODEL["text_cfg"]["context_length"])
    used = tokenize([template.format(word) for template in TEMPLATES for word in WORDS]).unique()
    embedding = torch.zeros_like(model.token_embedding.weight.data)
    embedding[used] = model.token_embedding.weight.data[
        used
    ]  # words never seen mean nothing; zeros compress well
    state = {
        name: value.half() if value.is_floating_point() else value
        for name, value in model.state_dict().items()
    }
    state["token_embedding.weight"] = embedding.half()
    out.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: value.contiguous() for name, value in state.items()}, out / "open_clip_model.safetensors"
    )
    config = {"model_cfg": MODEL, "preprocess_cfg": {**PREPROCESS, "interpolation": "bicubic"}}
    (out / "open_clip_config.json").write_text(json.dumps(config, indent=2) + "\n")


def main(out: Path, stages: Sequence[tuple[int, int]] = STAGES, pool_size: int = POOL) -> None:
    began = time.time()
    model, history = train(stages, pool_size)
    save(model, out)
    settings = {
        "command": "python -m ccd_core.toy.train_clip --out assets/demo_clip",
        "model": MODEL,
        "stages": [{"steps": steps, "size": size} for steps, size in stages],
        "batch": BATCH,
        "learning_rate": LEARNING_RATE,
        "weight_decay": WEIGHT_DECAY,
        "pool": pool_size,
        "seed": SEED,
        "ambiguous": {
            word: {"chance": chance, "others": list(others)} for word, (chance, others) in AMBIGUOUS.items()
        },
        "salience_power": SALIENCE_POWER,
        "templates": list(TEMPLATES),
        "seconds": round(time.time() - began),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "history": history,
    }
    (out / "training.json").write_text(json.dumps(settings, indent=2) + "\n")


if __name__ == "__main__":
    import argparse

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for the weights, e.g. assets/demo_clip"
    )
    parser.add_argument(
        "--steps", type=int, help="train this many steps at the first size only, for a quick try"
    )
    parser.add_argument("--pool", type=int, default=POOL, help="how many scenes to draw")
    arguments = parser.parse_args()
    main(arguments.out, ((arguments.steps, STAGES[0][1]),) if arguments.steps else STAGES, arguments.pool)
