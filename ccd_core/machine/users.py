"""Who else has an account on this machine."""

from __future__ import annotations

import os
from contextlib import suppress

import psutil

FIRST_PERSON = 1000  # Linux gives lower numbers to services
NOBODY = 65534
NO_LOGIN = ("nologin", "false", "sync", "halt", "shutdown")


def other_people() -> list[str]:
    """Names of other accounts that people can use: those with a shell to log in to, and who is logged in now.

    Accounts of a directory service (LDAP) are known only while their owners are logged in.
    """
    try:
        import pwd
    except ImportError:  # Windows
        return []
    me = os.getuid()
    found = {
        entry.pw_name
        for entry in pwd.getpwall()
        if FIRST_PERSON <= entry.pw_uid < NOBODY and entry.pw_uid != me and _logs_in(entry.pw_shell)
    }
    with suppress(OSError):  # a machine without the list of logins
        found |= {user.name for user in psutil.users() if user.name not in _names_of(me)}
    return sorted(found)


def _logs_in(shell: str) -> bool:
    return bool(shell) and os.path.basename(shell) not in NO_LOGIN


def _names_of(uid: int) -> set[str]:
    import pwd

    return {entry.pw_name for entry in pwd.getpwall() if entry.pw_uid == uid} | {"root"}
