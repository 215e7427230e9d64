"""All settings of a run: presets, YAML files, and changes such as `labels.alpha=0.2`.

The package `settings` has the sections with their meanings, units and limits, and the presets' values.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError
from pydantic.fields import FieldInfo

from ccd_core.errors import UserError
from ccd_core.paths import absolute_place, split_place
from ccd_core.settings.presets import FOR_DATASET, PRESET_VALUES
from ccd_core.settings.recipes import own_recipe
from ccd_core.settings.sections import (
    MOST_SEED,
    REPLACED_AS_A_WHOLE,
    BiasSettings,
    ClassifierSettings,
    ClipSettings,
    DataSettings,
    LabelSettings,
    MethodSettings,
    NoneImageSettings,
    PredictSettings,
    Section,
    TrainingSettings,
    ViewSettings,
)
from ccd_core.settings.versions import lost_settings, with_former, with_lost
from ccd_core.yaml_files import NotYaml, parse_yaml, read_yaml

PRESETS = tuple(PRESET_VALUES)

TAKEN_OUT = "taken-out"  # replaces the paths of this machine in the settings of a shared run
MOST_PARTS = 4  # of a setting's name, such as views.threshold.mean_views
MOST_NAMED = 5  # unknown settings in a sentence
MOST_SHOWN = 80  # a sentence repeats at most so many characters of a wrong value


class CCDConfig(Section):
    """The settings of one run. `CCDConfig.preset("paper")` is the default."""

    preset_name: str = Field("paper", description="The preset these settings started from.")
    seed: int = Field(0, ge=0, le=MOST_SEED, description="Seed of everything random.")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:N, or several: cuda:0,1 or cuda:all.")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="auto: bf16 where the device is fast at it."
    )
    method: MethodSettings = Field(default_factory=MethodSettings)
    data: DataSettings = Field(default_factory=DataSettings)
    clip: ClipSettings = Field(default_factory=ClipSettings)
    bias: BiasSettings = Field(default_factory=BiasSettings)
    none_images: NoneImageSettings = Field(default_factory=NoneImageSettings)
    classifier: ClassifierSettings = Field(default_factory=ClassifierSettings)
    views: ViewSettings = Field(default_factory=ViewSettings)
    labels: LabelSettings = Field(default_factory=LabelSettings)
    training: TrainingSettings = Field(default_factory=TrainingSettings)
    predict: PredictSettings = Field(default_factory=PredictSettings)

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

    def with_method(self, name: str, recipe: str = "common") -> CCDConfig:
        """A copy for another method; with recipe `own`, its authors' training settings replace these.

        Raises UserError if there is no such method or recipe.
        """
        own = own_recipe(name, self.data.spec.partition(":")[0]) if recipe == "own" else {}
        return build(
            _merge(
                _merge(self.model_dump(), own), {"method": {"name": name, "recipe": recipe, "options": {}}}
            )
        )

    @property
    def blends(self) -> bool:
        """Whether CLIP has a share in the scores that a run predicts; other methods than CCD give it none."""
        return self.method.is_ccd and self.predict.blend > 0

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


def build_recorded(values: dict[str, Any]) -> tuple[CCDConfig, list[str]]:
    """The settings in a run's config.yaml, and the names of those that were lost and have the preset's value.

    Raises UserError as `build` does, and for settings of a newer version.
    """
    values = dict(values)
    version = values.pop("version", 1)
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise UserError(f"setting version: a whole number from 1 (got {_shown(version)})")
    lost = lost_settings(values)
    if lost:
        data = values.get("data")
        spec = data.get("spec") if isinstance(data, dict) else None
        name = values.get("preset_name")
        preset = CCDConfig.preset(
            name if isinstance(name, str) and name in PRESETS else "paper",
            spec if isinstance(spec, str) else None,
        )
        values = with_lost(values, lost, preset.model_dump(mode="json"))
    values = with_former(values)
    try:
        return CCDConfig.model_validate(values), lost
    except ValidationError as error:
        problems = error.errors()
        unknown = [setting_name(problem) for problem in problems if problem["type"] == "extra_forbidden"]
        if not unknown:
            raise UserError("; ".join(map(_sentence, problems))) from None
        more = f" and {len(unknown) - MOST_NAMED} more" if len(unknown) > MOST_NAMED else ""
        raise UserError(
            "its settings are of a newer ccd than this one, which does not know "
            f"{', '.join(map(_shown_name, unknown[:MOST_NAMED]))}{more}; update ccd, or remove what is "
            "unknown from its config.yaml."
        ) from None


def _shown_name(name: str) -> str:
    return name if len(name) <= MOST_SHOWN else name[:MOST_SHOWN] + "..."


def setting_name(problem: Any) -> str:
    """The dotted name of the setting that an error of pydantic is about."""
    # The kinds of values that a setting may have are no part of its name.
    kinds = ("int", "float", "MeanViews", "SearchedViews", "str", "list[str]")
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
        given.pop("version", None)  # what is missing has the preset's value anyway
        if preset is None and given.get("preset_name") in PRESETS:
            preset = given["preset_name"]
    given = _merge(given, nested_changes(changes or []))
    place = ({"spec": dataset} if dataset else {}) | ({"classes": str(classes)} if classes else {})
    if place:
        given = _merge(given, {"data": place})
    data = given.get("data")
    spec = data.get("spec") if isinstance(data, dict) else None
    base = CCDConfig.preset("paper" if preset is None else preset, spec if isinstance(spec, str) else None)
    chosen = given.get("method")
    if isinstance(chosen, dict) and chosen.get("recipe") == "own":
        kind = base.data.spec.partition(":")[0]
        return build(_merge(_merge(base.model_dump(), own_recipe(str(chosen.get("name")), kind)), given))
    return build(_merge(base.model_dump(), given))


def _settings_in(path: Path) -> dict[str, Any]:
    loaded = read_yaml(path)
    if not isinstance(loaded, dict):
        raise UserError(f"The settings file {path} holds no settings; write lines such as `seed: 1`.")
    return loaded


def nested_changes(changes: Sequence[str]) -> dict[str, Any]:
    """Changes such as ["labels.alpha=0.2"] as {"labels": {"alpha": 0.2}}; the later one wins.

    Raises UserError for what is no change.
    """
    given: dict[str, Any] = {}
    for change in changes:
        given = _merge(given, _parse_change(change))
    return given


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
    """`base` with nested `changes`. Both are settings of `section`, or one setting's value if it is None.

    Raises UserError where `base` has one value in place of a section.
    """
    merged = dict(base)
    for key, value in changes.items():
        field = section.model_fields.get(key) if section else None
        is_whole = field is not None and field.json_schema_extra == REPLACED_AS_A_WHOLE
        if _section_of(field) and key in merged and not isinstance(merged[key], dict):
            raise UserError(f"setting {key}: it has settings of its own below it (got {_shown(merged[key])})")
        if isinstance(value, dict) and isinstance(merged.get(key), dict) and not is_whole:
            merged[key] = _merge(merged[key], value, _section_of(field))
        else:
            merged[key] = value
    return merged


def _section_of(field: FieldInfo | None) -> type[BaseModel] | None:
    """The section that a field of `CCDConfig` holds, or None for the field of a single setting."""
    kind = field.annotation if field else None
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None
