"""Uploaded images, stored in the workspace for a day under a name made of their content."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from app import state
from app.reading.runs import workspace
from ccd_core.data.images import IMAGE_SUFFIXES
from ccd_core.errors import UserError
from ccd_core.files import write_atomic

MEGABYTES = 20  # most of one upload
DAY = 24 * 3600  # seconds after which a session's uploads are removed


def uploads_folder() -> Path:
    """Where this browser session's uploads go in the workspace; it is made with the first one.

    The first upload of a session also removes those of sessions of the day before.
    """
    root = workspace() / ".uploads"
    if state.UPLOADS_FOLDER not in st.session_state:
        st.session_state[state.UPLOADS_FOLDER] = uuid4().hex
        with suppress(OSError):  # another session may be removing them, too
            for old in root.glob("*"):
                if time.time() - old.stat().st_mtime > DAY:
                    shutil.rmtree(old, ignore_errors=True)
    return root / st.session_state[state.UPLOADS_FOLDER]


def store_uploads(uploads: Sequence[UploadedFile]) -> dict[str, Path]:
    """Name -> file of the uploads, written to the session's folder, so that a lost connection loses nothing.

    Two uploads of one name are told apart by a number. Raises UserError where they cannot be written.
    """
    folder = uploads_folder()
    stored: dict[str, Path] = {}
    written: dict[str, Path] = st.session_state.setdefault(state.UPLOADS_WRITTEN, {})
    for upload in uploads:
        if upload.file_id not in written or not written[upload.file_id].exists():
            written[upload.file_id] = _write(upload, folder)
        path = written[upload.file_id]
        name = upload.name
        number = 2
        while name in stored and stored[name] != path:
            name = f"{Path(upload.name).stem} ({number}){Path(upload.name).suffix.lower()}"
            number += 1
        stored[name] = path
    return stored


def _write(upload: UploadedFile, folder: Path) -> Path:
    content = upload.getvalue()
    suffix = Path(upload.name).suffix.lower()
    name = hashlib.blake2b(content, digest_size=16).hexdigest()
    path = folder / (name + (suffix if suffix in IMAGE_SUFFIXES else ""))
    try:
        if not path.exists():
            write_atomic(path, content)
    except OSError as error:
        raise UserError(f"Uploads cannot be stored in {folder}: {error.strerror}.") from None
    return path
