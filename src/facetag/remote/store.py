"""Where URLs lead: one Store for each bucket or host, with the few things that a run asks of it.

Kinds of stores override what they do in their own way (`remote.s3`, `remote.ssh`, `remote.web`). fsspec and what it
needs are imported by a store that is asked something, and not before.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from threading import Lock
from typing import Any, BinaryIO, TypeVar

from facetag.errors import FacetagError, UsageError
from facetag.remote.patience import Pace, patiently, status_of
from facetag.remote.url import NEEDS, Login, Stamp, Url

Result = TypeVar("Result")

_SAID = {401: "the server wants a login", 403: "Permission denied", 404: os.strerror(2), 410: os.strerror(2)}
_OPEN: dict[tuple[str, Login], "Store"] = {}
_LOCK = Lock()


@dataclass(frozen=True)
class Entry:
    """What a folder holds under a name, with the questions that `os.DirEntry` answers.

    Attributes:
        stamp: None of a folder, and of what is asked for it later.
        special: neither a folder nor a file that may be opened.
    """

    name: str
    folder: bool
    stamp: Stamp | None = None
    special: bool = False

    def is_dir(self) -> bool:
        return self.folder

    def is_file(self) -> bool:
        return not (self.folder or self.special)

    def is_symlink(self) -> bool:
        return False


class Refused(PermissionError):
    """It is not this machine that is refused: its text says what was, and what to do."""


class Store:
    """What lies at one host, or in one bucket. Threads share it."""

    def __init__(self, login: Login) -> None:
        self.login = login
        self._pace = Pace()
        self._files: Any = None
        self._lock = Lock()

    def stamp(self, url: Url) -> Stamp:
        """What the server says of an object without giving it.

        Raises:
            OSError: it is not there, or does not answer; see `reason_of`.
        """
        return self.asked(url, lambda: self._stamp(url))

    def read(self, url: Url, most: int) -> bytes:
        """An object's bytes, not more than `most`.

        Raises:
            OSError: as `stamp`.
        """
        return self.asked(url, lambda: self._read(url, most))

    def copy(self, url: Url, stream: BinaryIO, most: int) -> None:
        """An object's bytes into an empty file, not more than `most`, so that none has to fit memory.

        Raises:
            OSError: as `stamp`.
        """

        def whole() -> None:
            stream.seek(0)
            stream.truncate()
            for block in self._blocks(url, most):
                stream.write(block)

        self.asked(url, whole)

    def read_end(self, url: Url, size: int, most: int) -> bytes:
        """The last bytes of an object of this size, not more than `most`.

        Raises:
            OSError: as `stamp`.
        """
        start = max(size - most, 0)
        if start >= size:
            return b""
        return self.asked(url, lambda: bytes(self.files.cat_file(self.name(url), start=start, end=size)))

    def entries(self, folder: Url) -> Iterator[Entry]:
        """What a folder holds, in the order of the names' bytes.

        Raises:
            OSError: as `stamp`.
        """
        found = self.asked(folder, lambda: self.files.ls(self.name(folder), detail=True))
        listed = [self._entry(each) for each in found]
        yield from sorted(listed, key=lambda entry: os.fsencode(entry.name))

    def replace(self, url: Url, stream: BinaryIO, before: Stamp | None) -> None:
        """Put a file's bytes there, whole or not at all, if what lies there is as it was `before`; None: nothing.

        Raises:
            FileExistsError: it is not.
            OSError: as `stamp`.
        """
        self._refuse_changed(url, before)
        stream.seek(0)
        data = stream.read()
        self.asked(url, lambda: self.files.pipe_file(self.name(url), data))

    def make_folder(self, folder: Url) -> None:
        """Where it is not there.

        Raises:
            OSError: it cannot be made.
        """
        self.asked(folder, lambda: self.files.makedirs(self.name(folder).rstrip("/"), exist_ok=True))

    def remove(self, url: Url) -> None:
        """An object, if it is there.

        Raises:
            OSError: it cannot be removed.
        """
        with suppress(FileNotFoundError):
            self.asked(url, lambda: self.files.rm_file(self.name(url)))

    @property
    def files(self) -> Any:
        """fsspec's file system, connected; of SSH, paramiko's clients."""
        with self._lock:
            self._files = self._files or self.connect()
            return self._files

    def connect(self) -> Any:
        """What `files` is to be."""
        return new_files("memory")

    def name(self, url: Url) -> str:
        """What the file system calls an object."""
        return f"/{self.login.host}/{url.path}"

    def asked(self, url: Url, work: Callable[[], Result]) -> Result:
        """What a request answers, patiently."""
        try:
            return patiently(work, self._pace, self._forget)
        except (FacetagError, OSError):
            raise
        except Exception as error:  # each library has errors of its own; callers know one kind
            raise OSError(reason_of(error, url)) from error

    def _stamp(self, url: Url) -> Stamp:
        info = self.files.info(self.name(url))
        if info.get("type") == "directory":
            raise FileNotFoundError(f"{url} is a folder, whose URL ends in a slash")
        return stamp_of(info)

    def _read(self, url: Url, most: int) -> bytes:
        files = self.files
        with self._lock:  # the readers of a file in memory share one position
            return bytes(files.cat_file(self.name(url), start=0, end=most))

    def _blocks(self, url: Url, most: int) -> Iterator[bytes]:
        yield self._read(url, most)

    def _entry(self, info: dict[str, Any]) -> Entry:
        is_folder = info["type"] == "directory"
        name = str(info["name"]).rstrip("/").rpartition("/")[2]
        return Entry(name, is_folder, None if is_folder else stamp_of(info))

    def _refuse_changed(self, url: Url, before: Stamp | None) -> None:
        try:
            now = self.stamp(url)
        except FileNotFoundError:
            now = None
        if now != before:
            raise FileExistsError(CHANGED)

    def _forget(self) -> None:
        """What may be broken is connected anew."""


#: What errors say of an output that another program wrote meanwhile.
CHANGED = "another program wrote it meanwhile"


def store_of(url: Url) -> Store:
    """The store that a URL lies in.

    Raises:
        UsageError: what it needs is not installed.
    """
    refuse_without_extra(url)
    with _LOCK:
        key = (url.scheme, url.login)
        if key not in _OPEN:
            _OPEN[key] = _kind(url.scheme)(url.login)
        return _OPEN[key]


def _kind(scheme: str) -> type[Store]:
    if scheme == "s3":
        from facetag.remote.s3 import S3Store

        return S3Store
    if scheme in ("ssh", "sftp"):
        from facetag.remote.ssh import SshStore

        return SshStore
    if scheme in ("http", "https"):
        from facetag.remote.web import WebStore

        return WebStore
    return Store


def refuse_without_extra(url: Url) -> None:
    """See that what a URL needs is installed.

    Raises:
        UsageError: it is not.
    """
    needed, extra = NEEDS[url.scheme]
    if any(find_spec(module) is None for module in ("fsspec", needed)):
        raise UsageError(f"{url.scheme}:// needs {needed}", f"pip install 'facetag[{extra}]'")


def new_files(protocol: str, **options: Any) -> Any:
    """A file system of fsspec of its own; one that remembers listings is to be told not to: it would read what was."""
    fsspec = import_module("fsspec")
    return fsspec.filesystem(protocol, skip_instance_cache=True, **options)


def stamp_of(info: dict[str, Any]) -> Stamp:
    """Of what fsspec says about an object."""
    tags = (info.get(key) for key in ("ETag", "Last-Modified", "LastModified", "mtime", "created"))
    size, tag = info.get("size"), next(filter(None, tags), "")
    if isinstance(tag, float):  # a listing of fsspec's memory has seconds where its other answers have a datetime
        tag = datetime.fromtimestamp(tag, UTC)
    return Stamp(-1 if size is None else int(size), str(tag).strip('"'))


def reason_of(error: BaseException, url: Url) -> str:
    """Why a request failed, in a few words that hold no secret."""
    status = status_of(error)
    if status in _SAID:
        return _SAID[status]
    if status is not None and status >= 300:
        return f"the server answered {status}"
    if isinstance(error, FileNotFoundError):
        return _SAID[404]
    if isinstance(error, PermissionError) and not isinstance(error, Refused):
        return _SAID[403]
    said = next(iter(str(getattr(error, "strerror", None) or error).splitlines()), "")
    return url.without_secrets(said) or type(error).__name__


def blocks_of(stream: BinaryIO, most: int, size: int) -> Iterator[bytes]:
    """What is left of a stream, but not more than `most` bytes, so many at a time."""
    while most > 0 and (block := stream.read(min(most, size))):
        yield block
        most -= len(block)


def end_connections() -> None:
    """For tests, and for a process that was forked."""
    with _LOCK, suppress(RuntimeError):
        _OPEN.clear()
