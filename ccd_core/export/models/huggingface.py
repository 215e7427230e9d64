"""The classifier as a folder for the Hugging Face hub: weights, settings, and a model card.

`Predictor.from_pretrained(FOLDER_OR_HUB_ID)` opens it again (`ccd_core/predict/pretrained.py`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ccd_core.clip.teacher import IMAGENET_MEAN, IMAGENET_STD
from ccd_core.errors import UserError
from ccd_core.evaluation import thresholds
from ccd_core.export.formats import Export
from ccd_core.export.models.model_card import model_card
from ccd_core.files import write_json
from ccd_core.predict.pretrained import CONFIG, WEIGHTS
from ccd_core.runs.files.shared_files import require_own_file
from ccd_core.runs.provenance import own_version
from ccd_core.runs.run import BITS, Run
from ccd_core.settings.versions import VERSION

PILLOW_BILINEAR = 2


def write(export: Export, folder: Path) -> None:
    """Write model.safetensors, config.json, preprocessor_config.json, thresholds.json and README.md.

    Paths and the name of the machine are left out, because such a folder is made to be shared. Raises
    UserError where the run has no trained classifier.
    """
    from ccd_core.training.checkpoint import load_kept_weights, write_tensors

    run = export.run
    if not run.has("checkpoints", "best.safetensors"):
        raise UserError(
            f"Run {run.name} has no trained model yet (status {run.status}); let it finish, or resume it."
        )
    require_own_file(run.path, "checkpoints/best.safetensors")
    weights = load_kept_weights(run)
    write_tensors(folder / WEIGHTS, weights, {"format": "pt"})
    write_json(folder / CONFIG, _config(export))
    write_json(folder / "preprocessor_config.json", _preprocessor(run))
    thresholds.save(Run(folder, run.config, run.classes), export.thresholds)
    parameters = sum(value.numel() for name, value in weights.items() if "running_" not in name)
    (folder / "README.md").write_text(model_card(export, parameters), encoding="utf-8")


def _config(export: Export) -> dict[str, Any]:
    """config.json: what the hub and `from_pretrained` read."""
    run = export.run
    names = {str(number): name for number, name in enumerate(run.classes)}
    settings = {"version": VERSION} | run.config.without_paths().model_dump(mode="json")
    recorded = {key: value for key, value in run.recorded.items() if key not in ("host", "classes")}
    return json.loads(
        json.dumps(
            {
                "model_type": "ccd",
                "architectures": ["CamClassifier"],
                "problem_type": "multi_label_classification",
                "num_labels": len(names),
                "id2label": names,
                "label2id": {name: int(number) for number, name in names.items()},
                "image_size": run.config.classifier.image_size,
                "backbone": run.config.classifier.backbone,
                "torch_dtype": "float32",
                "ccd": {
                    "version": own_version(),
                    "run": run.name,
                    "settings": settings,
                    "recorded": recorded,
                    BITS: run.picture_bits,
                },
            },
            default=str,
        )
    )


def _preprocessor(run: Run) -> dict[str, Any]:
    """preprocessor_config.json in the words of `transformers`' image processors."""
    size = run.config.classifier.image_size
    return {
        "image_processor_type": "ViTImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"height": size, "width": size},
        "resample": PILLOW_BILINEAR,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(IMAGENET_MEAN),
        "image_std": list(IMAGENET_STD),
    }
