"""A classifier that was exported for the Hugging Face hub, in a folder or on the hub, opened as a run is."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

from ccd_core.config import build_recorded
from ccd_core.errors import UserError
from ccd_core.files import PARSER_ERRORS
from ccd_core.runs.run import BITS, Run

log = logging.getLogger("ccd")
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
FILES = (CONFIG, WEIGHTS, "thresholds.json", "export.json")  # all that is fetched from the hub
KEPT_WEIGHTS = ("checkpoints", "best.safetensors")  # of a run
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
HUB_SECONDS = 5  # how long the hub may take to answer


class PretrainedRun(Run):
    """An exported classifier: a `Run` that has settings, classes, thresholds and weights, and no more."""

    bits: object = None  # as config.json has it

    def _stored_bits(self) -> object:
        return self.bits

    def file(self, *parts: str) -> Path:
        return self.path / WEIGHTS if parts == KEPT_WEIGHTS else super().file(*parts)


def open_pretrained(place: str | Path, revision: str | None = None) -> PretrainedRun:
    """The exported classifier in a folder or on the hub.

    place: a folder, or NAME/MODEL on the hub. Raises UserError where there is neither.
    """
    folder = Path(place).expanduser()
    if not folder.is_dir():
        if not HUB_ID.fullmatch(str(place)):
            raise UserError(
                f"There is no folder {place}, and it is no id of the Hugging Face hub, such as NAME/MODEL."
            )
        folder = _from_hub(str(place), revision)
    if not (folder / CONFIG).is_file() or not (folder / WEIGHTS).is_file():
        raise UserError(
            f"{place} holds no {CONFIG} with {WEIGHTS}; `ccd export RUN --to huggingface` writes such a "
            "folder."
        )
    config = _read(folder / CONFIG, place)
    try:
        names = config["id2label"]
        classes = tuple(str(names[str(number)]) for number in range(len(names)))
        settings = dict(config["ccd"]["settings"])
    except PARSER_ERRORS:
        raise UserError(
            f"{place} is no model of ccd: its {CONFIG} has no settings of a run and names of its classes."
        ) from None
    try:
        known, lost = build_recorded(settings)
    except UserError as error:
        raise UserError(f"{place} cannot be opened: {error}") from None
    opened = PretrainedRun(folder, known, classes, lost)
    opened.bits = config["ccd"].get(BITS)
    return opened


def _read(path: Path, place: str | Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except PARSER_ERRORS:
        raise UserError(f"The {path.name} of {place} is damaged; export or download it again.") from None
    return value if isinstance(value, dict) else {}


def _from_hub(model: str, revision: str | None) -> Path:
    """The folder of a model of the hub, downloaded into the hub's cache or found there.

    The hub's client asks for a minute where there is no network. So the hub is asked once whether it answers;
    if it does not, only the cache is looked at.
    """
    from huggingface_hub import constants, snapshot_download

    offline = constants.HF_HUB_OFFLINE or not _answers(constants.ENDPOINT)
    try:
        return Path(
            snapshot_download(
                model,
                revision=revision,
                allow_patterns=list(FILES),
                local_files_only=offline,
                etag_timeout=HUB_SECONDS,
            )
        )
    except Exception as error:  # the hub raises many kinds, which differ by version
        log.debug("the hub failed", exc_info=True)
        if offline:
            raise UserError(
                f"The model {model} is no folder here, {constants.ENDPOINT} cannot be reached, and the hub's "
                "cache does not have it; download it where there is a network, and give the folder's path."
            ) from None
        text = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
        raise UserError(
            f"The model {model} could not be had from {constants.ENDPOINT}: {text.rstrip('.')}."
        ) from None


def _answers(endpoint: str) -> bool:
    from huggingface_hub.utils import get_session

    try:
        get_session().head(endpoint, timeout=HUB_SECONDS)
    except Exception:  # the client's own kinds, which changed between its versions
        return False
    return True
