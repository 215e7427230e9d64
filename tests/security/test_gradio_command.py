"""`ccd gradio` keeps its uploads to itself and, like the app, answers to its own names only."""

from __future__ import annotations

import stat

from tests.security.serving import command_on
from tests.support import free_port


def test_uploads_lie_in_a_folder_of_its_own_and_other_names_are_refused(tiny_run, tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    own = {"TMPDIR": str(temporary), "GRADIO_TEMP_DIR": ""}
    options = ("gradio", str(tiny_run.path), "--device", "cpu", "--allowed-host", "ccd.example.org")
    with command_on(free_port(), *options, log=tmp_path / "log.txt", **own) as page:
        (folder,) = temporary.glob("ccd-gradio-*")
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert not (temporary / "gradio").exists()  # Gradio's default, which belongs to whoever came first
        for host, status in (("localhost", 200), ("ccd.example.org", 200), ("evil.example", 403)):
            assert page.status("/config", Host=host) == status
        refused = page.status(
            "/gradio_api/call/predict", "POST", Host="localhost", Origin="http://evil.example"
        )
        assert refused == 403
    assert not folder.exists()
