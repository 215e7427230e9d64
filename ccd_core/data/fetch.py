"""Download and unpack a public data set.

An interrupted download goes on where it stopped, every archive is checked by its MD5, and nothing is written
outside the chosen folder. An unfinished download is `NAME.partial`; it is continued after its last byte if
the server can do that. The module uses urllib, because the downloaders of torchvision and pooch start again
from the beginning after an interruption, and that of huggingface_hub works with its own server only.
"""

from __future__ import annotations

import errno
import functools
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

Report = Callable[[str, int, int], None]  # called with (what is being done, bytes done, bytes in total)
CHUNK = 1 << 20
ATTEMPTS = 5  # an address is given up after so many requests in a row that brought no new byte
TIMEOUT_SECONDS = 30
SPARE_BYTES = 200_000_000


class Unreachable(UserError):
    """The archive cannot be downloaded from any of its addresses, at least at the moment."""


def fetch(
    kind: str, folder: Path, mirror: str | None = None, keep: bool = False, report: Report = lambda *_: None
) -> None:
    """Download the archives of `kind` (voc2007, voc2012 or coco2014) into `folder`, and unpack them there.

    What is there already is skipped. `mirror` is the address of another folder with the same files. Archives
    are removed after unpacking unless `keep` is true. Raises UserError if something cannot be had; the
    sentence says what to do by hand.
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
    for number, archive in enumerate(archives):
        try:
            with _full_disk_as_a_sentence(folder):
                path = download(archive, folder, report)
                unpack(path, folder, report)
        except Unreachable as error:
            raise UserError(f"{error} {_by_other_means(archives[number:], folder)}") from None
        _mark(folder, archive).write_text(
            "unpacked by `ccd data fetch`; remove this file to fetch the archive again\n"
        )
        if not keep:
            path.unlink()


def _by_other_means(archives: list[Archive], folder: Path) -> str:
    missing = [f"{archive.name} ({archive.size}, MD5 {archive.md5})" for archive in archives]
    return (
        f"Give the same command again to go on where it stopped. Or get {in_a_row(missing)} by other means, "
        "put "
        f"what you have into {folder} and give the command again; then it is only unpacked."
    )


def _mark(folder: Path, archive: Archive) -> Path:
    return folder / f".{archive.name}.unpacked"


def _check_space(folder: Path, archives: list[Archive]) -> None:
    """Raise UserError if the disk cannot hold all archives unpacked and, beside them, the largest archive.

    An archive is removed only after it was unpacked. Images do not grow by unpacking.
    """
    if not archives:
        return
    sizes = [archive.bytes for archive in archives]
    already_there = sum(path.stat().st_size for archive in archives for path in _begun(folder, archive))
    needed = sum(sizes) + max(sizes) - already_there + SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f"{folder} has {in_words(free)} free and {in_words(needed)} are needed; make room or choose "
            "another folder."
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
            f"The disk of {folder} is full; make room and give the same command again to go on where it "
            "stopped."
        ) from None


def download(archive: Archive, folder: Path, report: Report) -> Path:
    """Download the archive into `folder` and check its MD5. Raises Unreachable if no address has it."""
    path = folder / archive.name
    partial = folder / f"{archive.name}.partial"
    # The user may have put the archive there, or an earlier fetch ended while unpacking it.
    if path.is_file() and path.stat().st_size == archive.bytes:
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
    reasons = "; ".join(f"{in_a_row(hosts)}: {reason}" for reason, hosts in hosts_of.items())
    raise Unreachable(f"{archive.name} ({archive.size}) could not be downloaded ({reasons}).")


def _download_from(url: str, partial: Path, archive: Archive, report: Report) -> str | None:
    """Append to `partial` until it is complete. Returns None, or the reason why that is not possible.

    After an interruption it tries again, as long as its attempts bring new bytes.
    """
    failures = 0
    reason = ""
    while failures < ATTEMPTS:
        before = _size(partial)
        if before == archive.bytes:
            return None
        if before > archive.bytes:
            partial.unlink()
            before = 0
        try:
            _receive(url, partial, before, archive, report)
        except urllib.error.HTTPError as error:
            if error.code == 416:  # the server's file is shorter than the part that is here
                partial.unlink(missing_ok=True)
            reason = f"the server says {error.code} {error.reason}"
            if error.code < 500 and error.code not in (408, 416, 429):
                return reason
        except urllib.error.URLError as error:
            reason = f"not reached, {error.reason}"
            if not before:
                return reason
        except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
            reason = f"the connection broke ({type(error).__name__})"
        after = _size(partial)
        if after == archive.bytes:
            return None
        failures = 0 if after > before else failures + 1
        time.sleep(min(0.2 * 2**failures, 10))
    return f"{reason or 'the file there has another size'}; {in_words(after)} of {archive.size} came"


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _receive(url: str, partial: Path, begin: int, archive: Archive, report: Report) -> None:
    """Send one request. Append to `partial` if the server resumes at `begin`, else write it anew."""
    headers = {"User-Agent": "ccd"} | ({"Range": f"bytes={begin}-"} if begin else {})
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
        content_range = response.headers.get("Content-Range", "")
        resumed = response.status == 206 and content_range.startswith(f"bytes {begin}-")
        done = begin if resumed else 0
        with open(partial, "ab" if resumed else "wb") as file:
            while chunk := response.read1(CHUNK):
                file.write(chunk)
                done += len(chunk)
                report(f"downloading {archive.name}", done, archive.bytes)
                if done > archive.bytes:
                    return


def _check_md5(path: Path, archive: Archive, report: Report) -> None:
    digest = hashlib.md5(usedforsecurity=False)
    done = 0
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            done += len(chunk)
            report(f"checking {archive.name}", done, archive.bytes)
    if digest.hexdigest() != archive.md5:
        bad = path.with_name(f"{archive.name}.wrong")
        path.replace(bad)
        raise UserError(
            f"{archive.name} is not what it should be: its MD5 is {digest.hexdigest()} and {archive.md5} is "
            f"published. It was set aside as {bad}; give the same command again to download it anew."
        )


def unpack(path: Path, folder: Path, report: Report) -> None:
    """Write the archive's files below `folder`. Files that are there with their full size are skipped.

    Links and devices are skipped too. Raises UserError if the archive is damaged, or if one of its files
    would be written outside `folder`.
    """
    total = path.stat().st_size
    done = 0
    for name, size, content in _files(path):
        target = (folder / name).resolve()
        if not target.is_relative_to(folder.resolve()):
            raise UserError(
                f"{path} holds a file that would be written outside {folder} ({name!r}); unpacking stopped "
                "there."
            )
        if not (target.is_file() and target.stat().st_size == size):
            target.parent.mkdir(parents=True, exist_ok=True)
            with content() as source, open(target, "wb") as file:
                shutil.copyfileobj(source, file, CHUNK)
        done += size
        report(f"unpacking {path.name}", min(done, total), total)


def _files(path: Path) -> Iterator[tuple[str, int, Callable[[], IO[bytes]]]]:
    """Yield (name, size in bytes, a function that opens the content) of every ordinary file in an archive."""
    try:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                for entry in archive.infolist():
                    if not entry.is_dir():
                        yield entry.filename, entry.file_size, functools.partial(archive.open, entry)
        else:
            with tarfile.open(path) as tar:
                for member in tar:
                    if member.isfile():  # for ordinary files, extractfile never returns None
                        content = functools.partial(tar.extractfile, member)
                        yield member.name, member.size, content  # type: ignore[misc]
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise UserError(f"{path} is damaged ({error}); remove it and give the same command again.") from None
