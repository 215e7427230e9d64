"""Processes: which one is alive, who holds a claim, and how a process ends with all that it started."""

from __future__ import annotations

import subprocess
import time

import psutil
import pytest

from ccd_core.errors import UserError
from ccd_core.machine.processes import claim, end_group, process_alive, process_facts, this_process
from tests.support import is_gone, start_python, wait_for


@pytest.fixture
def sleeper():
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def test_a_process_is_known_by_its_number_its_birth_and_the_start_of_the_machine(sleeper):
    facts = process_facts(sleeper.pid)
    assert process_alive(facts)
    assert not process_alive(facts | {"pid_ticks": facts["pid_ticks"] - 100})
    assert not process_alive(facts | {"boot": "before"})


def test_a_killed_process_is_dead_before_its_parent_has_asked_about_it(sleeper):
    facts = process_facts(sleeper.pid)
    sleeper.kill()
    wait_for(lambda: psutil.Process(sleeper.pid).status() == psutil.STATUS_ZOMBIE)
    assert not process_alive(facts)
    sleeper.wait()
    assert not process_alive(facts)


def test_a_process_of_another_host_is_judged_by_its_heartbeat():
    elsewhere = this_process() | {"host": "elsewhere"}
    assert process_alive(elsewhere | {"heartbeat": time.time() - 30})
    assert not process_alive(elsewhere | {"heartbeat": time.time() - 300})


def test_a_claim_is_held_by_one_process_and_freed_by_its_death(tmp_path):
    holder = start_python(
        """
        import pathlib, sys, time
        from ccd_core.machine.processes import claim
        with claim(pathlib.Path(sys.argv[1])):
            print("held", flush=True)
            time.sleep(60)
        """,
        tmp_path,
    )
    assert holder.stdout.readline()
    with pytest.raises(UserError, match="Another process works on run"), claim(tmp_path, 0.2):
        pass
    holder.kill()
    holder.wait()
    with claim(tmp_path, 0.2), claim(tmp_path, 0.2):  # held twice by one process it is one claim
        pass


def test_what_a_dead_process_left_behind_is_ended(tmp_path):
    leader = start_python(
        "import subprocess; print(subprocess.Popen(['sleep', '60']).pid, flush=True); input()",
        start_new_session=True,
        stdin=subprocess.PIPE,
    )
    orphan = psutil.Process(int(leader.stdout.readline()))
    facts = process_facts(leader.pid)
    leader.kill()
    leader.wait()
    assert not is_gone(orphan)
    end_group(facts)
    assert is_gone(orphan)


def test_a_stranger_that_was_given_the_same_number_lives_on(sleeper):
    end_group(process_facts(sleeper.pid) | {"pid_created": time.time() - 10_000, "pid_ticks": 1})
    assert not is_gone(psutil.Process(sleeper.pid))


def test_a_step_of_the_clock_changes_nothing_for_a_process_that_runs(sleeper):
    facts = process_facts(sleeper.pid)
    assert facts["pid_ticks"] > 0
    assert process_alive(facts | {"pid_created": facts["pid_created"] + 7})  # the system's clock was set back
    assert not process_alive(facts | {"pid_ticks": facts["pid_ticks"] + 1})  # its number was given to another
    older = {name: value for name, value in facts.items() if name != "pid_ticks"}
    assert process_alive(older) and not process_alive(older | {"pid_created": facts["pid_created"] + 7})


def test_a_heartbeat_from_the_future_is_no_sign_of_life():
    elsewhere = {"host": "elsewhere", "pid": 1}
    assert process_alive(elsewhere | {"heartbeat": time.time() + 5})
    assert not process_alive(elsewhere | {"heartbeat": time.time() + 86_400})


def test_a_claim_leaves_no_file_behind_and_stays_one_at_a_time(tmp_path):
    with claim(tmp_path), claim(tmp_path):
        assert (tmp_path / ".claim").exists()
    assert not (tmp_path / ".claim").exists()
    code = """
        import sys, time
        from pathlib import Path
        from ccd_core.machine.processes import claim
        folder = Path(sys.argv[1])
        for _ in range(40):
            with claim(folder, 60):
                (folder / "inside").mkdir()  # fails if another one is inside
                time.sleep(0.001)
                (folder / "inside").rmdir()
        print("done")
    """
    claimants = [start_python(code, tmp_path) for _ in range(3)]
    assert [process.communicate(timeout=120)[0].strip() for process in claimants] == ["done"] * 3
    assert not list(tmp_path.iterdir())
