"""The classifier as a program of `torch.export`: `torch.export.load("model.pt2")` needs torch alone."""

from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path

import torch

from ccd_core.errors import UserError, first_line
from ccd_core.export.formats import Export
from ccd_core.export.models.model import PREPROCESSING, pixel_classifier, preprocessing
from ccd_core.files import write_json

log = logging.getLogger("ccd")
FILE = "model.pt2"


def write(export: Export, folder: Path) -> None:
    """Write model.pt2, whose extra file preprocessing.json is also written beside it."""
    model, pixels = pixel_classifier(export)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(
                model, (pixels,), dynamic_shapes={"pixels": {0: torch.export.Dim("batch")}}
            )
    except Exception as error:  # the exporter raises its own kinds, which differ by version
        log.debug("torch.export failed", exc_info=True)
        backbone = export.run.config.classifier.backbone
        raise UserError(
            f"The backbone {backbone} of run {export.run.name} cannot be exported by torch "
            f"{torch.__version__}: {first_line(error)}; `--to huggingface` takes any backbone."
        ) from None
    facts = preprocessing(export) | {"torch": torch.__version__}
    torch.export.save(program, folder / FILE, extra_files={PREPROCESSING: json.dumps(facts)})
    write_json(folder / PREPROCESSING, facts)
