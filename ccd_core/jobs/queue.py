"""Jobs for one device wait for each other, in the order in which they were started, without a daemon.

Each device has a file lock, which the system frees when its holder dies. File locks are not first come, first
served, so every job also takes a numbered ticket. It tries the locks of its devices only when no older living
ticket wants one of them. Tickets and locks lie in a folder of this user and this machine. The temporary
folder will not do: it is cleaned while long runs go on.
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ccd_core.files import write_json
from ccd_core.machine.processes import process_alive, process_facts
from ccd_core.paths import home, private_folder

POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Ticket:
    number: int
    devices: tuple[str, ...]
    run: Path
    process: dict[str, Any]


def queue_folder() -> Path:
    folder = private_folder(home() / "queue" / socket.gethostname())
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def tickets() -> list[Ticket]:
    """The jobs that work or wait on this machine, oldest first."""
    found = []
    for path in sorted(queue_folder().glob("*.ticket")):
        with contextlib.suppress(OSError, ValueError, KeyError):
            values = json.loads(path.read_text())
            if process_alive(values["process"]):
                found.append(
                    Ticket(int(path.stem), tuple(values["devices"]), Path(values["run"]), values["process"])
                )
    return found


def ahead_of(run: Path, line: list[Ticket] | None = None) -> list[Ticket]:
    """The tickets that the run at `run` waits for: older ones that want one of its devices.

    Empty where the run has no ticket or is next.
    """
    line = tickets() if line is None else line
    own = next((ticket for ticket in line if ticket.run == run), None)
    if own is None:
        return []
    return [one for one in line if one.number < own.number and set(one.devices) & set(own.devices)]


def take_ticket(run: Path, devices: tuple[str, ...], pid: int) -> Ticket:
    """A ticket for process `pid`, behind all there are; its own where it has one."""
    folder = queue_folder()
    process = process_facts(pid)
    with FileLock(folder / "tickets.lock"):
        line = tickets()
        own = next((ticket for ticket in line if ticket.process["pid"] == pid and ticket.run == run), None)
        if own:
            return own
        numbers = {ticket.number for ticket in line}
        for path in folder.glob("*.ticket"):  # of the dead
            if path.stem.isdigit() and int(path.stem) not in numbers:
                path.unlink(missing_ok=True)
        ticket = Ticket(max(numbers, default=0) + 1, devices, run, process)
        write_json(_file(ticket), {"devices": list(devices), "run": str(run), "process": process})
        return ticket


def _file(ticket: Ticket) -> Path:
    return queue_folder() / f"{ticket.number:08d}.ticket"


@contextmanager
def hold_devices(ticket: Ticket, waiting: Callable[[int], None]) -> Iterator[None]:
    """Wait for the ticket's devices, hold them, give them back; waiting(jobs before this one) is called now
    and then.
    """
    try:
        while True:
            ahead = ahead_of(ticket.run)
            with ExitStack() as locks:
                if not ahead and _acquire(ticket.devices, locks):
                    yield
                    return
            waiting(len(ahead))
            time.sleep(POLL_SECONDS)
    finally:
        _file(ticket).unlink(missing_ok=True)


def _acquire(devices: tuple[str, ...], locks: ExitStack) -> bool:
    """All of the devices' locks or none; in sorted order, so that two jobs never hold one each that the other
    wants.
    """
    for device in devices:
        lock = FileLock(queue_folder() / f"{device.replace(':', '-')}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            locks.close()
            return False
        locks.callback(lock.release)
    return True
