"""What a stage computes once: by one process or several, in a folder or without one."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from ccd_core.errors import UserError
from ccd_core.machine.device import make_accelerator
from ccd_core.runs.run import Run
from ccd_core.runs.team import Team
from ccd_core.runs.work import Arrays, Work

IDS = [str(number) for number in range(43)]


class Numbers:
    """A computation that gives each image its number, and remembers which chunks it was asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, part: slice) -> Arrays:
        self.asked.append(part.start)
        return {"number": np.arange(part.start, part.stop)}


@pytest.fixture
def work(tiny_run, tmp_path) -> Work:
    run = Run.create(tmp_path / "run", tiny_run.config, tiny_run.classes)
    return Work(run.config, make_accelerator("cpu", "fp32"), run)


def together(parts) -> np.ndarray:
    return np.concatenate([part["number"] for part in parts])


def test_two_processes_share_the_chunks_and_each_reads_all(tiny_run, tmp_path):
    """The processes are threads here."""
    meeting = threading.Barrier(2)
    computed = [Numbers(), Numbers()]
    read = {}

    def process(rank: int) -> None:
        run = Run(tmp_path, tiny_run.config, tiny_run.classes)
        team = Team(rank, 2, lambda: meeting.wait(10) and None)
        work = Work(run.config, make_accelerator("cpu", "fp32"), run, team=team)
        read[rank] = together(work.chunks("numbers", IDS, 10, computed[rank]))

    threads = [threading.Thread(target=process, args=(rank,)) for rank in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert [numbers.asked for numbers in computed] == [[0, 20, 40], [10, 30]]
    for rank in (0, 1):
        np.testing.assert_array_equal(read[rank], np.arange(43))


def test_chunks_that_are_there_are_not_computed_again(work):
    first, second = Numbers(), Numbers()
    together(work.chunks("numbers", IDS, 10, first))
    lost = work.folder.file("partial", "numbers-00000020.npz")
    lost.write_bytes(lost.read_bytes()[:50])  # a damaged one counts as lost
    np.testing.assert_array_equal(together(work.chunks("numbers", IDS, 10, second)), np.arange(43))
    assert first.asked == [0, 10, 20, 30, 40] and second.asked == [20]


def test_a_result_is_computed_once_and_read_the_next_time(work):
    calls = []

    def compute() -> Arrays:
        calls.append(1)
        parts = work.chunks("numbers", IDS, 10, Numbers())
        return {"ids": np.array(IDS), "number": together(parts)}

    for _ in range(2):
        np.testing.assert_array_equal(work.once("numbers.npz", compute, IDS)["number"], np.arange(43))
    assert len(calls) == 1 and work.has("numbers.npz")
    assert not list(work.folder.file("partial").glob("*"))  # the chunks are not needed any more


def test_a_result_of_other_images_is_refused(work):
    work.once("numbers.npz", lambda: {"ids": np.array(IDS)}, IDS)
    with pytest.raises(UserError, match="numbers.npz is of other images"):
        work.once("numbers.npz", lambda: {"ids": np.array(IDS)}, IDS[:40])


def test_without_a_run_nothing_is_written(tiny_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    work = Work(tiny_run.config, make_accelerator("cpu", "fp32"))
    numbers = Numbers()
    assert not work.has("numbers.npz")
    np.testing.assert_array_equal(together(work.chunks("numbers", IDS, 10, numbers)), np.arange(43))
    assert work.once("numbers.npz", lambda: {"ids": np.array(IDS)}, IDS)["ids"].tolist() == IDS
    assert numbers.asked == [0, 10, 20, 30, 40] and list(tmp_path.iterdir()) == []
