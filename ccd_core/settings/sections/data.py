"""The section `data`: the images, and how they are decoded and cached."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from ccd_core.settings.sections.base import Section


class DataSettings(Section):
    title = "Data set"

    spec: str = Field(
        "demo",
        description="Data set: demo, folder:DIR, imagefolder:ROOT, csv:FILE, "
        "coco:ANNOTATIONS.json[,IMAGES], voc:ROOT, yolo:ROOT, hf:ROOT, voc2007:ROOT, voc2012:ROOT, "
        "coco2014:ROOT or nuswide:ROOT.",
    )
    classes: Path | None = Field(
        None, description="File with one class name a line (folder:, csv: and hf: data sets only)."
    )
    workers: int = Field(
        -1,
        ge=-1,
        le=1024,
        description="Processes that decode images; -1: as many as keep up with the models, measured at the "
        "start, at most one for each core and 8.",
    )
    cache_gb: float = Field(
        8.0,
        ge=0,
        le=1e6,
        description="Decoded images are cached on disk, in $CCD_HOME, up to this size (GB); 0: none.",
    )
