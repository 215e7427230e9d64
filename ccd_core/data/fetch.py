"""Download and unpack a public data set: resumed where it was cut off, checked by MD5, never written outside its folder.

Written on urllib: torchvision's and pooch's downloaders begin again from nothing after an interruption, and huggingface_hub's is for its own
server. What is half there is `NAME.partial`, and goes on from its last byte where the server allows it.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import shutil
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from ccd_core.data.sources import SOURCES, Archive, in_a_row, in_words
from ccd_core.errors import UserError

Report = Callable[[str, int, int], None]  # what is being done, bytes done, bytes in all
CHUNK = 1 << 20
ATTEMPTS = 5  # in a row without a new byte, per address
TIMEOUT_SECONDS = 30
SPARE_BYTES = 200_000_000


class Unreachable(UserError):
    """No address has the archive, or none at the moment."""


def fetch(
    kind: str, folder: Path, mirror: str | None = None, keep: bool = False, report: Report = lambda *_: None
) -> None:
    """Download the archives of `kind` (voc2007, voc2012, coco2014) into `folder` and unpack them there; what is there already is skipped.

    `mirror` is the address of a folder that has the same files. Archives are removed once unpacked unless `keep`. Raises UserError, with
    what to do by hand, where something cannot be had.
    """
    if kind not in SOURCES:
        raise UserError(f"There is nothing to fetch for {kind!r}; the data sets are {', '.join(SOURCES)}.")
    if SOURCES[kind].by_hand:
        raise UserError(SOURCES[kind].by_hand.replace("DIR", str(folder)))
    folder.mkdir(parents=True, exist_ok=True)
    archives = [archive for archive in SOURCES[kind].archives if not _mark(folder, archive).is_file()]
    _check_space(folder, archives)
    if mirror:
        archives = [replace(archive, urls=(f"{mirror.rstrip('/')}/{archive.name}",)) for archive in archives]
    for archive in archives:
        try:
            with _full_disk_as_a_sentence(folder):
                path = download(archive, folder, report)
                unpack(path, folder, report)
        except Unreachable as error:
            missing = [
                f"{one.name} ({one.size}, MD5 {one.md5})" for one in archives[archives.index(archive) :]
            ]
            raise UserError(
                f"{error} Give the same command again to go on where it was, or get {in_a_row(missing)} by other means, put what you have into "
                f"{folder} and give the command again: what is there is only unpacked."
            ) from None
        _mark(folder, archive).write_text(
            "unpacked by `ccd data fetch`; remove this file to fetch the archive again\n"
        )
        if not keep:
            path.unlink()


def _mark(folder: Path, archive: Archive) -> Path:
    return folder / f".{archive.name}.unpacked"


def _check_space(folder: Path, archives: list[Archive]) -> None:
    """An archive and what is in it are there together for a while; images do not get larger by unpacking."""
    needed = sum(archive.bytes for archive in archives) + max(
        (archive.bytes for archive in archives), default=0
    )
    needed -= sum(path.stat().st_size for archive in archives for path in _begun(folder, archive))
    free = shutil.disk_usage(folder).free
    if archives and free < needed + SPARE_BYTES:
        raise UserError(
            f"{folder} has {in_words(free)} free and {in_words(needed + SPARE_BYTES)} are needed; make room or choose another folder."
        )


def _begun(folder: Path, archive: Archive) -> Iterator[Path]:
    return (path for path in (folder / archive.name, folder / f"{archive.name}.partial") if path.is_file())


@contextmanager
def _full_disk_as_a_sentence(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UserError(
            f"The disk of {folder} is full; make room and give the same command again, it goes on where it was."
        ) from None


def download(archive: Archive, folder: Path, report: Report) -> Path:
    """The archive in `folder`, whole and with the right MD5. Raises Unreachable where no address has it."""
    path, partial = folder / archive.name, folder / f"{archive.name}.partial"
    if (
        path.is_file() and path.stat().st_size == archive.bytes
    ):  # put there by hand, or left by a fetch that ended while unpacking
        _check_md5(path, archive, report)
        return path
    hosts_of: dict[str, list[str]] = {}
    for url in archive.urls:
        reason = _download_from(url, partial, archive, report)
        if reason is None:
            _check_md5(partial, archive, report)
            partial.replace(path)
            return path
        hosts_of.setdefault(reason, []).append(urlsplit(url).netloc or url)
    said = "; ".join(f"{in_a_row(hosts)}: {reason}" for reason, hosts in hosts_of.items())
    raise Unreachable(f"{archive.name} ({archive.size}) could not be downloaded ({said}).")


def _download_from(url: str, partial: Path, archive: Archive, report: Report) -> str | None:
    """Add to `partial` until it is whole; the reason why not, or None. Goes on after an interruption as long as bytes still come."""
    failures, reason = 0, ""
    while failures < ATTEMPTS:
        before = partial.stat().st_size if partial.is_file() else 0
        if before == archive.bytes:
            return None
        if before > archive.bytes:
            partial.unlink()
            before = 0
        try:
            _receive(url, partial, before, archive, report)
        except urllib.error.HTTPError as error:
            if error.code == 416:  # the server's file is shorter than what is here
                partial.unlink(missing_ok=True)
            if error.code < 500 and error.code not in (408, 416, 429):
                return f"the server says {error.code} {error.reason}"
            reason = f"the server says {error.code} {error.reason}"
        except urllib.error.URLError as error:
            if not before:
                return f"not reached, {error.reason}"
            reason = f"not reached, {error.reason}"
        except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
            reason = f"the connection broke ({type(error).__name__})"
        after = partial.stat().st_size if partial.is_file() else 0
        if after == archive.bytes:
            return None
        failures = 0 if after > before else failures + 1
        time.sleep(min(0.2 * 2**failures, 10))
    return f"{reason or 'the file there has another size'}; {in_words(after)} of {archive.size} came"


def _receive(url: str, partial: Path, begin: int, archive: Archive, report: Report) -> None:
    """One request: append to `partial` where the server resumes, else write it from the start."""
    headers = {"User-Agent": "ccd"} | ({"Range": f"bytes={begin}-"} if begin else {})
    with urllib.request.urlopen(
        urllib.request.Request(url, headers=headers), timeout=TIMEOUT_SECONDS
    ) as response:
        resumed = response.status == 206 and response.headers.get("Content-Range", "").startswith(
            f"bytes {begin}-"
        )
        done = begin if resumed else 0
        with open(partial, "ab" if resumed else "wb") as file:
            while chunk := response.read1(CHUNK):
                file.write(chunk)
                done += len(chunk)
                report(f"downloading {archive.name}", done, archive.bytes)
                if done > archive.bytes:
                    return


def _check_md5(path: Path, archive: Archive, report: Report) -> None:
    digest, done = hashlib.md5(usedforsecurity=False), 0
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            done += len(chunk)
            report(f"checking {archive.name}", done, archive.bytes)
    if digest.hexdigest() != archive.md5:
        bad = path.with_name(f"{archive.name}.wrong")
        path.replace(bad)
        raise UserError(
            f"{archive.name} is not what it should be: its MD5 is {digest.hexdigest()} and {archive.md5} is published. It was set aside as {bad}; "
            "give the same command again to download it anew."
        )


def unpack(path: Path, folder: Path, report: Report) -> None:
    """Write the archive's files below `folder`; those that are there with their full size are skipped. Links and odd names are refused."""
    total, done = path.stat().st_size, 0
    for name, size, content in _files(path):
        target = (folder / name).resolve()
        if not target.is_relative_to(folder.resolve()):
            raise UserError(
                f"{path} holds a file that would be written outside {folder} ({name!r}); nothing more of it was unpacked."
            )
        if not (target.is_file() and target.stat().st_size == size):
            target.parent.mkdir(parents=True, exist_ok=True)
            with content() as source, open(target, "wb") as file:
                shutil.copyfileobj(source, file, CHUNK)
        done += size
        report(f"unpacking {path.name}", min(done, total), total)


def _files(path: Path) -> Iterator[tuple[str, int, Callable[[], IO[bytes]]]]:
    """Name, size and content of every ordinary file of a tar or zip archive."""
    try:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                for entry in archive.infolist():
                    if not entry.is_dir():
                        yield entry.filename, entry.file_size, lambda entry=entry: archive.open(entry)  # type: ignore[misc]
        else:
            with tarfile.open(path) as tar:
                for member in tar:
                    if member.isfile():
                        yield member.name, member.size, lambda member=member: tar.extractfile(member)  # type: ignore[misc]
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise UserError(f"{path} is damaged ({error}); remove it and give the same command again.") from None
