"""Processes that work on a run: how they are started, whether one lives, and how it is ended.

A process is known by its pid and the time when it was created, on its host and since that host's last boot.
So it is not taken for another process that was given the same pid, nor for one from before a reboot. A
process of another host is known by its heartbeat alone.
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
CLAIM_SECONDS = 10  # to wait for a claim; that of a process which was killed is free again within them


def python_command(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of the project in a process of its own.

    -P keeps the current folder off the import path, so that a user's random.py in it is not imported.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def child_environment() -> dict[str, str]:
    """The environment of such a process.

    The processes that it starts keep the current folder off their import path, too. It finds this checkout
    even if the project is not installed.
    """
    environment = os.environ | {"PYTHONSAFEPATH": "1"}
    if (ROOT / "pyproject.toml").is_file():
        paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    return environment


def this_process() -> dict[str, Any]:
    """`process_facts` of this process."""
    return process_facts(os.getpid())


def process_facts(pid: int) -> dict[str, Any]:
    """pid, time of creation, host and boot, by which `process_alive` recognises the process `pid`.

    Raises psutil.NoSuchProcess if there is none.
    """
    return {
        "pid": pid,
        "pid_created": psutil.Process(pid).create_time(),
        "pid_ticks": _ticks(pid),
        "host": socket.gethostname(),
        "boot": boot(),
    }


def _ticks(pid: int) -> int:
    """When a process was created, in the kernel's ticks since boot; 0 if the system does not say."""
    try:
        # The second field, the name in brackets, may have spaces and brackets itself.
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0


def boot() -> str:
    """An id that changes with every start of this machine."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return str(round(psutil.boot_time()))


def process_alive(facts: Mapping[str, Any]) -> bool:
    """Whether the process that `process_facts` describes still runs. A zombie does not.

    A process of another host is judged by the last sign of life that `facts` has, its `heartbeat`.
    """
    if facts.get("host") != socket.gethostname():
        return is_recent(facts.get("heartbeat", 0))
    if facts.get("boot", boot()) != boot():
        return False
    try:
        process = psutil.Process(int(facts["pid"]))
        ticks = facts.get("pid_ticks")
        if ticks:  # unlike the time of creation, they do not change with the clock
            is_same = ticks == _ticks(process.pid)
        else:
            is_same = abs(process.create_time() - facts["pid_created"]) < 2
        return is_same and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, KeyError, TypeError, ValueError):
        return False


def is_recent(heartbeat: float) -> bool:
    """Whether a sign of life, in seconds since 1970, is new.

    Another host's clock may be ahead, but a time far in the future counts as no sign of life.
    """
    return abs(time.time() - heartbeat) < HEARTBEAT_LOST


def memory_kills() -> int:
    """How many processes the kernel has ended since boot because memory ran out; 0 if it does not say."""
    try:
        lines = VMSTAT.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def end_group(facts: Mapping[str, Any]) -> None:
    """Kill a process of this host and all that it started. If it has ended, what it left behind is killed."""
    members = _group(facts)
    if process_alive(facts):
        with contextlib.suppress(psutil.Error):
            leader = psutil.Process(int(facts["pid"]))
            members += [*leader.children(recursive=True), leader]
    for process in dict.fromkeys(members):
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(list(dict.fromkeys(members)), timeout=2)


def _group(facts: Mapping[str, Any]) -> list[psutil.Process]:
    """Other members of the process group that the process led; [] if its pid was given to another process."""
    pid = facts["pid"]
    if psutil.pid_exists(pid) and not process_alive(facts) and not _is_zombie(pid):
        return []
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            is_member = process.pid != pid and os.getpgid(process.pid) == pid
            if is_member and process.create_time() >= facts["pid_created"]:
                found.append(process)
    return found


def _is_zombie(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


@contextmanager
def claim(folder: Path, seconds: float = CLAIM_SECONDS) -> Iterator[None]:
    """The right to work on the run in `folder`, for one process at a time on all hosts that see the folder.

    A process may claim a folder that it has claimed already. Raises UserError if another process keeps its
    claim for longer than `seconds`.
    """
    path = folder / ".claim"
    lock = FileLock(path, is_singleton=True, thread_local=False)
    until = time.monotonic() + seconds
    try:
        lock.acquire(timeout=seconds)
        while lock.lock_counter == 1 and not _is_open_file(lock, path):
            # Its last holder removed the file while this process waited for it.
            lock.release()
            lock.acquire(timeout=max(0.1, until - time.monotonic()))
    except Timeout:
        raise UserError(
            f"Another process works on run {folder.name} already; stop that one first, or wait for it."
        ) from None
    except PermissionError:
        raise UserError(f"You may not write into {folder}; it belongs to another user.") from None
    try:
        yield
    finally:
        if lock.lock_counter == 1:
            with contextlib.suppress(OSError):  # the folder may be gone
                path.unlink()  # before the release, so that nobody's claim is removed
        lock.release()


def _is_open_file(lock: FileLock, path: Path) -> bool:
    """Whether the file that `lock` holds is the one that is now at `path`."""
    handle = lock._context.lock_file_fd
    try:
        return handle is not None and os.path.samestat(os.fstat(handle), os.stat(path))
    except OSError:
        return False
