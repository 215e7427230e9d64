"""By which names the app may be called: a web page of another name must not drive it.

A page from the internet can give its own name the address 127.0.0.1 (DNS rebinding). The browser then takes
this app for a part of that page and lets the page talk to it. The name is still in the request, in the
headers Host and Origin. So every request and every websocket is refused unless both are names of this app:

- localhost, 127.0.0.1 and [::1], with any port,
- the address that `ccd app --address` names; where that lets others in, this machine's own names too, and
  the address at which the connection arrived,
- the names of `ccd app --allowed-host NAME` and of $CCD_ALLOWED_HOSTS: those of a proxy in front.
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ccd_core.machine.host_names import LOOPBACK, host_and_port, ip_address


class HostCheck:
    """Serves only what is asked of one of the app's own names, by a page of one of these names.

    own: names under which the app is reached directly; a page of such a name must have the port that the
    request goes to, wherever that makes a difference: with a token (`strict_ports`), because cookies do not
    tell ports apart. named: names of proxies; the port of their pages is theirs.
    """

    def __init__(
        self, app: ASGIApp, own: Iterable[str], named: Iterable[str] = (), strict_ports: bool = False
    ):
        self.app = app
        self.own = frozenset(own)
        self.named = frozenset(named)
        self.strict_ports = strict_ports

    def _is_own(self, name: str, scope: Scope) -> bool:
        if name in self.own or name in self.named:
            return True
        address = ip_address(name)
        if address is None or self.own <= LOOPBACK:
            return False
        arrived_at, _ = scope.get("server") or ("", None)
        return address == ip_address(arrived_at)

    def _is_allowed_origin(self, origin: str, port: str, scope: Scope) -> bool:
        """Whether a page of `origin` may ask; `port` is the one in the request's Host."""
        scheme, _, place = origin.partition("://")
        found = host_and_port(place)
        if scheme not in ("http", "https") or found is None or not self._is_own(found[0], scope):
            return False
        return not self.strict_ports or found[1] == port or found[0] in self.named

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        hosts = _values(scope, b"host")
        origins = _values(scope, b"origin")
        found = host_and_port(hosts[0]) if len(hosts) == 1 else None
        if found is None:
            await _refuse("A request names one host, in its header Host.", scope, receive, send)
        elif not self._is_own(found[0], scope):
            name = found[0]
            await _refuse(
                f"This app does not answer to the name {name}. If people reach it by that name, start it "
                f"with `ccd app --allowed-host {name}`.",
                scope,
                receive,
                send,
            )
        elif len(origins) > 1 or not all(self._is_allowed_origin(each, found[1], scope) for each in origins):
            await _refuse(
                "This app does not answer to pages of another name. If a proxy in front of it has that name, "
                "start it with `ccd app --allowed-host NAME`.",
                scope,
                receive,
                send,
            )
        else:
            await self.app(_of_one_origin(scope, hosts[0]), receive, send)


def _of_one_origin(scope: Scope, host: str) -> Scope:
    """A websocket's scope whose Origin is its Host, as Streamlit wants it.

    A proxy may have changed one of the two. Both were checked; Streamlit, which knows nothing of the names
    given to this app, would ask a server on the internet for this machine's address.
    """
    if scope["type"] != "websocket" or not _values(scope, b"origin"):
        return scope
    scheme = _values(scope, b"origin")[0].partition("://")[0]
    others = [(name, value) for name, value in scope["headers"] if name != b"origin"]
    return {**scope, "headers": [*others, (b"origin", f"{scheme}://{host}".encode("latin-1"))]}


def _values(scope: Scope, header: bytes) -> list[str]:
    return [value.decode("latin-1") for name, value in scope["headers"] if name == header]


async def _refuse(sentence: str, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await PlainTextResponse(sentence, 403, {"X-Content-Type-Options": "nosniff"})(scope, receive, send)
    else:
        await send({"type": "websocket.close", "code": 1008})  # before the handshake: the answer is 403
