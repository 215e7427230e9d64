"""Uploaded images, kept in the workspace for a day under their content's name."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import streamlit as st

from app.reading import runs as loaders
from ccd_core.data.images import IMAGE_SUFFIXES
from ccd_core.errors import UserError
from ccd_core.files import write_atomic

MEGABYTES = 20  # most of one upload
DAY = 24 * 3600  # seconds after which a session's uploads go


def uploads_folder() -> Path:
    """Where this browser session's uploads go in the workspace, made with the first; those of yesterday's sessions are removed on the way."""
    root = loaders.workspace() / ".uploads"
    if "uploads_folder" not in st.session_state:
        st.session_state["uploads_folder"] = uuid4().hex
        with suppress(OSError):  # another session may be removing them, too
            for old in root.glob("*"):
                if time.time() - old.stat().st_mtime > DAY:
                    shutil.rmtree(old, ignore_errors=True)
    return root / st.session_state["uploads_folder"]


def keep_uploads(uploads: Sequence) -> dict[str, Path]:
    """Name -> file of the uploads, written to the session's folder under their content's name, so that a lost connection loses nothing."""
    folder = uploads_folder()
    kept: dict[str, Path] = {}
    written: dict[str, Path] = st.session_state.setdefault("written_uploads", {})
    for upload in uploads:
        suffix = Path(upload.name).suffix.lower()
        if upload.file_id not in written or not written[upload.file_id].exists():
            content = upload.getvalue()
            path = folder / (
                hashlib.blake2b(content, digest_size=16).hexdigest()
                + (suffix if suffix in IMAGE_SUFFIXES else "")
            )
            try:
                if not path.exists():
                    write_atomic(path, content)
            except OSError as error:
                raise UserError(f"Uploads cannot be kept in {folder}: {error.strerror}.") from None
            written[upload.file_id] = path
        path = written[upload.file_id]
        name, number = upload.name, 2
        while name in kept and kept[name] != path:
            name, number = f"{Path(upload.name).stem} ({number}){suffix}", number + 1
        kept[name] = path
    return kept
