"""What the authors' code gives, case by case, and what this project gives for the same inputs.

tests/golden holds inputs and outputs of the authors' public implementation. Each function here runs what a
stage of a run is made of, with the settings of the preset `reference`, or of `paper` where that was
recorded. The tests compare the cases (tests/test_reference.py); benchmarks/parity.py prints them as a table.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from ccd_core.clip.openai import ENTRIES
from ccd_core.clip.teacher import ClipTeacher
from ccd_core.config import CCDConfig
from ccd_core.evaluation.metrics import average_precision
from ccd_core.method.bias import Bias, clip_bias, entropy
from ccd_core.method.boxes import add_offset
from ccd_core.method.classifier import class_maps
from ccd_core.method.early_stop import first_local_minimum
from ccd_core.method.labels import final_labels, initial_labels, local_labels
from ccd_core.method.local_views import choose_views
from ccd_core.method.losses import ccd_loss
from ccd_core.method.views import cam_boxes, crop_shape, crop_views

GOLDEN = Path(__file__).resolve().parent / "golden"
REFERENCE = CCDConfig.preset("reference")
PAPER = CCDConfig.preset("paper")
BOTH_ENDS_INSIDE = np.array([0, 0, 1, 1])  # recorded boxes count their last pixel; ours end behind it


class Case(NamedTuple):
    file: str
    what: str
    ours: np.ndarray
    recorded: np.ndarray
    allowed: float  # how far apart the two may be


def difference(case: Case) -> float:
    """The largest absolute difference of a case."""
    ours = np.asarray(case.ours, np.float64)
    return float(np.max(np.abs(ours - np.asarray(case.recorded, np.float64)), initial=0.0))


def recorded(name: str) -> dict[str, np.ndarray]:
    with np.load(GOLDEN / f"{name}.npz") as file:
        return {key: file[key] for key in file.files}


def recorded_json(name: str) -> dict:
    return json.loads((GOLDEN / f"{name}.json").read_text())


def known(value: np.ndarray) -> Bias:
    """A bias as recorded, for the stages after it."""
    return Bias(value, np.ones(len(value)), np.ones(1, bool), np.ones(len(value), bool))


def bias_cases() -> Iterator[Case]:
    data = recorded("bias")
    for name in ("voc", "coco"):
        p = data[f"{name}_p"]
        yield Case("bias", f"{name} entropy", entropy(p), data[f"{name}_entropy"], 1e-5)
        for threshold in (0.5, 1.0, 2.0):
            of = f"{name}, entropy {threshold}"
            count = data[f"{name}_count_{threshold}"]
            measured = count > 0
            bias = clip_bias(p, threshold)
            yield Case("bias", f"count, {of}", bias.count, count, 0)
            yield Case("bias", f"images used, {of}", bias.used, data[f"{name}_used_{threshold}"], 0)
            there = data[f"{name}_bias_{threshold}"]
            yield Case("bias", f"bias, {of}", bias.value[measured], there[measured], 1e-5)
            for floor, suffix in ((REFERENCE.bias.floor, "floor"), (0.0, "nofloor")):
                config = REFERENCE.changed(bias={"entropy_threshold": threshold, "floor": floor})
                labels = initial_labels(p, bias, config)[:, measured]
                there = data[f"{name}_debiased_{threshold}_{suffix}"][:, measured]
                yield Case("bias", f"initial labels, {of}, {suffix}", labels, there, 1e-5)


def label_cases() -> Iterator[Case]:
    data = recorded("label_update")
    view_image = np.repeat(np.arange(50), data["n_views"])
    for name, preset in (("reference", REFERENCE), ("paper", PAPER)):
        for floor, suffix in ((0.05, "floor"), (0.0, "nofloor")):
            config = preset.changed(bias={"floor": floor})
            local = local_labels(50, view_image, data["view_probs"], known(data["bias"]), config)
            final = final_labels(data["initial"], local, config)
            there = data[f"{name}_final_{suffix}"]
            yield Case("label_update", f"{name} final labels, {suffix}", final, there, 1e-6)


def loss_cases() -> Iterator[Case]:
    data = {key: torch.from_numpy(value) for key, value in recorded("loss").items()}
    weak = (data["logits"], data["labels"])
    strong = data["strong_logits"]
    main = "loss_main_losscoeff1.0"
    for what, loss, key in (
        ("warm-up", ccd_loss(*weak), "loss_warmup_losscoeff1.0_consist1"),
        ("main", ccd_loss(*weak, strong, REFERENCE.training.beta), f"{main}_consist1"),
        ("main, no consistency", ccd_loss(*weak, strong, 0.0), f"{main}_consist0"),
    ):
        yield Case("loss", what, loss.numpy(), data[key].numpy(), 1e-6)


def classifier_cases() -> Iterator[Case]:
    data = recorded("classifier")
    features, weight, bias = (torch.from_numpy(data[key]) for key in ("features", "weight", "bias"))
    for preset in (REFERENCE, PAPER):
        boost = preset.classifier.cam_boost
        cam = class_maps(features, weight, bias, boost)
        logits = cam.mean((2, 3)).numpy()
        yield Case("classifier", f"maps, boost {boost:g}", cam.numpy(), data[f"cam_alpha{boost}"], 1e-5)
        yield Case("classifier", f"logits, boost {boost:g}", logits, data[f"logits_alpha{boost}"], 1e-5)


def box_cases() -> Iterator[Case]:
    """CAM boxes of both presets. Those of the paper were recorded without an offset."""
    data = recorded("cam_box")
    extra = recorded("extra_cam_box")
    places = [("cam_box", str(i), data[f"cam_{i}"], data[f"size_{i}"], data) for i in range(4)]
    frames = ("640x640", "640x480", "480x640")
    places += [("extra_cam_box", frame, extra["cam"], frame.split("x"), extra) for frame in frames]
    for file, name, cams, size, there in places:
        frame = (int(size[0]), int(size[1]))
        maps = torch.from_numpy(cams)
        views = REFERENCE.views
        boxes = cam_boxes(maps, frame, views.cam_threshold, views.offset, views.box)
        yield Case(file, f"reference_box {name} (pixels)", boxes, there[f"reference_box_{name}"], 0)
        views = PAPER.views
        boxes = cam_boxes(maps, frame, views.cam_threshold, 0, views.box)
        boxes = np.where(boxes < 0, -1, boxes - BOTH_ENDS_INSIDE)
        yield Case(file, f"extent_inclusive {name} (pixels)", boxes, there[f"extent_inclusive_{name}"], 0)
    shapes = np.array([crop_shape(int(y1 - y0), int(x1 - x0), 640) for x0, y0, x1, y1 in extra["crop_box"]])
    yield Case("extra_cam_box", "crop shapes (pixels)", shapes, extra["crop_hw"], 0)


def clip_cases(teachers: dict[str, ClipTeacher]) -> Iterator[Case]:
    """Text, features and probabilities at every recorded size. Some images are in the first file only."""
    first = recorded("clip_rn")
    names = recorded_json("meta") | recorded_json("extra")
    for file, teacher in teachers.items():
        data = recorded(file)
        text = teacher.encode_text(names[file]["classes"], REFERENCE.clip.prompt)
        yield Case(file, "text", text.numpy(), data["unit_text_feature"], 2e-5)
        for key in [key for key in data if key.startswith("unit_feature_")]:
            size = key.removeprefix("unit_feature_")
            in_first = file == "clip_rn" or size.startswith("clip_rn_")
            image = first[f"image_{size.removeprefix('clip_rn_')}"] if in_first else data[f"image_{size}"]
            features = teacher.encode_image(torch.from_numpy(image).float())
            p = teacher.classify(features, text).numpy()
            yield Case(file, f"features {size}", features.numpy(), data[key], 2e-5)
            yield Case(file, f"probabilities {size}", p, data[f"prob_{size}"], 2e-3)


def recorded_image(data: dict[str, np.ndarray], index: int) -> Tensor:
    """Image `index` of extra_views [3, H, W], recorded at an eighth of its size."""
    small = torch.from_numpy(data[f"small_image_{index}"]).float()
    return small.repeat_interleave(8, 1).repeat_interleave(8, 2)


def step_cases(teacher: ClipTeacher) -> Iterator[Case]:
    """Logits and maps -> views -> crops -> CLIP -> labels: the whole label update, by the authors' code."""
    data = recorded("extra_views")
    text = torch.from_numpy(data["unit_text_feature"])
    found, answers = [], []
    for index in range(4):
        image = recorded_image(data, index)
        above = 1 / (1 + np.exp(-data["classifier_logits"][index])) >= 0.05
        cams = torch.from_numpy(data["cam"][index])
        size = (image.shape[1], image.shape[2])
        rng = np.random.default_rng(0)
        _, classes, _, boxes = choose_views(above[None], cams[None], size, REFERENCE.views, rng)
        crops = crop_views(image, boxes.tolist(), REFERENCE.clip.size, REFERENCE.clip.round_to)
        for name, box, crop in zip(classes, boxes.tolist(), crops, strict=True):
            found.append((index, name, *box, *crop.shape[1:]))
            answers.append(teacher.probabilities(crop[None], text).numpy())
    views = np.array(found)
    p = np.concatenate(answers)
    image_and_class = np.stack([data["view_image"], data["view_class"]], 1)
    yield Case("extra_views", "image and class of each view", views[:, :2], image_and_class, 0)
    yield Case("extra_views", "views (pixels)", views[:, 2:6], data["reference_box"], 0)
    yield Case("extra_views", "crop shapes (pixels)", views[:, 6:], data["reference_crop_hw"], 0)
    yield Case("extra_views", "CLIP's probabilities", p, data["reference_view_prob"], 1e-3)
    for floor, suffix in ((0.05, "floor"), (0.0, "nofloor")):
        config = REFERENCE.changed(bias={"floor": floor})
        local = local_labels(4, views[:, 0], p, known(data["bias"]), config)
        final = final_labels(data["initial"], local, config)
        there = data[f"reference_final_{suffix}"]
        yield Case("extra_views", f"final labels, {suffix}", final, there, 1e-3)


def paper_step_cases(teacher: ClipTeacher) -> Iterator[Case]:
    """Logits and maps -> boxes -> crops -> CLIP with the paper's boxes, and CLIP on the whole images."""
    data = recorded("extra_views")
    text = torch.from_numpy(data["unit_text_feature"])
    found, answers = [], []
    for index in range(4):
        image = recorded_image(data, index)
        whole = teacher.probabilities(image[None], text)[0].numpy()
        what = f"CLIP's probabilities, whole image {index}"
        yield Case("extra_views", what, whole, data[f"global_prob_{index}"], 1e-3)
        classes = np.flatnonzero(1 / (1 + np.exp(-data["classifier_logits"][index])) >= 0.05)
        if not len(classes):
            continue
        cams = torch.from_numpy(data["cam"][index, classes])
        size = (image.shape[1], image.shape[2])
        # Recorded with both ends inside the box, then cut as if half-open: one pixel less than ours.
        tight = cam_boxes(cams, size, PAPER.views.cam_threshold, 0) - BOTH_ENDS_INSIDE
        boxes = add_offset(tight, PAPER.views.offset, size)
        crops = crop_views(image, boxes.tolist(), PAPER.clip.size, round_to=1)
        for name, box, crop in zip(classes, boxes.tolist(), crops, strict=True):
            found.append((index, name, *box, *crop.shape[1:]))
            answers.append(teacher.probabilities(crop[None], text).numpy())
    views = np.array(found)
    p = np.concatenate(answers)
    image_and_class = np.stack([data["view_image"], data["view_class"]], 1)
    yield Case("extra_views", "image and class of each view, paper", views[:, :2], image_and_class, 0)
    yield Case("extra_views", "views (pixels), paper", views[:, 2:6], data["extent_box"], 0)
    yield Case("extra_views", "crop shapes (pixels), paper", views[:, 6:], data["extent_crop_hw"], 0)
    yield Case("extra_views", "CLIP's probabilities, paper", p, data["extent_view_prob"], 1e-3)


def stop_cases() -> Iterator[Case]:
    """The epoch that early stopping keeps; -1 stands for none."""
    data = recorded("extra_early_stop")
    some = recorded_json("meta")["early_stop"]
    sequences = [values[:count] for values, count in zip(data["train_map"], data["epochs"], strict=True)]
    ours = [kept_epoch(values) for values in sequences]
    yield Case("extra_early_stop", "kept epoch, 30 sequences", np.array(ours), data["saved_epoch"], 0)
    ours = [kept_epoch(case["train_map"]) for case in some]
    saved = [-1 if case["saved_epoch"] is None else case["saved_epoch"] for case in some]
    yield Case("meta", "kept epoch, 10 sequences", np.array(ours), np.array(saved), 0)


def kept_epoch(train_map: np.ndarray) -> int:
    epoch = first_local_minimum(train_map)
    return -1 if epoch is None else epoch


def metric_cases() -> Iterator[Case]:
    """Average precision. Class 7 has no positive: 0 in the authors' code, left out here."""
    data = recorded("metrics")
    some = np.arange(20) != 7
    ap = 100 * average_precision(data["scores"], data["targets"])
    yield Case("metrics", "AP (percent)", ap[some], data["ap_percent"][some], 1e-6)
    positive = (data["soft_labels"] >= REFERENCE.training.positive_label).astype(np.float32)
    has = positive.any(0)
    ap = 100 * average_precision(data["scores"], positive)
    yield Case("metrics", "AP, soft labels (percent)", ap[has], data["soft_ap_percent"][has], 1e-6)


def recorded_teachers() -> dict[str, ClipTeacher]:
    """The two small recorded CLIPs, each saved as a file and loaded as any other CLIP."""
    loaded = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("clip_rn", "extra_clip_rn"):
            path = Path(folder, f"{name}.safetensors")
            weights = recorded(f"{name}_weights")
            tensors = {key: torch.from_numpy(value).contiguous() for key, value in weights.items()}
            # OpenAI's files have these entries, too, and are known by them.
            save_file(tensors | {entry: torch.tensor(0) for entry in ENTRIES}, path)
            loaded[name] = ClipTeacher.load(name, pretrained=str(path), precision="fp32")
    return loaded


WITHOUT_CLIP = {
    "bias": bias_cases,
    "labels": label_cases,
    "loss": loss_cases,
    "classifier": classifier_cases,
    "boxes": box_cases,
    "early stop": stop_cases,
    "metrics": metric_cases,
}
WITH_CLIP = {
    "CLIP at every size": clip_cases,
    "the label update of the authors' code": lambda teachers: step_cases(teachers["extra_clip_rn"]),
    "the label update with the paper's boxes": lambda teachers: paper_step_cases(teachers["extra_clip_rn"]),
}


def cases() -> Iterator[Case]:
    """All recorded cases."""
    for group in WITHOUT_CLIP.values():
        yield from group()
    teachers = recorded_teachers()
    for with_clip in WITH_CLIP.values():
        yield from with_clip(teachers)
