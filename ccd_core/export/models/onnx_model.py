"""The classifier as an ONNX file: dynamic batch, normalisation in the graph, class maps as second output."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ccd_core.errors import UserError, first_line
from ccd_core.export.formats import Export
from ccd_core.export.models.model import PREPROCESSING, pixel_classifier, preprocessing
from ccd_core.files import write_json
from ccd_core.runs.provenance import own_version

log = logging.getLogger("ccd")
FILE = "model.onnx"
OPSET = 18  # the oldest that torch's exporter writes without converting down; runtimes of 2023 read it
LARGEST = 1_900_000_000  # bytes; protobuf holds less than 2 GiB, so larger weights go to a file beside it


def write(export: Export, folder: Path) -> None:
    """Write model.onnx and preprocessing.json. Raises UserError where a backbone has no ONNX form."""
    model, pixels = pixel_classifier(export)
    facts = preprocessing(export)
    try:
        with _quiet():
            program: Any = torch.onnx.export(
                model,
                (pixels,),
                dynamo=True,
                input_names=["pixels"],
                output_names=["logits", "cam"],
                dynamic_shapes={"pixels": {0: "batch"}},
                opset_version=OPSET,
                verbose=False,
            )
    except Exception as error:  # the exporter raises its own kinds, which differ by version
        log.debug("the ONNX export failed", exc_info=True)
        backbone = export.run.config.classifier.backbone
        raise UserError(
            f"The backbone {backbone} of run {export.run.name} cannot be written as ONNX by torch "
            f"{torch.__version__}: {first_line(error)}; `--to torch` writes it as a torch.export program."
        ) from None
    metadata = {
        "ccd": own_version(),
        "run": export.run.name,
        "preprocessing": facts["input"],
        "outputs": facts["outputs"],
        "classes": facts["classes"],
        "thresholds": facts["thresholds"],
    }
    for key, value in metadata.items():
        program.model.metadata_props[key] = value if isinstance(value, str) else json.dumps(value)
    program.model.producer_name = "ccd"
    program.model.producer_version = own_version()
    size = sum(value.nbytes for value in [*model.parameters(), *model.buffers()])
    program.save(folder / FILE, external_data=size > LARGEST)
    write_json(folder / PREPROCESSING, facts | {"opset": OPSET, "torch": torch.__version__})


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's progress and advice, which are for those who write models."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
