"""What the app's pages get over HTTP without being run again: images, and how far CLIP has been asked about
one.

`/thumb/RUN/IMAGE?size=240` takes names, never paths: the run is looked up among those that the app shows, the
image among those of the run's data set, and whatever is not there is not found. The browser keeps what it
got; pages show hundreds of images without a rerun carrying them. `/asked/TOKEN` knows the token of one
session's page, which says nothing of the run, and answers with numbers.
"""

from __future__ import annotations

from urllib.parse import quote

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ccd_core.errors import UserError

SIZES = (160, 240, 320, 640, 960)  # longer sides that are served; few, so that a cache is hit
HEADERS = {
    "Cache-Control": "private, max-age=60",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def image_url(run_name: str, image: str, size: int = 240) -> str:
    """Where the browser finds an image of a run, no larger than the next of `SIZES`."""
    return f"/thumb/{quote(run_name, safe='')}/{quote(image)}?size={size}"


async def thumb(request: Request) -> Response:
    from app.reading import images  # here: this module is imported before Streamlit's caches can be made

    try:
        asked = int(request.query_params.get("size", SIZES[1]))
    except ValueError:
        return Response("size is a number of pixels", 400)
    size = next((size for size in SIZES if size >= asked), SIZES[-1])
    try:
        path, changed = await anyio.to_thread.run_sync(
            images.image_of, request.path_params["run"], request.path_params["image"]
        )
        tag = f'"{changed:x}-{size}"'
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=HEADERS | {"ETag": tag})
        content = await anyio.to_thread.run_sync(images.jpeg, path, size)
    except UserError as error:
        return Response(str(error), 404)
    return Response(content, media_type="image/jpeg", headers=HEADERS | {"ETag": tag})


def asked_url(token: str) -> str:
    return f"/asked/{token}"


async def asked(request: Request) -> Response:
    from app.reading import clip_queue

    told = await anyio.to_thread.run_sync(clip_queue.poll, request.path_params["token"])
    return (
        Response("this page is gone", 404)
        if told is None
        else JSONResponse(told, headers={"Cache-Control": "no-store"})
    )


ROUTES = [
    Route("/thumb/{run}/{image:path}", thumb, methods=["GET"]),
    Route("/asked/{token}", asked, methods=["GET"]),
]
