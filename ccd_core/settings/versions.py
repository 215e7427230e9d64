"""Settings of runs of earlier and newer versions: what a missing setting means in a run's config.yaml.

A run keeps all its settings. One that is missing was lost, or is newer than the run. A lost one has the value
of the run's preset, never a general default: the learning rate of the demo is a hundred times the paper's.
One that is newer than the run has its default, which computes what the run's own version did. Where the
default computes something else, `FORMER` has the value that does.
"""

from __future__ import annotations

from typing import Any

VERSION = 2  # of config.yaml. Files of version 1 do not say so.

# The settings of version 1, by section. "" has those outside of sections.
OF_VERSION_1 = {
    "bias": "entropy_threshold floor mode",
    "classifier": "backbone backbone_options cam_boost cam_size image_size weights",
    "clip": "batch_size model names normalisation pretrained probabilities prompt round_to size",
    "data": "cache_gb classes spec workers",
    "": "device precision preset_name seed",
    "labels": "alpha clamp_local update views_required",
    "none_images": "filter threshold",
    "training": "batch_size beta epochs head_factor jitter keep learning_rate optimizer positive_label "
    "schedule shared_flip warmup_epochs warmup_on weight_decay",
    "views": "box cam_threshold frame offset policy threshold",
}

# Settings newer than version 1 whose default is not what runs without them did, and what those did.
FORMER: dict[str, Any] = {"clip.fold_norms": False, "classifier.fold_norms": False}


def with_former(values: dict[str, Any]) -> dict[str, Any]:
    """The settings of a run's file, and those of `FORMER` that it does not name."""
    completed = dict(values)
    for name, value in FORMER.items():
        section, _, key = name.rpartition(".")
        part = completed.get(section)
        if isinstance(part, dict) and key not in part:
            completed[section] = part | {key: value}
    return completed


def of_version_1() -> list[str]:
    """The dotted names of the settings that every run has, whatever its version."""
    return [
        f"{section}.{name}" if section else name
        for section, names in OF_VERSION_1.items()
        for name in names.split()
    ]


def lost_settings(values: dict[str, Any]) -> list[str]:
    """The dotted names of settings that a run's file should have and does not."""
    return [name for name in of_version_1() if not _has(values, name)]


def with_lost(values: dict[str, Any], lost: list[str], preset: dict[str, Any]) -> dict[str, Any]:
    """`values` with the settings `lost`, which have the preset's values."""
    completed = {key: dict(part) if isinstance(part, dict) else part for key, part in values.items()}
    for name in lost:
        section, _, key = name.rpartition(".")
        if not section:
            completed[key] = preset[key]
        else:
            completed.setdefault(section, {})[key] = preset[section][key]
    return completed


def _has(values: dict[str, Any], name: str) -> bool:
    section, _, key = name.rpartition(".")
    part = values.get(section, {}) if section else values
    # A section that is no mapping is refused where the settings are checked.
    return not isinstance(part, dict) or key in part
