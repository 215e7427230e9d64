"""Threads that work on a batch of files: answers come in the order of the files, whoever is done first."""

from __future__ import annotations

import threading
from pathlib import Path

import torch

from ccd_core.predict.threads import answered_by_threads, decoded_by_threads, side_by_side

FILES = [Path(f"{number}.jpg") for number in range(11)]


def test_answers_of_several_threads_come_in_order_and_torch_keeps_its_threads():
    first_is_done = threading.Event()

    def answer(paths: list[Path]) -> list[str]:
        if FILES[0] in paths:
            first_is_done.wait(5)  # another thread goes first
        else:
            first_is_done.set()
        return [path.stem for path in paths]

    before = torch.get_num_threads()
    with side_by_side(2) as threads:
        found = answered_by_threads(threads, 2, FILES, answer)()
    assert found == [path.stem for path in FILES] and torch.get_num_threads() == before


def test_what_threads_decode_is_answered_by_the_caller():
    asked_by = []

    def answer(paths: list[Path], decoded: list[str]) -> list[tuple[Path, str]]:
        asked_by.append(threading.current_thread())
        return list(zip(paths, decoded, strict=True))

    with side_by_side(3) as threads:
        wait = decoded_by_threads(threads, FILES, lambda path: path.stem, answer)
        assert not asked_by
        assert wait() == [(path, path.stem) for path in FILES]
    assert asked_by == [threading.current_thread()]
