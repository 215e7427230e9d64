"""The app in a process of its own, asked over real connections."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
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
