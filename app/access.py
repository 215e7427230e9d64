"""Who may use an app that other machines reach: whoever has the link with its token.

`ccd app --address 0.0.0.0 --token auto` prints the link. The first visit turns the token into a cookie; without either, no page, no
websocket and no image is served. On 127.0.0.1 there is no token and nothing of this is in the way.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from urllib.parse import parse_qs

from starlette.datastructures import URL
from starlette.middleware import Middleware
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

REFUSED = "This app asks for a token: open the link that `ccd app` printed when it was started (it ends in ?token=...)."


def cookie_name() -> str:
    """One a token: cookies do not tell ports apart, and two apps on one host must not sign each other out."""
    return "ccd_" + hashlib.sha256(os.environ["CCD_TOKEN"].encode()).hexdigest()[:12]


class TokenAccess:
    """Serves only requests that carry the token, as ?token= once and as a cookie from then on."""

    def __init__(self, app: ASGIApp, token: str):
        self.app, self.token = app, token

    def _is_token(self, said: str) -> bool:
        return hmac.compare_digest(said.encode(), self.token.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        cookies = cookie_parser(
            headers.get(b"cookie", "")
        )  # as browsers write them; those of other apps on this host are among them
        if self._is_token(cookies.get(cookie_name(), "")):
            await self.app(scope, receive, send)
            return
        said = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
        if scope["type"] == "http" and scope["method"] == "GET" and self._is_token(said):
            address = URL(scope=scope).remove_query_params("token")
            place = "/" + address.path.lstrip("/")  # never //another.host
            response = RedirectResponse(
                f"{place}?{address.query}".rstrip("?"), 303
            )  # the token stays in no address bar
            response.set_cookie(
                cookie_name(),
                self.token,
                httponly=True,
                samesite="lax",
                secure=scope["scheme"] == "https",
                max_age=30 * 86400,
            )
            response.headers["Referrer-Policy"] = "no-referrer"
            await response(scope, receive, send)
        elif scope["type"] == "http":
            await PlainTextResponse(REFUSED, 401)(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})


def middleware() -> list[Middleware]:
    """What stands before every page, websocket and route: nothing, or the token of this app."""
    token = os.environ.get("CCD_TOKEN")
    return [Middleware(TokenAccess, token=token)] if token else []
