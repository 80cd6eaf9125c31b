"""One run at a time for an output; the system lifts the lock of a process that died.

Some network shares know no locks. There the lock file itself is the lock: it says who made it, and one whose process
has died on this machine is taken over.
"""

import errno
import fcntl
import logging
import os
import socket
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from facetag.errors import FacetagError, OutputLocked, writing

_POLL = 0.05  #: seconds between tries
_MARK = b"facetag lock\n"  #: what our lock files begin with
_MOST = 1024  #: bytes of one that are read
#: What a file system says that has no such locks.
UNKNOWN = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS}

_log = logging.getLogger("facetag")


@dataclass(frozen=True)
class Held:
    """A lock that is held.

    Attributes:
        handle: of its open file.
        ours: the file is facetag's to remove.
        for_sqlite: the file system has the locks that SQLite uses.
    """

    handle: int
    ours: bool
    for_sqlite: bool


@contextmanager
def locked(path: str, out: str, wait: float = 0.0, stop: Callable[[], bool] = lambda: False) -> Iterator[bool]:
    """Hold the lock file `path` of the output that errors call `out`; it is there as long as somebody holds it.

    Yields whether the file system has the locks that SQLite uses. A lock file that facetag did not make is left there.

    Args:
        wait: seconds to wait for another run.
        stop: asked meanwhile whether to give up waiting.

    Raises:
        OutputLocked: another run holds it still.
        FacetagError: the lock cannot be written, or what lies there is not facetag's.
    """
    deadline = time.monotonic() + wait
    with writing(out):
        while (held := _acquire(path)) is None:
            if time.monotonic() >= deadline or stop():
                raise OutputLocked(
                    f"another run writes {out}{_holder(path)}", "wait until it ends, or use --lock-wait SECONDS"
                )
            time.sleep(_POLL)
    try:
        yield held.for_sqlite
    finally:
        # while it is held: whoever waits finds that the file that he has open is gone, and opens the new one
        if held.ours and _names(path, held.handle):
            with suppress(OSError):
                os.unlink(path)
        os.close(held.handle)


def _acquire(path: str) -> Held | None:
    """The lock, or None while somebody else holds it."""
    handle, made = _open(path)
    try:
        held = _hold(path, handle, made)
    except BaseException:
        os.close(handle)
        raise
    if held is None:
        os.close(handle)
    return held


def _open(path: str) -> tuple[int, bool]:
    """An open lock file, and whether it was made just now; links are not followed."""
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    while True:
        try:
            return _make(path, flags), True
        except FileExistsError:
            with suppress(FileNotFoundError):  # it went meanwhile
                return _open_existing(path, flags), False


def _make(path: str, flags: int) -> int:
    """A new lock file.

    Raises:
        FileExistsError: there is one.
    """
    try:
        return _make_signed(path)
    except FileExistsError:
        raise
    except (AttributeError, OSError):  # not every system and file system has files without a name
        return os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o644)


def _make_signed(path: str) -> int:
    """A new lock file that is signed before it has its name: a kill in between leaves none that is nobody's."""
    handle = os.open(os.path.dirname(path) or ".", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o644)
    try:
        _sign(handle)
        # the handle as a folder is of no account: with one, Python follows the link of /proc
        os.link(f"/proc/self/fd/{handle}", path, src_dir_fd=handle)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _open_existing(path: str, flags: int) -> int:
    try:
        return os.open(path, flags)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):  # a link, a folder, a socket
            raise _not_ours(path) from error
        raise


def _not_ours(path: str) -> FacetagError:
    return FacetagError(f"{path} is not facetag's lock", "move it away, or choose another --out")


def _hold(path: str, handle: int, made: bool) -> Held | None:
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        raise _not_ours(path)
    content = b"" if made else os.pread(handle, _MOST, 0)
    if content and not content.startswith(_MARK):
        raise _not_ours(path)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    except OSError as error:
        if error.errno not in UNKNOWN:
            raise
        return _hold_softly(path, handle, made, content)
    if not _names(path, handle):
        return None  # whoever held it has removed it
    ours = made or content.startswith(_MARK)
    if ours:
        _sign(handle)
    return Held(handle, ours, knows_record_locks(handle))


def _hold_softly(path: str, handle: int, made: bool, content: bytes) -> Held | None:
    """Without locks of the system: the file is held by who made it, as long as its process lives."""
    if made:
        _sign(handle)
        _log.warning("%s lies on a file system without locks; the file itself keeps other runs away", path)
        return Held(handle, True, False)
    if content and _is_dead(content):
        aside = f"{path}.{os.getpid()}"
        with suppress(FileNotFoundError):  # another run took it over
            os.rename(path, aside)
            os.unlink(aside)
    return None


def knows_locks(handle: int) -> bool:
    """Whether the file system of an open file has the locks of flock, which keep runs apart."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(handle, fcntl.LOCK_UN)
    except OSError as error:
        return error.errno not in UNKNOWN
    return True


def knows_record_locks(handle: int, kind: int = fcntl.LOCK_EX) -> bool:
    """Whether the file system of an open file has the locks of fcntl, which SQLite uses; of one that is open to be read
    alone, by LOCK_SH."""
    try:
        fcntl.lockf(handle, kind | fcntl.LOCK_NB)
        fcntl.lockf(handle, fcntl.LOCK_UN)
    except OSError as error:
        return error.errno not in UNKNOWN
    return True


def _names(path: str, handle: int) -> bool:
    """Whether the path is still that of the open file."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(handle))
    except OSError:
        return False


def _sign(handle: int) -> None:
    text = f"{socket.gethostname()}\n{os.getpid()}\n{_started(os.getpid())}\n"
    os.ftruncate(handle, 0)
    os.pwrite(handle, _MARK + text.encode("utf-8", "surrogateescape"), 0)


def _signature(content: bytes) -> tuple[str, int, str] | None:
    """Host, process and its start."""
    lines = content.removeprefix(_MARK).decode("utf-8", "surrogateescape").split("\n")
    if len(lines) < 3 or not lines[1].isdecimal():
        return None
    return lines[0], int(lines[1]), lines[2]


def _is_dead(content: bytes) -> bool:
    """Whether a lock file's process was one of this machine and has ended."""
    signature = _signature(content)
    if signature is None or signature[0] != socket.gethostname():
        return False
    return _started(signature[1]) != signature[2]


def _started(process: int) -> str:
    """When a process of this machine started, in whatever unit the system counts; empty of one that is gone."""
    try:
        with open(f"/proc/{process}/stat", "rb") as stream:
            return stream.read().rpartition(b")")[2].split()[19].decode()
    except (IndexError, OSError):
        return ""


def _holder(path: str) -> str:
    """Who holds it, for an error."""
    try:
        with open(path, "rb") as stream:
            signature = _signature(stream.read(_MOST))
    except OSError:
        return ""
    return f" (process {signature[1]} on {signature[0]})" if signature else ""
