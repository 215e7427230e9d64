"""A request to stop is heard at once, or between two steps."""

from __future__ import annotations

import signal
import threading

import pytest

from ccd_core.errors import Stopped
from ccd_core.machine.signals import STOPPING, step_by_step, stoppable


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_stops_the_block_where_it_is(number, no_nohup):
    before = signal.getsignal(signal.SIGTERM)
    done = []
    with pytest.raises(Stopped), stoppable() as listening:
        assert listening
        signal.raise_signal(number)
        done.append("after the signal")
    assert not done and signal.getsignal(signal.SIGTERM) == before


def test_between_steps_a_request_waits_until_the_block_is_left():
    steps = []
    with pytest.raises(Stopped), stoppable():
        with step_by_step() as asked:
            for step in range(5):
                if asked():
                    break
                if step == 1:
                    signal.raise_signal(signal.SIGTERM)
                steps.append(step)
        steps.append("not reached")
    assert steps == [0, 1]


def test_a_second_ctrl_c_does_not_wait():
    with pytest.raises(KeyboardInterrupt), step_by_step() as asked:
        signal.raise_signal(signal.SIGINT)
        assert asked()
        signal.raise_signal(signal.SIGINT)
        pytest.fail("the second one was not heard")


def test_in_another_thread_no_signal_can_come():
    heard = []

    def block() -> None:
        with stoppable() as listening:
            heard.append(listening)

    thread = threading.Thread(target=block)
    thread.start()
    thread.join()
    assert heard == [False]
