"""What is over is forgotten in time, and what it holds is given back: closed pages, and jobs that have ended.

Streamlit keeps a session for a while after its page is gone, so that a lost connection loses nothing. Each
one holds an event loop, which is three open files, and all that its page remembers. Streamlit drops a session
whose time is over only when the next page is opened: after a busy hour, 128 stay until somebody comes.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import streamlit as st
from streamlit.runtime import exists, get_instance

SWEEP_SECONDS = 5


@asynccontextmanager
async def forgetting(app: st.App) -> AsyncGenerator[None]:
    """While the app runs, drop sessions whose time is over, and the zombies of ended jobs."""
    task = asyncio.create_task(_sweep_again_and_again())
    try:
        yield
    finally:
        task.cancel()


async def _sweep_again_and_again() -> None:
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        await asyncio.to_thread(_let_ended_jobs_go)
        if sweep():
            # Sessions refer to themselves, and Streamlit's own collection after every rerun is off.
            await asyncio.to_thread(gc.collect)


def _let_ended_jobs_go() -> None:
    from ccd_core.jobs.control import reap_ended  # here: it loads pandas, and the first page comes first

    reap_ended()


def sweep() -> int:
    """Shut down the sessions whose time is over; returns how many there were."""
    expired: list[tuple[str, Any]] = []
    if exists() and (expire := getattr(_stored(), "expire", None)):
        expired = expire() or []
    for _, info in expired:
        info.session.shutdown()
    return len(expired)


def _stored() -> Any:
    """Streamlit's cache of sessions without a page; None if another version keeps them elsewhere."""
    storage = getattr(getattr(get_instance(), "_session_mgr", None), "_session_storage", None)
    return getattr(storage, "_cache", None)
