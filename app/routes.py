"""What the app's pages get over HTTP without being run again: images, and how far CLIP was asked about one.

`/thumb/RUN/IMAGE?size=240` takes names, never paths: the run is looked up among those that the app shows, the
image among those of the run's data set, and whatever is not there is not found. The browser keeps what it
got; pages show hundreds of images without a rerun carrying them. `/asked/TOKEN` knows the token of one
session's page, which says nothing of the run, and answers with numbers.

The app may be a part of a site, below a path: one that it is told (`ccd app --base-path`), or one that a
proxy takes off. Addresses in pages therefore begin where the browser has the app.
"""

from __future__ import annotations

from urllib.parse import quote, unquote, urlsplit

import anyio.to_thread
import streamlit as st
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from streamlit.runtime.scriptrunner import get_script_run_ctx

from ccd_core.errors import UserError

NOT_KEPT = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
SIZES = (160, 240, 320, 640, 960)  # longer sides that are served; few, so that a cache is hit
HEADERS = {
    "Cache-Control": "private, max-age=60",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


# Pages of the app as they stand in its addresses; the first page has none.
PAGES = ("clip_bias", "cam_boxes", "labels", "view_lab", "results", "compare", "predict", "train")


def base_path() -> str:
    """The path below which the browser that shows this page has the app, without a slash at its end."""
    url = st.context.url if get_script_run_ctx(suppress_warning=True) else None
    if not url:
        told = st.get_option("server.baseUrlPath").strip("/")
        return f"/{told}" if told else ""
    here = unquote(urlsplit(url).path).rstrip("/")
    above, _, last = here.rpartition("/")
    return quote(above if last in PAGES else here)


def image_url(run_name: str, image: str, size: int = 240) -> str:
    """Where the browser finds an image of a run, no larger than the next of `SIZES`."""
    return f"{base_path()}/thumb/{quote(run_name, safe='')}/{quote(image)}?size={size}"


async def thumb(request: Request) -> Response:
    from app.reading import images  # here: this module is imported before Streamlit's caches can be made

    try:
        asked = int(request.query_params.get("size", SIZES[1]))
    except ValueError:
        return PlainTextResponse("size is a number of pixels", 400, HEADERS)
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
        return PlainTextResponse(str(error), 404, NOT_KEPT)
    return Response(content, media_type="image/jpeg", headers=HEADERS | {"ETag": tag})


def asked_url(token: str) -> str:
    return f"{base_path()}/asked/{token}"


async def asked(request: Request) -> Response:
    from app.reading.asking import clip_queue

    told = await anyio.to_thread.run_sync(clip_queue.poll, request.path_params["token"])
    if told is None:
        return PlainTextResponse("this page is gone", 404, NOT_KEPT)
    return JSONResponse(told, headers=NOT_KEPT)


def routes(base: str = "") -> list[Route]:
    """The routes of an app at `base`, a path without slashes at its ends."""
    at = f"/{base.strip('/')}" if base.strip("/") else ""
    return [
        Route(at + "/thumb/{run}/{image:path}", thumb, methods=["GET"]),
        Route(at + "/asked/{token}", asked, methods=["GET"]),
    ]


ROUTES = routes()
