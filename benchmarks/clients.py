"""The app under many people at once: does it keep its memory, its open files, its threads and its children?

    python benchmarks/clients.py [RUN] [--clients 15] [--minutes 10]

The app is started on a copy of RUN (the finished demo) as `ccd app` starts it. Every client is a person with
a page open: a websocket that speaks Streamlit's own protocol, and the images that the page shows, over HTTP.
A client visits all pages, moves widgets, uploads pictures to Predict and View lab, loses its connection and
takes it up again, and leaves and comes back as somebody new. It waits some seconds between two gestures, as
people do. Prints a line a minute. Exit code 1 if an answer was an error.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import random
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from app_process import App
from PIL import Image
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

DEMO = Path(__file__).resolve().parents[1] / "assets/demo_run"
PAGES = ("", "clip_bias", "cam_boxes", "labels", "view_lab", "results", "compare", "predict", "train")
WITH_UPLOADS = ("predict", "view_lab")
THINKING = (1.0, 7.0)  # seconds between two gestures of a person
AWAY = (1.0, 20.0)  # seconds without a page open
PATIENCE = 300  # seconds after which an answer counts as missing
UNASKED_PATIENCE = 20  # the same for a fragment that asks to be run again, for which nobody waits
IMAGES_LOADED = 6  # of those that an answer names; a browser loads what is in sight
KEPT = httpx.Limits(keepalive_expiry=2.0)  # seconds; the server closes a quiet connection after five
LARGEST_MESSAGE = 2**28  # bytes


class Trouble(Exception):
    """The app answered with an error, or not at all."""


class Tally:
    """What all clients got."""

    def __init__(self) -> None:
        self.answers: Counter[str] = Counter()
        self.troubles: Counter[str] = Counter()

    def trouble(self, text: str) -> None:
        self.troubles[text] += 1
        print(f"  {text}", file=sys.stderr, flush=True)


class Visitor:
    """One person with one page: the websocket, the widgets on the page, and what the person set them to."""

    def __init__(self, app: App, http: httpx.AsyncClient, tally: Tally, chance: random.Random):
        self.app = app
        self.http = http
        self.tally = tally
        self.chance = chance
        self.session = ""
        self.page = ""  # as in its address
        self.query = ""
        self.pages: dict[str, str] = {}  # name in the address -> the hash by which Streamlit knows a page
        self.widgets: dict[str, tuple[str, Any, str]] = {}  # id -> kind, element, fragment
        self.chosen: dict[str, WidgetState] = {}
        self.repeating: dict[str, float] = {}  # fragment -> seconds after which it asks to be run again
        self.gesture = ""  # the last one, for the sentence about what went wrong
        self.begun: set[str] = set()  # runs of the script that began after the last question
        self.named: set[str] = set()  # addresses of images and of questions to CLIP in the last answer

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[ClientConnection]:
        """A websocket; with the session of before, if there is one."""
        protocols = ["streamlit", "unused", self.session] if self.session else ["streamlit"]
        address = f"ws://127.0.0.1:{self.app.port}/_stcore/stream"
        origin: Any = f"http://127.0.0.1:{self.app.port}"
        async with connect(
            address, origin=origin, subprotocols=protocols, max_size=LARGEST_MESSAGE, compression=None
        ) as line:  # type: ignore[arg-type]
            yield line

    async def opened(self, line: ClientConnection, page: str) -> None:
        """Open a page by its address or, where one is open, by its link in the sidebar."""
        self.page = page
        self.query = ""
        self.gesture = "opened"
        self.chosen.clear()
        await self.rerun(line)

    async def rerun(self, line: ClientConnection, fragment: str = "", unasked: bool = False) -> None:
        """Ask for the page with its widgets as they are set, read the answer, and load its images."""
        if not fragment:
            self.widgets.clear()
            self.repeating.clear()
        asked = BackMsg()
        state = asked.rerun_script
        state.query_string = self.query
        state.page_script_hash = self.pages.get(self.page, "")
        state.page_name = "" if state.page_script_hash else self.page
        state.fragment_id = fragment
        state.is_auto_rerun = unasked
        state.widget_states.widgets.extend(self.chosen.values())
        state.context_info.url = f"http://127.0.0.1:{self.app.port}/{self.page}"
        state.context_info.timezone = "UTC"
        self.begun.clear()
        await line.send(asked.SerializeToString())
        try:
            await self._answer(line, UNASKED_PATIENCE if unasked else PATIENCE)
        except TimeoutError:
            if not unasked:  # the app may leave out what nobody waits for
                raise
        await self._load()

    async def _answer(self, line: ClientConnection, patience: float) -> None:
        self.named.clear()
        async with asyncio.timeout(patience):
            while True:
                received = await line.recv()
                assert isinstance(received, bytes)
                found = re.findall(rb"/(?:thumb|asked)/[^\"'\s\\<>)]+", received)
                self.named.update(address.decode() for address in found if address.isascii())
                message = ForwardMsg.FromString(received)
                if self._read(message):
                    return

    def _read(self, message: ForwardMsg) -> bool:
        """Keep what the message says of the page; whether it is the last one of an answer."""
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self.begun.add(message.metadata.run.script_run_id)
            self.session = message.new_session.initialize.session_id or self.session
        elif kind == "navigation":
            self.pages = {
                "" if page.is_default else page.url_pathname: page.page_script_hash
                for page in message.navigation.app_pages
            }
        elif kind == "page_info_changed":
            self.query = message.page_info_changed.query_string
        elif kind == "auto_rerun":
            self.repeating[message.auto_rerun.fragment_id] = message.auto_rerun.interval
        elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
            element = message.delta.new_element
            name = element.WhichOneof("type")
            if name == "exception":
                raise Trouble(f"{element.exception.type}: {element.exception.message}")
            shown = getattr(element, str(name), None)
            if getattr(shown, "id", ""):
                self.widgets[shown.id] = (str(name), shown, message.delta.fragment_id)  # type: ignore[union-attr]
        elif kind == "script_finished":
            finished = ForwardMsg.ScriptFinishedStatus.Name(message.script_finished)
            if "ERROR" in finished:
                raise Trouble(f"{finished}")
            if "EARLY" not in finished and message.metadata.run.script_run_id in self.begun:
                self.tally.answers["pages"] += 1
                return True
        return False

    async def _load(self) -> None:
        for address in self.chance.sample(sorted(self.named), min(IMAGES_LOADED, len(self.named))):
            got = await self.http.get(address)
            if got.status_code != 200 and not address.startswith("/asked/"):
                raise Trouble(f"{got.status_code} for {address}: {got.text[:100]}")
            self.tally.answers["images" if address.startswith("/thumb/") else "polls"] += 1

    async def think(self, line: ClientConnection) -> None:
        """Look at the page for a while; fragments that ask to be run again are."""
        until = time.monotonic() + self.chance.uniform(*THINKING)
        while (left := until - time.monotonic()) > 0:
            soonest = min(self.repeating.items(), key=lambda one: one[1], default=("", left))
            await asyncio.sleep(min(left, max(0.5, soonest[1])))
            if soonest[0] and soonest[1] < left:
                self.gesture = "run again by itself"
                await self.rerun(line, soonest[0], unasked=True)

    async def move(self, line: ClientConnection) -> None:
        """Set one widget of the page to another value."""
        movable = [
            (kind, shown, fragment)
            for kind, shown, fragment in self.widgets.values()
            if kind in MOVES and not shown.disabled
        ]
        if not movable:
            return
        kind, shown, fragment = self.chance.choice(movable)
        state = WidgetState(id=shown.id)
        MOVES[kind](state, shown, self.chance)
        self.gesture = " ".join(f"{shown.label} {state}".split())
        self.chosen[shown.id] = state
        await self.rerun(line, fragment)

    def _of_kind(self, kind: str) -> list[tuple[Any, str]]:
        """Widgets of a kind and their fragments."""
        return [(shown, fragment) for name, shown, fragment in self.widgets.values() if name == kind]

    async def _choose_uploads(self, line: ClientConnection) -> None:
        """Press the button that says that images are uploaded."""
        for group, fragment in self._of_kind("button_group"):
            words = [option.content for option in group.options if option.content.startswith("Upload")]
            if words:
                self.chosen[group.id] = WidgetState(id=group.id)
                self.chosen[group.id].string_array_value.data.append(words[0])
                return await self.rerun(line, fragment)
        raise Trouble("no uploader")

    async def upload(self, line: ClientConnection) -> None:
        """Give the page's uploader one or several pictures, as the browser does."""
        if not self._of_kind("file_uploader"):
            await self._choose_uploads(line)
        shown, fragment = self._of_kind("file_uploader")[0]
        count = self.chance.randint(1, 4) if shown.multiple_files else 1
        names = [f"picture{number}.png" for number in range(count)]
        asked = BackMsg()
        asked.file_urls_request.request_id = "pictures"
        asked.file_urls_request.file_names.extend(names)
        asked.file_urls_request.session_id = self.session
        await line.send(asked.SerializeToString())
        async with asyncio.timeout(PATIENCE):
            while True:
                told = ForwardMsg.FromString(await line.recv())  # type: ignore[arg-type]
                if told.WhichOneof("type") == "file_urls_response":
                    break
                self._read(told)
        state = WidgetState(id=shown.id)
        state.file_uploader_state_value.SetInParent()
        for name, urls in zip(names, told.file_urls_response.file_urls, strict=True):
            content = picture(self.chance)
            headers = {"X-Xsrftoken": self.http.cookies.get("_streamlit_xsrf", "")}
            answer = await self.http.put(urls.upload_url, files={name: (name, content)}, headers=headers)
            if answer.status_code >= 300:
                raise Trouble(f"{answer.status_code} for an upload: {answer.text[:100]}")
            self.tally.answers["uploads"] += 1
            info = state.file_uploader_state_value.uploaded_file_info.add()
            info.name = name
            info.size = len(content)
            info.file_id = urls.file_id
            info.file_urls.CopyFrom(urls)
        self.chosen[shown.id] = state
        await self.rerun(line, fragment)


def _slide(state: WidgetState, slider: Any, chance: random.Random) -> None:
    steps = max(1, round((slider.max - slider.min) / (slider.step or 1)))
    values = sorted(
        slider.min + chance.randint(0, steps) * (slider.step or 1) for _ in slider.default or [slider.min]
    )
    state.double_array_value.data.extend(min(value, slider.max) for value in values)


def _choose(state: WidgetState, box: Any, chance: random.Random) -> None:
    state.string_value = chance.choice(list(box.options) or [""])


def _press(state: WidgetState, group: Any, chance: random.Random) -> None:
    """One of a row of buttons, by its words."""
    state.string_array_value.data.append(chance.choice([option.content for option in group.options]))


def _switch(state: WidgetState, box: Any, chance: random.Random) -> None:
    state.bool_value = chance.random() < 0.5


def _turn(state: WidgetState, pages: Any, chance: random.Random) -> None:
    state.int_value = chance.randint(1, max(1, pages.num_pages))


# {kind of a widget: sets its state to another value}. Buttons are left out: some start or delete runs.
MOVES = {
    "slider": _slide,
    "selectbox": _choose,
    "radio": _choose,
    "button_group": _press,
    "checkbox": _switch,
    "pagination": _turn,
}


def picture(chance: random.Random) -> bytes:
    """A PNG of a few hundred pixels, as nobody has uploaded it before."""
    size = (chance.randint(100, 800), chance.randint(100, 800))
    small = np.random.default_rng(chance.getrandbits(32)).integers(0, 255, (8, 8, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(small).resize(size).save(file, "PNG")
    return file.getvalue()


async def person(app: App, tally: Tally, chance: random.Random, until: float) -> None:
    """Visits of one person, until the clock says `until`."""
    while time.monotonic() < until:
        address = f"http://127.0.0.1:{app.port}"
        async with httpx.AsyncClient(base_url=address, timeout=PATIENCE, limits=KEPT) as http:
            (await http.get("/_stcore/health")).raise_for_status()
            visitor = Visitor(app, http, tally, chance)
            try:
                await visit(visitor, until)
                while chance.random() < 0.5:  # the connection was lost, and the browser takes it up again
                    await visit(visitor, until)
            except (Trouble, ConnectionClosed, httpx.HTTPError, OSError, TimeoutError) as error:
                place = visitor.page or "overview"
                tally.trouble(f"{place}, {visitor.gesture}: {type(error).__name__}: {error}"[:300])
        await asyncio.sleep(min(chance.uniform(*AWAY), max(0.0, until - time.monotonic())))


async def visit(visitor: Visitor, until: float) -> None:
    """All pages in any order, with some gestures on each."""
    async with visitor.connected() as line:
        pages = visitor.chance.sample(PAGES, visitor.chance.randint(3, len(PAGES)))
        for page in pages:
            await visitor.opened(line, page)
            if page in WITH_UPLOADS and visitor.chance.random() < 0.6:
                await visitor.upload(line)
            for _ in range(visitor.chance.randint(0, 4)):
                if time.monotonic() > until:
                    return
                await visitor.think(line)
                await visitor.move(line)


async def watch(app: App, tally: Tally, minutes: float) -> None:
    """A line at the start, and one a minute."""
    print(HEAD, flush=True)
    began = time.monotonic()
    for minute in range(int(minutes) + 1):
        await asyncio.sleep(max(0.0, began + 60 * minute - time.monotonic()))
        print(line_of(app, tally, minute), flush=True)


HEAD = (
    f"{'minute':>6} {'app MiB':>8} {'children':>8} {'their MiB':>9} {'files':>6} {'threads':>7} "
    f"{'zombies':>7} {'pages':>7} {'images':>7} {'uploads':>7} {'errors':>6}"
)


def line_of(app: App, tally: Tally, minute: int) -> str:
    process = psutil.Process(app.process.pid)
    children = process.children(recursive=True)
    zombies = 0
    theirs = 0
    for child in children:
        try:
            zombies += child.status() == psutil.STATUS_ZOMBIE
            theirs += child.memory_info().rss
        except psutil.NoSuchProcess:
            pass
    return (
        f"{minute:6} {process.memory_info().rss / 2**20:8.0f} {len(children):8} {theirs / 2**20:9.0f} "
        f"{process.num_fds():6} {process.num_threads():7} {zombies:7} {tally.answers['pages']:7} "
        f"{tally.answers['images']:7} {tally.answers['uploads']:7} {sum(tally.troubles.values()):6}"
    )


async def measure(app: App, clients: int, minutes: float, quiet: float, seed: int) -> Tally:
    tally = Tally()
    until = time.monotonic() + 60 * minutes
    people = [person(app, tally, random.Random(seed + number), until) for number in range(clients)]
    await asyncio.gather(watch(app, tally, minutes), *people)
    if quiet:
        await asyncio.sleep(60 * quiet)
        print(f"{quiet:g} minutes after the last one left:\n{line_of(app, tally, int(minutes + quiet))}")
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, nargs="?", default=DEMO)
    parser.add_argument("--clients", type=int, default=15)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--quiet", type=float, default=3, help="minutes after the last client left; 0: none")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ccd-clients-") as folder:
        run = Path(folder, "runs", given.run.resolve().name)
        shutil.copytree(given.run, run)
        with open(Path(folder, "log.txt"), "w+") as log:
            app = App(run, log)
            try:
                tally = asyncio.run(measure(app, given.clients, given.minutes, given.quiet, given.seed))
            finally:
                app.close()
            log.seek(0)
            tracebacks = log.read().count("Traceback")
    print(f"tracebacks in the app's log: {tracebacks}")
    return int(bool(tally.troubles or tracebacks))


if __name__ == "__main__":
    sys.exit(main())
