"""Who may use an app that other machines reach: whoever has the link with its token.

`ccd app --address 0.0.0.0 --token auto` prints the link. The first visit turns the token into a cookie;
without either, no page, no websocket and no image is served. An app without a token serves everybody who
calls it by one of its names (hosts.py).
"""

from __future__ import annotations

import hashlib
import hmac
import os
from urllib.parse import parse_qs, quote, unquote, urlencode

import streamlit as st
from starlette.middleware import Middleware
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.hosts import HostCheck
from app.upload_quota import UploadQuota
from ccd_core.machine.host_names import given_names, own_names

REFUSED = (
    "This app asks for a token: open the link that `ccd app` printed when it was started "
    "(it ends in ?token=...)."
)
MONTH = 30 * 86400  # seconds that a browser keeps the cookie


def cookie_name() -> str:
    """One a token: cookies do not tell ports apart, and two apps on one host must not sign each other out."""
    return "ccd_" + hashlib.sha256(os.environ["CCD_TOKEN"].encode()).hexdigest()[:12]


class TokenAccess:
    """Serves only requests that carry the token, as ?token= once and as a cookie from then on."""

    def __init__(self, app: ASGIApp, token: str):
        self.app = app
        self.token = token

    def _is_token(self, said: str) -> bool:
        return hmac.compare_digest(said.encode(), self.token.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        said = query.pop("token", [""])[0]
        method = scope.get("method", "")
        if self._has_cookie(scope) or (method == "HEAD" and self._is_token(said)):
            await self.app(scope, receive, send)
        elif method == "GET" and self._is_token(said):
            await self._sign_in(query, scope, receive, send)
        elif scope["type"] == "http":
            await PlainTextResponse(REFUSED, 401)(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _has_cookie(self, scope: Scope) -> bool:
        """Whether the request has this app's cookie, among those of other apps on this host."""
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        cookies = cookie_parser(headers.get(b"cookie", ""))
        return self._is_token(unquote(cookies.get(cookie_name(), "")))

    async def _sign_in(self, query: dict[str, list[str]], scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the cookie, and with the same address without the token: no address bar keeps it."""
        response = RedirectResponse(_here(scope["path"], query), 303)
        response.set_cookie(
            cookie_name(),
            quote(self.token, safe=""),  # a cookie is ASCII
            httponly=True,
            samesite="lax",
            secure=scope["scheme"] == "https",
            max_age=MONTH,
        )
        response.headers["Referrer-Policy"] = "no-referrer"
        await response(scope, receive, send)


def _here(path: str, query: dict[str, list[str]]) -> str:
    """`path` with another query, as seen from `path` itself.

    It is relative, because a proxy may have taken a prefix off the path that the browser knows.
    """
    last = quote(path.rpartition("/")[2])
    return f"./{last}?{urlencode(query, doseq=True)}".removesuffix("?")


def middleware() -> list[Middleware]:
    """What stands before every page, websocket and route: names, the token if there is one, the quota."""
    token = os.environ.get("CCD_TOKEN")
    own = own_names(st.get_option("server.address") or "127.0.0.1")
    checks = [Middleware(HostCheck, own=own, named=given_names(), strict_ports=bool(token))]
    if token:
        checks.append(Middleware(TokenAccess, token=token))
    return [*checks, Middleware(UploadQuota)]
