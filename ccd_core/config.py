"""All settings of a run, each with its meaning, unit and limits, and their YAML files.

Numbers in parentheses are sections of the paper (Kim and Shim, CVPR 2025). "Code" is the authors' public
implementation. The values of the presets and their sources are in presets.py.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, ClassVar, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo

from ccd_core.errors import UserError
from ccd_core.paths import absolute_place, split_place
from ccd_core.presets import FOR_DATASET, PRESET_VALUES
from ccd_core.prompts import check
from ccd_core.yaml_files import NotYaml, parse_yaml, read_yaml

PRESETS = tuple(PRESET_VALUES)

# Larger numbers are typing errors. They would fill the memory or take for ever.
MOST_SIDE = 8192  # pixels of a side of an image or a view
MOST_BATCH = 65_536  # images or views a step
MOST_SEED = 9 * 10**12  # the trainer multiplies it by a million, and torch takes 63 bits
TAKEN_OUT = "taken-out"  # replaces the paths of this machine in the settings of a shared run
MOST_PARTS = 4  # of a setting's name, such as views.threshold.mean_views
MOST_SHOWN = 80  # a sentence repeats at most so many characters of a wrong value
# Marks a field whose value may be a mapping, but a new mapping replaces the old one and is not merged with
# it.
REPLACED_AS_A_WHOLE: dict[str, Any] = {"replaced_as_a_whole": True}


class Section(BaseModel):
    """A group of settings. `title` is its heading in the app."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, allow_inf_nan=False)
    title: ClassVar[str] = "General"

    @field_validator("*", mode="before")
    @classmethod
    def _is_what_it_says(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse true for a number, which pydantic would take for 1, and NUL, which no path can contain."""
        kinds = _kinds(cls.model_fields[str(info.field_name)].annotation)
        if isinstance(value, bool) and kinds & {int, float} and bool not in kinds:
            raise ValueError(f"is a number, not {str(value).lower()}")
        if isinstance(value, str) and "\0" in value:
            raise ValueError("has a character that no name has")
        return value


def _kinds(annotation: Any) -> set[Any]:
    """The types that a setting may have, for example {int, NoneType} of `int | None`."""
    return set(get_args(annotation)) if get_origin(annotation) is UnionType else {annotation}


class DataSettings(Section):
    title = "Data set"

    spec: str = Field(
        "demo",
        description="Data set: demo, folder:DIR, voc2007:ROOT, voc2012:ROOT, coco2014:ROOT or nuswide:ROOT.",
    )
    classes: Path | None = Field(None, description="File with one class name a line (folder data sets only).")
    workers: int = Field(
        -1, ge=-1, le=1024, description="Processes that decode images; -1: one for each core, at most 8."
    )
    cache_gb: float = Field(
        8.0,
        ge=0,
        le=1e6,
        description="Decoded images are cached on disk, in $CCD_HOME, up to this size (GB); 0: none.",
    )


class ClipSettings(Section):
    title = "CLIP"

    model: str = Field("RN50x64", description="open_clip model name, local-dir:PATH, hf-hub:NAME, or demo.")
    pretrained: str | None = Field("openai", description="open_clip tag, or path of a local checkpoint.")
    size: int = Field(
        640,
        ge=32,
        le=MOST_SIDE,
        description="Side of the global view and longer side of a local view, pixels (4.1).",
    )
    normalisation: Literal["clip", "imagenet"] = Field(
        "clip", description="Mean and std of CLIP's input; imagenet is the code's."
    )
    prompt: str | list[str] = Field(
        "a photo of the {}",
        description="Prompt with {} for the class name (3.1; NUS-WIDE: a photo of a {}), a list of "
        "prompts to average, imagenet7 or imagenet80 (OpenAI's sets).",
    )
    names: dict[str, str | list[str]] = Field(
        default_factory=dict,
        description="Other words for a class in prompts, several are averaged: {tvmonitor: [tv monitor, "
        "television]}.",
    )
    probabilities: Literal["softmax", "sigmoid"] = Field(
        "softmax",
        description="softmax over the classes (Eq. 2), for SigLIP too; sigmoid: each class by itself, "
        "of sigmoid-trained models only.",
    )
    batch_size: int = Field(32, ge=1, le=MOST_BATCH, description="Views in one CLIP forward pass.")
    round_to: int | None = Field(
        None,
        ge=1,
        le=MOST_SIDE,
        description="Sides of local views are rounded to multiples of this, so that they batch; null: "
        "the tower's stride; 1: exact.",
    )

    @field_validator("prompt")
    @classmethod
    def _has_a_place_for_the_class(cls, prompt: str | list[str]) -> str | list[str]:
        check(prompt)
        return prompt


class BiasSettings(Section):
    title = "CLIP bias"

    mode: Literal["class", "constant", "none"] = Field(
        "class",
        description="class: debias by each class's CLIP bias (3.3); constant: by their mean (a "
        "control); none: no debiasing.",
    )
    entropy_threshold: float = Field(
        0.5, gt=0, le=1e6, description="Only images with less entropy than this (natural log) count (4.1)."
    )
    floor: float = Field(
        0.05, ge=0, lt=1, description="Probabilities are raised to this before debiasing (code: 1/20)."
    )


class NoneImageSettings(Section):
    title = "Images without a class"

    filter: Literal["off", "similarity", "entropy"] = Field(
        "off",
        description="Images without any class get labels of zero (supplement, 8); told by the best "
        "class's similarity, or by entropy.",
    )
    threshold: float | None = Field(
        None,
        description="Cosine below, or entropy (nats) above which an image shows no class; null: Otsu's "
        "split.",
    )


class ClassifierSettings(Section):
    title = "Classifier"

    backbone: str = Field("resnet101", description="torchvision ResNet name, timm:NAME, or clip:demo (4.1).")
    backbone_options: dict[str, Any] = Field(
        default_factory=dict,
        description="Further arguments of the backbone's constructor.",
        json_schema_extra=REPLACED_AS_A_WHOLE,
    )
    weights: str | None = Field(
        "imagenet", description="imagenet, a local file (safetensors or torch), or null for random weights."
    )
    image_size: int = Field(448, ge=32, le=MOST_SIDE, description="Side of a training image, pixels.")
    cam_size: int = Field(
        640, ge=32, le=MOST_SIDE, description="Side of the image that CAMs are computed from, pixels (4.1)."
    )
    cam_boost: float = Field(
        1.0, gt=0, le=1e6, description="Positive activations are multiplied by this (code: 3)."
    )

    @field_validator("backbone_options")
    @classmethod
    def _load_no_files(cls, options: dict[str, Any]) -> dict[str, Any]:
        """Refuse timm's own arguments for weights, which can load pickles and files of the machine."""
        files = sorted(
            {"checkpoint_path", "pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"} & set(options)
        )
        if files:
            raise ValueError(
                f"{', '.join(files)} would load files unchecked; name a file in classifier.weights instead"
            )
        if not all(map(math.isfinite, _numbers(options))):
            raise ValueError("a number in it is not finite")
        return options


def _numbers(value: Any) -> Iterator[float]:
    """All numbers of type float in nested lists and dictionaries."""
    if isinstance(value, float):
        yield value
    elif isinstance(value, dict | list | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _numbers(inner)


class MeanViews(Section):
    mean_views: float = Field(10.0, gt=0, le=1e6, description="Mean number of views an image (4.3).")


class SearchedViews(Section):
    """The search of the authors' code for the view threshold.

    It tries each threshold on the next `images` images, until their mean number of views lies in `between`.
    """

    between: tuple[float, float] = Field(
        (4.0, 6.0), description="Mean number of views an image, both ends excluded."
    )
    images: int = Field(100, ge=1, le=10**9, description="Shuffled images at each threshold.")
    start: float = Field(0.05, ge=0, le=1, description="The first threshold.")
    step: float = Field(0.001, ge=1e-6, le=1, description="What the threshold rises by.")

    @field_validator("between")
    @classmethod
    def _has_something_between(cls, ends: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= ends[0] < ends[1]:
            raise ValueError("the first number is below the second, and neither is below zero")
        return ends

    @property
    def mean_views(self) -> float:
        """The middle of the interval that is searched for."""
        return sum(self.between) / 2


class ViewSettings(Section):
    title = "Local views"

    policy: Literal["cam", "random", "moved"] = Field(
        "cam",
        description="cam: CAM boxes (3.2). Two controls: random boxes, as many; or the CAM views, moved to "
        "random places.",
    )
    threshold: float | MeanViews | SearchedViews = Field(
        default_factory=MeanViews,
        description="Classes scored above this get a view (0 to 1); or mean_views; or the code's search.",
        json_schema_extra=REPLACED_AS_A_WHOLE,
    )
    cam_threshold: float = Field(
        0.95, gt=0, lt=1, description="A CAM box holds the pixels above this share of the map's range (4.1)."
    )
    offset: int = Field(
        80,
        ge=0,
        le=MOST_SIDE,
        description="A view reaches this far beyond the CAM box, pixels of the frame (4.1).",
    )
    frame: int = Field(
        640, ge=32, le=MOST_SIDE, description="Side of the square frame in which boxes are cut, pixels (4.1)."
    )
    box: Literal["extent", "first_last"] = Field(
        "extent", description="first_last is the code's: first and last pixel in row order."
    )


class LabelSettings(Section):
    title = "Labels"

    update: bool = Field(True, description="Update the labels with local views after warm-up (3.2).")
    alpha: float = Field(
        0.4, ge=0, le=1, description="Weight of the initial label in the final label (Eq. 7)."
    )
    clamp_local: bool = Field(
        True,
        description="Clamp debiased local labels to 1 before mixing (Eq. 5-7); the code clamps only the mix.",
    )
    views_required: bool = Field(
        True, description="An image without views keeps its initial label; the code mixes in floor / bias."
    )


class TrainingSettings(Section):
    title = "Training"

    epochs: int = Field(10, ge=1, le=10**6, description="Epochs in all, warm-up included (4.1).")
    warmup_epochs: int = Field(2, ge=0, le=10**6, description="Epochs on the initial labels (4.1).")
    batch_size: int = Field(
        16, ge=1, le=MOST_BATCH, description="Images a step (4.1), in all where several devices share them."
    )
    warmup_on: Literal["one", "all"] = Field(
        "one",
        description="With several devices. one: a single one warms up, so that the labels are one "
        "device's to the bit; all: faster.",
    )
    optimizer: Literal["adam", "adamw"] = Field(
        "adam", description="Optimiser (code: adam). adamw: for backbones that are trained with decay."
    )
    learning_rate: float = Field(1e-5, gt=0, le=1e3, description="Learning rate of the backbone (4.1).")
    head_factor: float = Field(
        10.0, gt=0, le=1e6, description="The last layer learns this many times faster (code)."
    )
    weight_decay: float = Field(
        0.0, ge=0, le=1e3, description="Weight decay, mostly with adamw (none in paper or code)."
    )
    schedule: Literal["constant", "cosine"] = Field("constant", description="Learning rate over the epochs.")
    beta: float = Field(
        1.0, ge=0, le=1e6, description="Weight of the consistency loss after warm-up (Eq. 8)."
    )
    jitter: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Strength of the strong copy's jitter of brightness, contrast, saturation and hue "
        "(code: 0.5).",
    )
    shared_flip: bool = Field(
        True, description="Weak and strong copy are flipped alike; the code flips them independently."
    )
    keep: Literal["first_local_minimum", "first_local_minimum_of_all", "last"] = Field(
        "first_local_minimum",
        description="Which epoch's model is kept: the first local minimum of the gain in train-label mAP "
        "after the labels were updated (4.1), or of all gains, that of the update included (code), or the "
        "last.",
    )
    positive_label: float = Field(
        1.0,
        gt=0,
        le=1,
        description="A training label counts as positive for that mAP from this value on (code: 1).",
    )


class CCDConfig(Section):
    """The settings of one run. `CCDConfig.preset("paper")` is the default."""

    preset_name: str = Field("paper", description="The preset these settings started from.")
    seed: int = Field(0, ge=0, le=MOST_SEED, description="Seed of everything random.")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:N, or several: cuda:0,1 or cuda:all.")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="auto: bf16 where the device is fast at it."
    )
    data: DataSettings = Field(default_factory=DataSettings)
    clip: ClipSettings = Field(default_factory=ClipSettings)
    bias: BiasSettings = Field(default_factory=BiasSettings)
    none_images: NoneImageSettings = Field(default_factory=NoneImageSettings)
    classifier: ClassifierSettings = Field(default_factory=ClassifierSettings)
    views: ViewSettings = Field(default_factory=ViewSettings)
    labels: LabelSettings = Field(default_factory=LabelSettings)
    training: TrainingSettings = Field(default_factory=TrainingSettings)

    @classmethod
    def preset(cls, name: str, dataset: str | None = None) -> CCDConfig:
        """Settings of preset `name` (demo, paper, reference or best) for the data set of spec `dataset`.

        Raises UserError for any other name.

        >>> CCDConfig.preset("paper", "nuswide:/data/NUS-WIDE").clip.prompt
        'a photo of a {}'
        """
        if name not in PRESETS:
            raise UserError(f"There is no preset {name!r}; the presets are {', '.join(PRESETS)}.")
        spec = dataset or ("demo" if name == "demo" else "voc2012:VOCdevkit")
        values = _merge({"preset_name": name, "data": {"spec": spec}}, PRESET_VALUES[name])
        return build(_merge(values, FOR_DATASET.get((name, spec.partition(":")[0]), {})))

    @classmethod
    def from_yaml(cls, path: str | Path) -> CCDConfig:
        """Read a settings file. Raises UserError if it is not valid."""
        return load_config(config_file=path)

    def to_yaml(self) -> str:
        """All settings as YAML."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

    def explained(self) -> str:
        """All settings as YAML, each below a comment with its meaning. `load_config` reads an edited copy."""
        return "\n".join(_commented(self))

    def changed(self, **sections: Any) -> CCDConfig:
        """A validated copy with nested changes, as in `config.changed(labels={"alpha": 0.2}, seed=1)`."""
        return build(_merge(self.model_dump(), sections))

    def named_paths(self) -> list[tuple[str, str]]:
        """(setting, path) of all settings that name a file or folder. A data set may name two.

        The names of models of open_clip, torchvision, timm and the hub are not paths.
        """
        found = [("data.spec", path) for path in split_place(self.data.spec.partition(":")[2]) if path]
        if self.data.classes:
            found.append(("data.classes", str(self.data.classes)))
        if self.clip.model.startswith("local-dir:"):
            found.append(("clip.model", self.clip.model.removeprefix("local-dir:")))
        tag = self.clip.pretrained or ""
        if Path(tag).suffix or "/" in tag or os.path.lexists(tag):
            found.append(("clip.pretrained", tag))
        if self.classifier.weights not in (None, "imagenet"):
            found.append(("classifier.weights", str(self.classifier.weights)))
        return found

    def without_paths(self) -> CCDConfig:
        """A copy for a shared run, which names no file of this machine."""
        named = dict(self.named_paths())
        kind = self.data.spec.partition(":")[0]
        data: dict[str, Any] = {"classes": None}
        clip: dict[str, Any] = {}
        if "data.spec" in named:
            data["spec"] = f"{kind}:{TAKEN_OUT}"
        if "clip.model" in named:
            clip["model"] = f"local-dir:{TAKEN_OUT}"
        if "clip.pretrained" in named:
            clip["pretrained"] = TAKEN_OUT
        classifier = {"weights": TAKEN_OUT} if "classifier.weights" in named else {}
        return self.changed(data=data, clip=clip, classifier=classifier)

    def with_absolute_paths(self) -> CCDConfig:
        """A copy with absolute paths, so that a run's folder does not depend on the current folder."""
        kind, _, place = self.data.spec.partition(":")
        name, _, folder = self.clip.model.partition(":")
        pretrained = self.clip.pretrained
        weights = self.classifier.weights
        data: dict[str, Any] = {}
        clip: dict[str, Any] = {}
        classifier: dict[str, Any] = {}
        if place:
            data["spec"] = f"{kind}:{absolute_place(place) if kind == 'coco' else _absolute(place)}"
        if self.data.classes is not None:
            data["classes"] = _absolute(self.data.classes)
        if name == "local-dir" and folder:
            clip["model"] = f"{name}:{_absolute(folder)}"
        if pretrained and Path(pretrained).expanduser().exists():  # otherwise it is a tag of open_clip
            clip["pretrained"] = _absolute(pretrained)
        if weights not in (None, "imagenet"):
            classifier["weights"] = _absolute(weights)
        return self.changed(data=data, clip=clip, classifier=classifier)


def _absolute(path: str | Path) -> str:
    return os.path.abspath(Path(path).expanduser())


def _commented(section: BaseModel, indent: str = "") -> Iterator[str]:
    """The lines of `CCDConfig.explained`."""
    values = section.model_dump(mode="json")
    for name, field in type(section).model_fields.items():
        if not indent and isinstance(inner := getattr(section, name), Section):
            yield f"\n{name}:"
            yield from _commented(inner, "  ")
        else:
            yield f"{indent}# {field.description}"
            text = yaml.safe_dump({name: values[name]}, sort_keys=False, allow_unicode=True)
            yield from (indent + line for line in text.splitlines())


def build(values: dict[str, Any]) -> CCDConfig:
    """Validate settings. Raises one UserError with a sentence for every wrong setting."""
    try:
        return CCDConfig.model_validate(values)
    except ValidationError as error:
        raise UserError("; ".join(_sentence(problem) for problem in error.errors())) from None


def setting_name(problem: Any) -> str:
    """The dotted name of the setting that an error of pydantic is about."""
    kinds = ("float", "MeanViews", "SearchedViews", "str", "list[str]")  # of values, not names of settings
    return ".".join(str(part) for part in problem["loc"] if part not in kinds)


def _sentence(problem: Any) -> str:
    name = setting_name(problem)
    if problem["type"] == "extra_forbidden":
        return f"there is no setting {name}; `ccd settings` lists them"
    said = problem["msg"].removeprefix("Value error, ").lower()
    return f"setting {name}: {said} (got {_shown(problem['input'])})"


def _shown(value: Any) -> str:
    """A wrong value, shortened to fit into a sentence."""
    try:
        text = repr(value)
    except ValueError:  # a number of more digits than Python prints
        return "a number of thousands of digits"
    return text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + "..."


def differences(one: CCDConfig, other: CCDConfig) -> list[str]:
    """Names of the settings in which two configurations differ."""

    def flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
        for key, value in values.items():
            if isinstance(value, dict):
                yield from flat(value, f"{prefix}{key}.")
            else:
                yield prefix + key, value

    first = dict(flat(one.model_dump(mode="json")))
    second = dict(flat(other.model_dump(mode="json")))
    return [key for key in {**first, **second} if first.get(key) != second.get(key)]


def load_config(
    preset: str | None = None,
    config_file: str | Path | None = None,
    changes: list[str] | None = None,
    dataset: str | None = None,
    classes: str | Path | None = None,
) -> CCDConfig:
    """Combine a preset, a settings file, changes such as `section.key=value`, and a data set.

    Each overrides the ones before it. The preset may depend on the data set. Raises UserError if something is
    not a setting or has a wrong value.
    """
    given: dict[str, Any] = {}
    if config_file is not None:
        given = _settings_in(Path(config_file))
        given.pop("recorded", None)
        if preset is None and given.get("preset_name") in PRESETS:
            preset = given["preset_name"]
    for change in changes or []:
        given = _merge(given, _parse_change(change))
    place = {"spec": dataset} if dataset else {}
    given = _merge(given, {"data": place | ({"classes": str(classes)} if classes else {})})
    spec = given["data"].get("spec") if isinstance(given["data"], dict) else None
    base = CCDConfig.preset(preset or "paper", spec if isinstance(spec, str) else None)
    return build(_merge(base.model_dump(), given))


def _settings_in(path: Path) -> dict[str, Any]:
    loaded = read_yaml(path)
    if not isinstance(loaded, dict):
        raise UserError(f"The settings file {path} holds no settings; write lines such as `seed: 1`.")
    return loaded


def _parse_change(change: str) -> dict[str, Any]:
    key, separator, text = change.partition("=")
    parts = key.strip().split(".")
    if not separator or not all(parts):
        raise UserError(f"--set takes KEY=VALUE, for example labels.alpha=0.2, and got {_shown(change)}.")
    if len(parts) > MOST_PARTS:
        raise UserError(f"there is no setting {_shown(key)}; `ccd settings` lists them")
    try:
        value: Any = parse_yaml(text)
    except NotYaml as error:
        raise UserError(f"The value in --set {_shown(change)} is not YAML: {error}") from None
    if isinstance(value, str):
        value = _number(value)
    for part in reversed(parts):
        value = {part: value}
    return value


def _number(text: str) -> str | float:
    """The number that `text` stands for, if any. YAML reads 1e-4 as text."""
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


def _merge(
    base: dict[str, Any], changes: dict[str, Any], section: type[BaseModel] | None = CCDConfig
) -> dict[str, Any]:
    """`base` with nested `changes`. Both are settings of `section`, or one setting's value if it is None."""
    merged = dict(base)
    for key, value in changes.items():
        field = section.model_fields.get(key) if section else None
        is_whole = field is not None and field.json_schema_extra == REPLACED_AS_A_WHOLE
        if isinstance(value, dict) and isinstance(merged.get(key), dict) and not is_whole:
            merged[key] = _merge(merged[key], value, _section_of(field))
        else:
            merged[key] = value
    return merged


def _section_of(field: FieldInfo | None) -> type[BaseModel] | None:
    """The section that a field of `CCDConfig` holds, or None for the field of a single setting."""
    kind = field.annotation if field else None
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None
