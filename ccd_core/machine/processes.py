"""Which process works on a run: whether it lives, that it is the only one, and how it is ended with all it
started.

A process is known by its pid AND the time it was created, on its host since that host's last boot: a reused
pid, a zombie and a rebooted machine are told apart from the process that was there. What another host does is
known by its heartbeat alone.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from ccd_core.errors import UserError
from ccd_core.paths import ROOT

HEARTBEAT_LOST = 120  # seconds after which a process of another host counts as dead
VMSTAT = Path("/proc/vmstat")  # the kernel's counters
CLAIM_SECONDS = 10  # a claim is free again at most this long after its process was killed


def python_command(module: str, *arguments: str) -> list[str]:
    """Runs a module of the project in a process of its own, with the current folder off the import path (-P).

    A user's random.py or numpy.py in that folder is then not imported.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def child_environment() -> dict[str, str]:
    """The environment of such a process: it finds this checkout even where the project is not installed."""
    if not (ROOT / "pyproject.toml").is_file():
        return dict(os.environ)
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}


def this_process() -> dict[str, Any]:
    return process_facts(os.getpid())


def process_facts(pid: int) -> dict[str, Any]:
    """pid, time of creation, host and boot, by which `process_alive` recognises the process.

    Raises psutil.NoSuchProcess.
    """
    return {
        "pid": pid,
        "pid_created": psutil.Process(pid).create_time(),
        "host": socket.gethostname(),
        "boot": boot(),
    }


def boot() -> str:
    """What is different after every start of this machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return str(round(psutil.boot_time()))


def process_alive(facts: Mapping[str, Any]) -> bool:
    """Whether the process of `process_facts` still runs: same host, boot, pid and creation time, not a
    zombie.

    Of another host's process only its last sign of life, `heartbeat`, is known.
    """
    if facts.get("host") != socket.gethostname():
        return is_recent(facts.get("heartbeat", 0))
    if facts.get("boot", boot()) != boot():
        return False
    try:
        process = psutil.Process(int(facts["pid"]))
        return (
            abs(process.create_time() - facts["pid_created"]) < 2 and process.status() != psutil.STATUS_ZOMBIE
        )
    except (psutil.Error, KeyError, TypeError, ValueError):
        return False


def is_recent(heartbeat: float) -> bool:
    """Whether a sign of life, in seconds since 1970, is new. Another host's clock may be ahead by as much."""
    return abs(time.time() - heartbeat) < HEARTBEAT_LOST


def memory_kills() -> int:
    """How many processes the kernel has ended since boot because memory ran out; 0 where it does not say."""
    try:
        lines = VMSTAT.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def reap(pid: int) -> None:
    """Let go of a dead child of this process; a process of another parent is left alone."""
    with contextlib.suppress(OSError):
        os.waitpid(pid, os.WNOHANG)


def end_group(facts: Mapping[str, Any]) -> None:
    """SIGKILL for a process of this host and all that it started, also where only the latter still live."""
    pid = int(facts["pid"])
    members = _group(facts)
    if process_alive(facts):
        with contextlib.suppress(psutil.Error):
            leader = psutil.Process(pid)
            members += [*leader.children(recursive=True), leader]
    for process in dict.fromkeys(members):
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(list(dict.fromkeys(members)), timeout=2)
    reap(pid)


def _group(facts: Mapping[str, Any]) -> list[psutil.Process]:
    """Members of the process group that it led; none where its pid belongs to another process by now."""
    if psutil.pid_exists(facts["pid"]) and not process_alive(facts) and not _zombie(facts["pid"]):
        return []
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if (
                os.getpgid(process.pid) == facts["pid"] != process.pid
                and process.create_time() >= facts["pid_created"]
            ):
                found.append(process)
    return found


def _zombie(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


@contextmanager
def claim(folder: Path, seconds: float = CLAIM_SECONDS) -> Iterator[None]:
    """The right to work on the run in `folder`, for one process at a time, on every host that sees the
    folder.

    A process may claim a folder again that it has claimed. Raises UserError where another process keeps its
    claim for longer than `seconds`.
    """
    lock = FileLock(folder / ".claim", is_singleton=True, thread_local=False)
    try:
        lock.acquire(timeout=seconds)
    except Timeout:
        raise UserError(
            f"Another process works on run {folder.name} already; stop that one first, or wait for it."
        ) from None
    except PermissionError:
        raise UserError(f"You may not write into {folder}; it belongs to another user.") from None
    try:
        yield
    finally:
        lock.release()
