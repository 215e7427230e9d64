"""Train the demo CLIP, a small open_clip model, on toy drawings with captions.

    python -m ccd_core.toy.train_clip --out assets/demo_clip

The drawings have other seeds than the demo's data set. A training image is a random crop of a scene with one
caption, and the caption names one thing. This is usually the object that is largest and nearest to the
centre, so the model learns to recognise the salient object. For some classes, about half of the captions use
the word of another class. Their word is ambiguous, so their probability stays low, which is what the paper
calls CLIP's bias. The boxes of the objects are used to write captions, as a person would who looks at the
image. The model never sees a list of all labels.

The loss contrasts each image with one caption for every word of the vocabulary. CLIP's usual loss would
contrast the captions of a batch, but 64 captions about 24 things are often equal, and it would push equal
captions apart.
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
# {word: (chance that a caption about its class uses another word, the other words)}
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
SALIENCE_POWER = 2.5  # a larger power makes captions name the most salient object more often
WHOLE_SCENES = 0.35  # the share of training images that are not cropped
CLOSE_UPS = (1.05, 1.5)  # side of a crop, in sides of its object, at the beginning of the training
WIDEST = 4.0  # the largest side of a crop at its end
WIDE_FROM = 0.65  # after this part of all steps, crops are as wide as they get
SEED = 7_000
POOL = 10_000  # scenes
POOL_SCALE = 0.45
STAGES = ((4_000, 64), (1_000, 128))  # (steps, image size in pixels); small images take a third of the time
BATCH = 64
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 0.1
WARM_UP = 300  # steps
WORDS = (*CLASSES, *PLACES)  # the vocabulary


def draw_pool(count: int, seed: int = SEED, scale: float = POOL_SCALE) -> list[Scene]:
    """Draw scenes 0 to `count` of the world of `seed`, on all cores."""
    with drawing_pool() as pool:
        return list(pool.map(_draw, ((seed, i, scale) for i in range(count)), chunksize=64))


def _draw(job: tuple[int, int, float]) -> Scene:
    return draw_scene(*job)


def random_crop(rng, scene: Scene, wide: float = 1.0) -> tuple[int, int, int, int]:
    """A half-open box (x0, y0, x1, y1) of the scene: the whole scene, or a crop around one of its objects.

    wide: from 0, close-ups of one object, to 1, crops of all sizes. The training begins with close-ups,
    because the meaning of their captions is clear. If it began with whole scenes, it would need several times
    as many images.
    """
    height, width = scene.image.shape[:2]
    if rng.random() < WHOLE_SCENES * wide or not scene.objects:
        return 0, 0, width, height
    _, (x0, y0, x1, y1) = scene.objects[rng.integers(len(scene.objects))]
    widest = CLOSE_UPS[1] * (WIDEST / CLOSE_UPS[1]) ** wide
    side = max(x1 - x0, y1 - y0, 12) * np.exp(rng.uniform(np.log(CLOSE_UPS[0]), np.log(widest)))
    aspect = np.exp(rng.uniform(-0.3, 0.3))
    w = int(min(side * aspect, width))
    h = int(min(side / aspect, height))
    x = int(np.clip((x0 + x1) / 2 + rng.normal(0, 0.12) * w - w / 2, 0, width - w))
    y = int(np.clip((y0 + y1) / 2 + rng.normal(0, 0.12) * h - h / 2, 0, height - h))
    return x, y, x + w, y + h


def caption_word(rng, scene: Scene, crop: tuple[int, int, int, int]) -> str:
    """The word of the one thing that a caption of this crop names."""
    names: list[str] = []
    weights: list[float] = []
    width = crop[2] - crop[0]
    height = crop[3] - crop[1]
    for name, (x0, y0, x1, y1) in scene.objects:
        left = max(x0, crop[0])
        top = max(y0, crop[1])
        right = min(x1, crop[2])
        bottom = min(y1, crop[3])
        visible = max(right - left, 0) * max(bottom - top, 0)
        if visible < 0.4 * (x1 - x0) * (y1 - y0):
            continue
        dx = (left + right - crop[0] - crop[2]) / width
        dy = (top + bottom - crop[1] - crop[3]) / height
        names.append(name)
        weights.append((visible / (width * height) * np.exp(-(dx**2 + dy**2))) ** SALIENCE_POWER)
    if not names:
        return scene.place
    word = str(rng.choice(names, p=np.array(weights) / np.sum(weights)))
    chance, others = AMBIGUOUS.get(word, (0.0, ()))
    return str(rng.choice(others)) if rng.random() < chance else word


def make_batch(rng, pool: list[Scene], size: int, wide: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Normalised crops [B, 3, size, size], and the index of each caption's word [B]."""
    images = np.empty((BATCH, size, size, 3), np.uint8)
    words = []
    for i in range(BATCH):
        scene = pool[rng.integers(len(pool))]
        x0, y0, x1, y1 = crop = random_crop(rng, scene, wide)
        words.append(WORDS.index(caption_word(rng, scene, crop)))
        image = cv2.resize(scene.image[y0:y1, x0:x1], (size, size), interpolation=cv2.INTER_AREA)
        if rng.random() < 0.5:
            image = image[:, ::-1]
        images[i] = cv2.convertScaleAbs(image, alpha=rng.uniform(0.85, 1.15))
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2)
    return normalise(pixels, PREPROCESS["mean"], PREPROCESS["std"]), torch.tensor(words)


def build_model() -> Any:
    """The untrained CLIP, an `open_clip.model.CLIP`."""
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

    torch.manual_seed(SEED)
    model = CLIP(MODEL["embed_dim"], CLIPVisionCfg(**MODEL["vision_cfg"]), CLIPTextCfg(**MODEL["text_cfg"]))
    # With open_clip's standard deviation of 0.02, all prompts begin nearly equal, which costs hundreds of
    # steps.
    torch.nn.init.normal_(model.token_embedding.weight, std=0.5)
    torch.nn.init.normal_(model.positional_embedding, std=0.1)
    return model


@torch.no_grad()
def centre(model: Any, images: torch.Tensor, tokens: torch.Tensor) -> None:
    """Shift the outputs of both towers to mean zero. All prompts, and all images, are nearly equal before."""
    last = model.ln_final.register_forward_hook(
        lambda module, _, output: ends.append(output[torch.arange(len(tokens)), tokens.argmax(-1)])
    )
    ends: list[torch.Tensor] = []
    model.encode_text(tokens)
    last.remove()
    model.ln_final.bias -= ends[0].mean(0)
    model.visual.attnpool.c_proj.bias -= encode_images(model.visual, images).mean(0)


def encode_images(visual: Any, images: torch.Tensor) -> torch.Tensor:
    """Embeddings [B, D] of images of any size.

    The positional embedding is resized to their grid. Its gradient flows through the resizing.
    """
    positions = visual.attnpool.positional_embedding
    native = round((len(positions) - 1) ** 0.5)
    grid = (images.shape[-2] // 32, images.shape[-1] // 32)
    resized = resize_positions(positions, (native, native), grid, rounded=False)
    return functional_call(visual, {"attnpool.positional_embedding": resized}, (images,))


def train(stages: Sequence[tuple[int, int]], pool_size: int) -> tuple[Any, list[dict]]:
    """Train on `pool_size` scenes. Returns the model, and its loss over time.

    stages: (steps, image size in pixels) of each stage.
    """
    from open_clip.tokenizer import SimpleTokenizer

    pool = draw_pool(pool_size)
    rng = np.random.default_rng(SEED)
    tokenize = SimpleTokenizer(context_length=MODEL["text_cfg"]["context_length"])
    prompts = [[template.format(word) for template in TEMPLATES] for word in WORDS]
    tokens = torch.stack([tokenize(of_word) for of_word in prompts])  # [words, templates, tokens]
    sizes = [size for count, size in stages for _ in range(count)]  # of each step
    steps = len(sizes)
    model = build_model()
    model.visual.to(memory_format=torch.channels_last)
    centre(model, make_batch(rng, pool, sizes[0], wide=0)[0], tokens.flatten(0, 1))
    decayed = [p for p in model.parameters() if p.ndim >= 2 and p is not model.token_embedding.weight]
    others = [p for p in model.parameters() if not any(p is d for d in decayed)]
    groups = [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.98), fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE, total_steps=steps, pct_start=min(0.3, WARM_UP / steps), cycle_momentum=False
    )
    history = []
    began = time.time()
    running = 0.0  # mean of the loss
    for step in range(1, steps + 1):
        images, words = make_batch(rng, pool, sizes[step - 1], min(1.0, step / (WIDE_FROM * steps)))
        template = torch.from_numpy(rng.integers(0, len(TEMPLATES), len(WORDS)))
        chosen = tokens[torch.arange(len(WORDS)), template]
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
    """Write fp16 safetensors and open_clip's config file to `out`, for clip.model=local-dir:OUT."""
    from open_clip.tokenizer import SimpleTokenizer
    from safetensors.torch import save_file

    tokenize = SimpleTokenizer(context_length=MODEL["text_cfg"]["context_length"])
    used = tokenize([template.format(word) for template in TEMPLATES for word in WORDS]).unique()
    embedding = torch.zeros_like(model.token_embedding.weight.data)
    # Tokens that no caption has are untrained. Zeros in their place compress well.
    embedding[used] = model.token_embedding.weight.data[used]
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
