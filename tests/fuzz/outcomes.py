"""What became of one input. Each is tried in a process of its own, with limits of time and memory."""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import select
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

SECONDS = 30  # of processor time for one input; more is a hang, and so is as long without any
LOOK_SECONDS = 0.5
MEMORY = 3 * 2**30  # bytes that an input may take beyond what the process has
KINDS = ("worked", "sentence", "silent", "hang", "traceback")  # from the best to the worst
FAULTS = KINDS[2:]
LONGEST_SENTENCE = 1500


class Silent(Exception):
    """A result that is wrong, and nothing said so."""


@dataclass
class Case:
    """One input: what is odd about it, what makes its files, and the doors that it is shown to.

    A door raises what the program raises, and `Silent` for a wrong result.
    """

    name: str
    make: Callable[[Path], None]  # writes the input into an empty folder, which is then the current one
    doors: dict[str, Callable[[Path], object]] = field(default_factory=dict)


@dataclass
class Outcome:
    """kind: the worst of all doors, one of `KINDS`. said: the sentence, or the end of the traceback."""

    name: str
    kind: str
    door: str = ""
    said: str = ""


def command(arguments: Sequence[object]) -> str:
    """What `ccd ARGUMENTS` prints. Raises Refused with its sentence, or whatever the command raises."""
    from ccd_core.cli import main

    out = io.StringIO()
    err = io.StringIO()
    sys.argv = ["ccd", *map(str, arguments)]
    code: object = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as left:
            code = left.code
    if code in (0, None):
        return out.getvalue()
    said = " ".join((err.getvalue() or out.getvalue()).split())
    if "ccd --debug shows where" in said or (code == 1 and "Error:" in said):
        raise AssertionError(f"not a sentence for a user: {said}")
    raise Refused(said or f"exit code {code}")


class Refused(Exception):
    """The command said in a sentence why it does not do it."""


def is_sentence(error: BaseException) -> bool:
    return isinstance(error, Refused) or "UserError" in {kind.__name__ for kind in type(error).__mro__}


def _try_doors(case: Case, folder: Path) -> Outcome:
    """In the child: the worst outcome of all doors."""
    try:
        case.make(folder)
    except BaseException as error:
        return Outcome(case.name, "traceback", "make", f"the test could not make its input: {error!r}")
    worst = Outcome(case.name, "worked")
    for name, door in case.doors.items():
        try:
            door(folder)
            kind = "worked"
            said = ""
        except Silent as error:
            kind = "silent"
            said = str(error)
        except BaseException as error:
            said = str(error)
            kind = "sentence"
            if not is_sentence(error) or not said or len(said) > LONGEST_SENTENCE or "Traceback" in said:
                kind = "traceback"
                last = traceback.extract_tb(error.__traceback__)[-1]
                said = f"{type(error).__name__}: {said[:200]} at {Path(last.filename).name}:{last.lineno}"
        if KINDS.index(kind) > KINDS.index(worst.kind):
            worst = Outcome(case.name, kind, name, said)
    return worst


def _child(case: Case, folder: Path, pipe: int) -> None:
    os.setsid()
    os.chdir(folder)
    quiet = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(quiet, number)
    with open("/proc/self/statm") as facts:
        taken = int(facts.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, taken + MEMORY))
    outcome = _try_doors(case, folder)
    os.write(pipe, json.dumps(vars(outcome)).encode()[:60_000])


def _watch(child: int) -> Callable[[], bool]:
    """Whether a process hangs, whenever asked: it has worked for `SECONDS`, or not at all for as long.

    So a machine that is busy with other things makes no hang.
    """
    worked = -1.0
    since = time.monotonic()

    def hangs() -> bool:
        nonlocal worked, since
        now = 0.0
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(child)
            for one in [process, *process.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    now += sum(one.cpu_times()[:2])
        if now != worked:
            worked = now
            since = time.monotonic()
        return now > SECONDS or time.monotonic() - since > SECONDS

    return hangs


def run_case(case: Case, folder: Path) -> Outcome:
    """Make the input in `folder` and show it to its doors, in a child of this process."""
    folder.mkdir(parents=True)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(read)
            _child(case, folder, write)
        finally:
            os._exit(0)
    os.close(write)
    content = b""
    is_over = False
    hangs = _watch(child)
    with os.fdopen(read, "rb", buffering=0) as answers:
        while not is_over:
            if select.select([answers], [], [], LOOK_SECONDS)[0]:
                part = answers.read(65_536)
                content += part
                is_over = not part
            elif hangs():
                break
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    if content:
        return Outcome(**json.loads(content))
    said = "the process ended" if is_over else f"no answer in {SECONDS} s"
    return Outcome(case.name, "traceback" if is_over else "hang", "", said)


def counts(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """How many inputs there were, and how many of each kind."""
    found = Counter(outcome.kind for outcome in outcomes)
    return {"inputs": sum(found.values())} | {kind: found[kind] for kind in KINDS}
