"""A run's folder: what is created, opened, claimed and cleaned up."""

from __future__ import annotations

from ccd_core.runs.run import Run


def test_what_a_killed_process_was_writing_goes_with_the_next_one(tiny_run, tmp_path):
    run = Run.create(tmp_path / "run", tiny_run.config, tiny_run.classes)
    half, request = run.file("checkpoints", ".last.safetensors.77.partial"), run.file(".stop.json.78.partial")
    half.parent.mkdir()
    half.write_bytes(b"half")
    request.write_text("{}")
    with run.claimed():
        assert not half.exists() and request.exists()
