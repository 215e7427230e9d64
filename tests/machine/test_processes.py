"""Processes: which is alive, who holds a claim, and how a group is ended."""

from __future__ import annotations

import subprocess
import sys
import time

import psutil
import pytest

from ccd_core.errors import UserError
from ccd_core.machine.processes import claim, process_alive, process_facts
from tests.support import wait_for


def test_zombies_reused_pids_reboots_and_other_hosts():
    process = subprocess.Popen(["sleep", "60"])
    facts = process_facts(process.pid)
    assert process_alive(facts)
    assert not process_alive(facts | {"pid_created": facts["pid_created"] - 100})
    assert not process_alive(facts | {"boot": "before"})
    process.kill()
    wait_for(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
    assert not process_alive(facts)
    process.wait()
    assert not process_alive(facts)
    elsewhere = facts | {"host": "elsewhere"}
    assert process_alive(elsewhere | {"heartbeat": time.time() - 30}) and not process_alive(
        elsewhere | {"heartbeat": time.time() - 300}
    )


def test_a_claim_is_held_once_and_freed_by_death(tmp_path):
    code = f"import time, pathlib; from ccd_core.processes import claim\nwith claim(pathlib.Path({str(tmp_path)!r})): print('held', flush=True); time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert holder.stdout.readline()
    with pytest.raises(UserError, match="in the hands of another process"), claim(tmp_path, 0.2):
        pass
    holder.kill()
    holder.wait()
    with claim(tmp_path, 0.2), claim(tmp_path, 0.2):
        pass
