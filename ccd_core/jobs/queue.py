"""The queue of jobs for each device, in the order in which they were started. It needs no daemon.

Each device has a file lock, which the system frees when its holder dies. Locks know no order, so every job
also takes a numbered ticket. It tries the locks of its devices only if no older living ticket wants one of
them. Tickets and locks lie in a folder of this user and this machine. The temporary folder is no place for
them, because it is cleaned while long runs go on.
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
from typing_extensions import TypedDict

from ccd_core.files import write_json
from ccd_core.machine.processes import process_alive, process_facts
from ccd_core.paths import home, private_folder
from ccd_core.runs.files.documents import Text, checked

POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Ticket:
    """The place of a job in the queue: its devices, its run's folder, and `process_facts` of its process."""

    number: int
    devices: tuple[str, ...]
    run: Path
    process: dict[str, Any]


class _TicketFile(TypedDict):
    devices: list[str]
    run: Text
    process: dict[str, Any]


def queue_folder() -> Path:
    """Where the tickets and locks of this user on this machine lie."""
    return home() / "queue" / socket.gethostname()


def tickets() -> list[Ticket]:
    """The jobs that run or wait on this machine, oldest first."""
    found = []
    for path in sorted(queue_folder().glob("*.ticket")):
        with contextlib.suppress(OSError, ValueError, RecursionError):  # a ticket that was just given back
            values = checked(_TicketFile, json.loads(path.read_text()))
            if process_alive(values["process"]):
                devices = tuple(values["devices"])
                found.append(Ticket(int(path.stem), devices, Path(values["run"]), values["process"]))
    return found


def ahead_of(run: Path, line: list[Ticket] | None = None) -> list[Ticket]:
    """The tickets that the run at `run` waits for: older ones that want one of its devices.

    line: all tickets, if the caller has them already. [] if the run has no ticket, or is next.
    """
    line = tickets() if line is None else line
    own = next((ticket for ticket in line if ticket.run == run), None)
    if own is None:
        return []
    return [one for one in line if one.number < own.number and set(one.devices) & set(own.devices)]


def take_ticket(run: Path, devices: tuple[str, ...], pid: int) -> Ticket:
    """A ticket for process `pid`, behind all others; the one it has already, if it has one."""
    folder = private_folder(queue_folder())
    folder.mkdir(parents=True, exist_ok=True)  # says so if it cannot be made
    process = process_facts(pid)
    with FileLock(folder / "tickets.lock"):
        line = tickets()
        own = next((ticket for ticket in line if ticket.process["pid"] == pid and ticket.run == run), None)
        if own:
            return own
        numbers = {ticket.number for ticket in line}
        for path in folder.glob("*.ticket"):  # of processes that have ended
            if path.stem.isdigit() and int(path.stem) not in numbers:
                path.unlink(missing_ok=True)
        ticket = Ticket(max(numbers, default=0) + 1, devices, run, process)
        write_json(_file(ticket), {"devices": list(devices), "run": str(run), "process": process})
        return ticket


def _file(ticket: Ticket) -> Path:
    return queue_folder() / f"{ticket.number:08d}.ticket"


@contextmanager
def hold_devices(ticket: Ticket, waiting: Callable[[int], None]) -> Iterator[None]:
    """Wait for the ticket's devices, hold them for the block, and give them back.

    waiting(ahead) is called every POLL_SECONDS, with the number of jobs ahead.
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
    """Take the locks of all devices, or of none.

    devices: sorted, so that two jobs never hold one each that the other wants.
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
