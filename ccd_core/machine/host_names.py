"""Names and addresses of this machine, as they stand in links and in the headers of requests."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from urllib.parse import urlsplit

from ccd_core.errors import UserError

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
ANY_ADDRESS = frozenset({"0.0.0.0", "::", ""})
NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")


def host_and_port(text: str) -> tuple[str, str] | None:
    """Name and port of a Host header, or None where it is none.

    The name is in lower case, the port "" where none is given.

    >>> host_and_port("LocalHost:8501")
    ('localhost', '8501')
    >>> host_and_port("[::1]")
    ('::1', '')
    """
    found = re.fullmatch(r"(\[[0-9a-f:.]+\]|[^\[\]:/?#@\s]+)(?::([0-9]{1,5}))?", text.lower())
    if found is None:
        return None
    name = found[1].strip("[]").removesuffix(".")
    return (name, found[2] or "") if NAME.fullmatch(name) or ip_address(name) else None


def given_name(text: str) -> str:
    """The name that somebody means who gives a name, a name with a port, or a link.

    Raises UserError where it is none.
    """
    place = urlsplit(text).netloc if "://" in text else text
    address = ip_address(place.strip("[]"))
    if address:
        return str(address)
    try:
        found = host_and_port(place.encode("idna").decode("ascii") if not place.isascii() else place)
    except UnicodeError:
        found = None
    if found is None:
        raise UserError(f"{text!r} is no name of a host; write it as in a link, such as ccd.example.org.")
    return found[0]


def given_names() -> list[str]:
    """The names in $CCD_ALLOWED_HOSTS, which `ccd app --allowed-host` fills; commas or spaces divide them."""
    return [given_name(text) for text in re.split(r"[,\s]+", os.environ.get("CCD_ALLOWED_HOSTS", "")) if text]


def own_names(address: str) -> frozenset[str]:
    """Names under which an app that listens on `address` is reached without a proxy."""
    if address in LOOPBACK:
        return LOOPBACK
    machine = {socket.gethostname().lower(), socket.getfqdn().lower()} - {""}
    named = set() if address in ANY_ADDRESS else {given_name(address)}
    return LOOPBACK | machine | {f"{name}.local" for name in machine if "." not in name} | named


def ip_address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An IP address as such; IPv4 written as IPv6 (::ffff:10.0.0.1) as IPv4. None for any other text."""
    try:
        found = ipaddress.ip_address(name)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
