"""Other accounts of this machine are people with a shell, not services and not oneself."""

from __future__ import annotations

import os
import pwd

import pytest

from ccd_core.machine.users import _logs_in, other_people


@pytest.mark.parametrize(
    ("shell", "logs_in"),
    [
        ("/bin/bash", True),
        ("/usr/bin/fish", True),
        ("/usr/sbin/nologin", False),
        ("/bin/false", False),
        ("", False),
    ],
)
def test_who_has_no_shell_does_not_log_in(shell, logs_in):
    assert _logs_in(shell) == logs_in


def test_neither_this_user_nor_a_service_is_another_person():
    found = other_people()
    assert found == sorted(found) and pwd.getpwuid(os.getuid()).pw_name not in found
    assert not {"root", "nobody", "daemon"} & set(found)
