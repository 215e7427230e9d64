"""Pages that were closed give back what they held: open files do not add up."""

from __future__ import annotations

import psutil
from websockets.sync.client import connect

from tests.security.serving import app_on
from tests.support import wait_for


def test_files_of_closed_pages_are_closed_without_another_visit(tiny_run, tmp_path):
    quick = {"STREAMLIT_SERVER_DISCONNECTED_SESSION_TTL": "1"}
    with app_on(tiny_run.path.parent, log=tmp_path / "log.txt", **quick) as app:
        process = psutil.Process(app.process.pid)
        address = f"ws://127.0.0.1:{app.port}/_stcore/stream"
        with connect(address, origin=app.url, subprotocols=["streamlit"]):
            pass  # what the first page opens for good
        wait_for(lambda: process.num_fds() < 30)
        before = process.num_fds()
        for _ in range(20):
            with connect(address, origin=app.url, subprotocols=["streamlit"]):
                pass
        assert process.num_fds() > before + 20
        wait_for(
            lambda: process.num_fds() <= before + 3, 40, lambda: f"{before} files, then {process.num_fds()}"
        )
        assert "Traceback" not in app.log.read_text()
