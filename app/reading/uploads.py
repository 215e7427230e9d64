"""Uploaded images, stored in the workspace for a day under a name made of their content.

The folder of a session has a name that nobody can guess, and no page reads it but that session's: it is the
one part of the workspace that `readable_folders.permitted` refuses.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import streamlit as st
from PIL import Image
from streamlit.runtime.uploaded_file_manager import UploadedFile

from app import state
from app.reading.readable_folders import UPLOADS, workspace
from ccd_core.data.decoding.formats import FORMATS
from ccd_core.data.decoding.images import IMAGE_SUFFIXES
from ccd_core.errors import UserError
from ccd_core.files import write_atomic
from ccd_core.paths import private_folder

MEGABYTES = 20  # most of one upload
MOST_PIXELS = 100_000_000  # of one upload: more than most cameras have
MOST_STORED = 5 * 10**9  # bytes of all sessions' uploads in the workspace
DAY = 24 * 3600  # seconds after which a session's uploads are removed


def uploads_folder() -> Path:
    """Where this browser session's uploads go in the workspace; it is made with the first one.

    The first upload of a session also removes those of sessions of the day before.
    """
    root = workspace() / UPLOADS
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
    too_large = [upload.name for upload in uploads if _pixels(upload) > MOST_PIXELS]
    if too_large:
        raise UserError(
            f"{', '.join(too_large[:3])}{' and others' if len(too_large) > 3 else ''}: an upload has at most "
            f"{MOST_PIXELS // 10**6} million pixels. Leave out or shrink "
            f"{'it' if len(too_large) == 1 else f'these {len(too_large)} images'}."
        )
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


def _pixels(upload: UploadedFile) -> int:
    """Pixels of an uploaded image as its header tells; 0 where that is no image, which is said later."""
    try:
        with Image.open(io.BytesIO(upload.getvalue()), formats=FORMATS) as image:
            return image.width * image.height
    except Image.DecompressionBombError:
        return MOST_PIXELS + 1
    except Exception:  # decoders raise nearly any exception on damaged files
        return 0


def _write(upload: UploadedFile, folder: Path) -> Path:
    content = upload.getvalue()
    suffix = Path(upload.name).suffix.lower()
    name = hashlib.blake2b(content, digest_size=16).hexdigest()
    path = folder / (name + (suffix if suffix in IMAGE_SUFFIXES else ""))
    try:
        private_folder(folder)
        if not path.exists():
            if _stored_bytes(folder.parent) + len(content) > MOST_STORED:
                raise UserError(
                    f"The uploads of this app take {MOST_STORED // 10**9} GB already; those of yesterday go "
                    "by themselves. Name a folder on this machine instead, or use `ccd predict`."
                )
            write_atomic(path, content)
    except OSError as error:
        raise UserError(f"Uploads cannot be stored in {folder}: {error.strerror}.") from None
    return path


def _stored_bytes(root: Path) -> int:
    total = 0
    for path in root.glob("*/*"):
        with suppress(OSError):
            total += path.stat().st_size
    return total
