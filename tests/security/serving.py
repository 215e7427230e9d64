"""The app in a process of its own, asked over real connections."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support import free_port, listens, wait_for

WEBSOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@dataclass
class Served:
    """An app that runs: its port, its process, and what it has printed."""

    port: int
    process: subprocess.Popen
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def status(self, path: str, method: str = "GET", **headers: str) -> int:
        """The status that a request gets whose headers are exactly these, written `Sec_Fetch_Site="..."`."""
        return self.answer(path, method, **headers)[0]

    def answer(self, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
        """Status, and the rest of the answer: its headers and the beginning of its body."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"{method} {path} HTTP/1.1"] + [f"{name}: {value}" for name, value in named.items()]
        if "Upgrade" not in named:
            lines.append("Connection: close")
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
            told = b""
            # A websocket that was let in stays open after its first answer.
            while received := connection.recv(65536):
                told += received
                if "Upgrade" in named:
                    break
        return int(told.split()[1]), told.decode("latin-1")

    def handshake(self, path: str = "/_stcore/stream", **headers: str) -> int:
        """The status of a websocket's handshake: 101 where it is let in."""
        return self.status(
            path, **{name.replace("-", "_"): value for name, value in WEBSOCKET.items()}, **headers
        )


@contextmanager
def command_on(port: int, *arguments: str, log: Path, **environment: str) -> Iterator[Served]:
    """`ccd ARGUMENTS`, which listens on `port`, until the block ends."""
    with open(log, "w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "ccd_core.cli", *arguments, "--port", str(port)],
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=os.environ | environment,
        )
    try:
        wait_for(lambda: listens(port) or process.poll() is not None, 120, log.read_text)
        assert process.poll() is None, log.read_text()
        yield Served(port, process, log)
    finally:
        process.terminate()
        process.wait(timeout=30)


@contextmanager
def app_on(workspace: Path, *options: str, log: Path, **environment: str) -> Iterator[Served]:
    """`ccd app` on `workspace`, until the block ends."""
    arguments = ["app", "--no-browser", "--workspace", str(workspace), *options]
    with command_on(free_port(), *arguments, log=log, **environment) as served:
        yield served


@contextmanager
def proxy_to(port: int, prefix: str, strip: bool) -> Iterator[int]:
    """The port of a proxy that hands requests below `prefix` to `port`, with `prefix` in the path or without.

    Other paths are 404, as in a site of which the app is a part. The Host stays that of the proxy.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_accept, args=(server, port, prefix, strip), daemon=True).start()
        yield server.getsockname()[1]


def _accept(server: socket.socket, port: int, prefix: str, strip: bool) -> None:
    while True:
        try:
            client, _ = server.accept()
        except OSError:  # closed
            return
        threading.Thread(target=_forward, args=(client, port, prefix, strip), daemon=True).start()


def _forward(client: socket.socket, port: int, prefix: str, strip: bool) -> None:
    """One request and its answer, or a whole websocket."""
    with client, suppress(OSError):
        head = b""
        while b"\r\n\r\n" not in head:
            received = client.recv(65536)
            if not received:
                return
            head += received
        method, path, rest = head.decode("latin-1").split(" ", 2)
        if not path.startswith(prefix):
            client.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        if strip:
            path = "/" + path.removeprefix(prefix).removeprefix("/")
        if "upgrade: websocket" not in rest.lower():
            rest = re.sub(r"(?im)^connection:.*\r\n", "", rest).replace(
                "\r\n", "\r\nConnection: close\r\n", 1
            )
        with socket.create_connection(("127.0.0.1", port)) as app:
            app.sendall(f"{method} {path} {rest}".encode("latin-1"))
            threading.Thread(target=_pump, args=(client, app), daemon=True).start()
            _pump(app, client)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while received := source.recv(65536):
            target.sendall(received)
        target.shutdown(socket.SHUT_WR)
