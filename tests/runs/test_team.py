"""The processes of one run: how work is divided, and what happens when the launcher is gone."""

from __future__ import annotations

import textwrap
import threading

import psutil
import pytest

from ccd_core.runs.team import ALONE, Team
from tests.support import is_gone, start_python, wait_for


def test_a_process_ends_when_its_launcher_is_killed():
    child = """
    import os, time
    from ccd_core.runs.team import end_with_launcher
    end_with_launcher(os.getppid())
    print(os.getpid(), flush=True)
    time.sleep(60)
    """
    launcher = start_python(
        """
        import subprocess, sys, time
        subprocess.Popen([sys.executable, "-c", sys.argv[1]])
        time.sleep(60)
        """,
        textwrap.dedent(child),
    )
    left = psutil.Process(int(launcher.stdout.readline()))
    launcher.kill()
    launcher.wait()
    wait_for(lambda: is_gone(left), 10)


@pytest.mark.parametrize("size", [1, 2, 3, 8])
@pytest.mark.parametrize("count", [1, 2, 7, 8, 16])
def test_a_batch_is_divided_and_nobody_has_nothing(size, count):
    parts = [Team(rank, size).batch_slice(count) for rank in range(size)]
    assert all(part.stop > part.start for part in parts)
    if count >= size:
        assert [i for part in parts for i in range(count)[part]] == list(range(count))
    else:
        assert all(part == slice(0, count) for part in parts)


def test_one_device_is_a_team_of_one():
    assert ALONE.first and ALONE.shard([1, 2, 3]) == [1, 2, 3] and ALONE.batch_slice(5) == slice(0, 5)
    assert ALONE.broadcast_flag(True) and not ALONE.broadcast_flag(False)


def test_the_first_process_works_before_the_others(tmp_path):
    """Two processes, here threads: what the first one makes is there when the second one looks."""
    meeting = threading.Barrier(2)
    seen = {}

    def work(rank: int) -> None:
        with Team(rank, 2, lambda: meeting.wait(10) and None).main_process_first():
            seen[rank] = (tmp_path / "made").exists()
            (tmp_path / "made").touch()

    threads = [threading.Thread(target=work, args=(rank,)) for rank in (1, 0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert seen == {0: False, 1: True}


def test_every_item_belongs_to_one_process():
    items = list(range(11))
    parts = [Team(rank, 3).shard(items) for rank in range(3)]
    assert sorted(item for part in parts for item in part) == items
