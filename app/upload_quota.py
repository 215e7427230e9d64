"""How much may be uploaded at once: Streamlit holds uploads in the memory of the app, without a limit."""

from __future__ import annotations

import re

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.runtime import exists, get_instance
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager

MOST_OF_ONE = 2 * 10**9  # bytes of one browser session
MOST_OF_ALL = 6 * 10**9
UPLOAD = re.compile(r"/_stcore/upload_file/([^/]+)/[^/]+/?$")


class UploadQuota:
    """Refuses an upload that would take a session, or all of them together, beyond their limit."""

    def __init__(self, app: ASGIApp, most_of_one: int = MOST_OF_ONE, most_of_all: int = MOST_OF_ALL):
        self.app = app
        self.most_of_one = most_of_one
        self.most_of_all = most_of_all

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = UPLOAD.search(scope["path"]) if scope["type"] == "http" else None
        refusal = None
        if found and scope["method"] in ("PUT", "POST"):
            refusal = self._refusal(found[1], dict(scope["headers"]).get(b"content-length", b""))
        await (refusal or self.app)(scope, receive, send)

    def _refusal(self, session: str, length: bytes) -> PlainTextResponse | None:
        if not length.isdigit():
            return PlainTextResponse("An upload tells its length in Content-Length.", 411)
        of_one, of_all = held(session)
        if of_one + int(length) > self.most_of_one or of_all + int(length) > self.most_of_all:
            return PlainTextResponse(
                "More is uploaded than this app holds at once; remove some images, or wait until others have "
                "closed their pages.",
                413,
            )
        return None


def held(session: str) -> tuple[int, int]:
    """Bytes of the uploads that the app holds: of one session, and of all."""
    manager = get_instance().uploaded_file_mgr if exists() else None
    if not isinstance(manager, MemoryUploadedFileManager):
        return 0, 0
    sizes = {
        name: sum(len(record.data) for record in list(records.values()))
        for name, records in list(manager.file_storage.items())
    }
    return sizes.get(session, 0), sum(sizes.values())
