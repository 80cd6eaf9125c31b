"""Where a document goes: standard output as it comes, or a file, here or at a URL, that appears whole or not at all."""

import errno
import hashlib
import io
import os
import re
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, TextIO, cast

from facetag.errors import UsageError, writing
from facetag.formats.part_folder import SUCCESS, PartFolder, is_folder
from facetag.images.file_types import HEAD_BYTES, kind_of
from facetag.remote import writing as remote
from facetag.remote.url import Url, as_url

#: Told of each point that a run passes at which its death must do no harm; tests die, or fail, there.
Passing = Callable[[str], None]


HIDDEN = ".facetag."  #: what the names of files begin with that become an output when they are whole

#: What a file system says that cannot sync a folder or a file.
UNSYNCED = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF}

#: How documents of facetag begin, or all of one without inputs; a table that ExifTool reads has its own first column.
_OURS = re.compile(
    rb'schema_version([,\t])path\1status\1|(\[\s*)?\{\s*"schema_version"\s*:\s*\d+\s*,\s*"path"\s*:|\[\s*\]\s*\Z'
)

#: Other names of what this process has open.
_DESCRIPTOR = re.compile(r"/(?:dev/fd|proc/(?:self|\d+)/fd)/(\d+)")
_HEAD, _TAIL = 1024, 1 << 16  #: bytes of a file by which its writer is told
_TURNING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")  #: Unicode's bidirectional marks
_STREAMS = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}


def unheeded(point: str) -> None:
    """Passes every point."""


def is_regular(out: str) -> bool:
    """Whether an output is a regular file, there or to be made, a folder of parts, or lies at a URL; standard output,
    FIFOs, /dev/null and what the process has open already (/dev/stdout, /dev/fd/3) are not."""
    if as_url(out) or is_folder(out):
        return True
    return out != "-" and _descriptor(out) is None and _is_regular_or_new(os.path.realpath(out))


def refuse_to_replace(out: str, *inputs: str | None) -> None:
    """See that an output replaces nothing that it should not.

    Raises:
        UsageError: it is one of these inputs, a picture or a journal.
    """
    if is_folder(out) or (not as_url(out) and not (is_regular(out) and os.path.isfile(out))):
        return
    if _same(out) in {_same(each) for each in inputs if each}:
        raise UsageError(f"{out} is read and would be replaced", "name another file")
    head, _ = _ends_of(out, HEAD_BYTES, 0)
    if kind := kind_of(head):
        raise UsageError(f"{out} is a {kind} picture and would be replaced", "name another file")
    if head.startswith(b"SQLite format 3\0"):
        raise UsageError(f"{out} is a journal and would be replaced", "name another file")


def _same(path: str) -> str:
    """One spelling of a path, or a URL."""
    return as_url(path) or os.path.realpath(path)


def see_folder(out: str) -> None:
    """See that an output's folder is there and may be written, long before it is; a folder of parts is made later.

    Raises:
        FacetagError: it is not, or a folder of parts holds what is none.
    """
    url = as_url(out)
    if url and url.scheme in ("http", "https"):
        raise UsageError(f"{out} is no place for a file", "name an object, such as s3://bucket/tags.csv")
    if is_folder(out):
        PartFolder(out).lying()
    if url:
        as_it_is(url)
        return
    if is_folder(out):
        out = out.rstrip("/") if not os.path.isdir(out) else os.path.join(out, SUCCESS)
    with writing(out):
        if os.path.isdir(out):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        _see_name(out)
    if is_regular(out):
        with writing(out):
            folder = os.path.dirname(os.path.realpath(out))
            if not stat.S_ISDIR(os.stat(folder).st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            if not os.access(folder, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _see_name(out: str) -> None:
    """Raises OSError where a name can be no file's: it is too long, leads through a file or round in a circle."""
    number = _descriptor(out)
    if number is not None:
        os.fstat(number)
    elif out != "-":
        with suppress(FileNotFoundError):
            os.stat(out)


def refuse_foreign(out: str, is_known: bool) -> None:
    """See that an output replaces no file that facetag did not write.

    Args:
        is_known: a run's record or journal lies beside it, so that it is facetag's.

    Raises:
        UsageError: the file has content, it is not known, and it does not begin as facetag's documents do.
    """
    if is_known:
        return
    file = PartFolder(out).first() if is_folder(out) else out
    head, tail = _ends_of(file, _HEAD, _TAIL) if file else (b"", b"")
    is_table = head.startswith(b"PAR1") and b"schema_version" in tail and b"image_width" in tail
    is_ours = not head or _OURS.match(head.lstrip()) or is_table
    if not is_ours:
        raise UsageError(
            f"{out} was not written by facetag and would be replaced", "choose another --out, or use --overwrite"
        )


def refuse_lost_journal(out: str, journal: str) -> None:
    """See that an output that is to be added to has the journal that it is written from, or nothing to lose.

    Raises:
        UsageError: it holds something, and its journal is gone.
    """
    file = PartFolder(out).first() if is_folder(out) else out
    has_journal = os.path.exists(journal) and os.path.getsize(journal) > 0
    if not has_journal and file and _ends_of(file, 1, 0)[0]:
        raise UsageError(f"{out} has no journal at {journal}, so nothing can be added to it", "choose another --out")


def _ends_of(out: str, head: int, tail: int) -> tuple[bytes, bytes]:
    """So many first and last bytes of an output; none of one that is not there, or no regular file, or cannot be read:
    who cannot read it may still replace it."""
    if url := as_url(out):
        return remote.ends_of(url, head, tail) or (b"", b"")
    if not is_regular(out) or not os.path.isfile(out):
        return b"", b""
    try:
        with open(out, "rb") as stream:
            first = stream.read(head)
            stream.seek(-min(tail, os.fstat(stream.fileno()).st_size), os.SEEK_END)
            return first, stream.read()
    except OSError:
        return b"", b""


def _descriptor(out: str) -> int | None:
    """The number of a file that the process has open, by one of its names."""
    path = os.path.abspath(out)
    named = _DESCRIPTOR.fullmatch(path)
    return int(named[1]) if named else _STREAMS.get(path)


def next_to(out: str, ending: str) -> str:
    """The path of what lies beside an output: its name and `ending`; of a link, beside what it leads to."""
    return os.path.realpath(out) + ending


@contextmanager
def open_output(out: str, at: Passing = unheeded) -> Iterator[TextIO]:
    """A UTF-8 stream without newline translation; `-` is standard output, flushed line by line.

    A file is written under a hidden name beside it and renamed when all went well, so that readers and other runs
    see the old one or the new one. To a URL it goes when it is whole, by one request that replaces nothing but what
    `as_it_is` saw there. What is no regular file (a FIFO, /dev/null) is written as it comes. A link is
    kept, and what it leads to is replaced.

    Args:
        at: passed "written", "synced" and "renamed".

    Raises:
        FacetagError: it cannot be written; names it and why.
    """
    if out == "-":
        with _standard_output() as stream:
            yield stream
    elif url := as_url(out):
        with _elsewhere(url, at) as stream:
            yield stream
    elif is_regular(out):
        with _whole(out, os.path.realpath(out), at) as stream:
            yield stream
    else:
        with _as_it_comes(out) as stream:
            yield stream


def as_it_is(out: str) -> str:
    """An output at a URL with what is known of what lies there now, all that `open_output` replaces; of a folder of
    parts, of its _SUCCESS. Others as given.

    Raises:
        FacetagError: its server does not say.
    """
    url = as_url(out)
    if url is None:
        return out
    if is_folder(out):
        return Url(url, url.whole, PartFolder(url).lying().get(SUCCESS))
    return remote.as_it_is(url)


def put(out: str, stream: BinaryIO, at: Passing = unheeded) -> None:
    """Replace an output by the bytes of a file, whole or not at all, as `open_output` does.

    Raises:
        FacetagError: as `open_output`.
    """
    if url := as_url(out):
        remote.replace(url, stream)
        at("renamed")
        return
    with open_output(out, at) as new, writing(out):
        stream.seek(0)
        shutil.copyfileobj(stream, new.buffer, 1 << 20)


@contextmanager
def _elsewhere(out: Url, at: Passing) -> Iterator[TextIO]:
    """A file without a name first, which goes with the process."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as stream:
        yield cast(TextIO, stream)
        with writing(out):
            at("written")
            stream.flush()
            at("synced")
        remote.replace(out, cast(BinaryIO, stream.buffer))
        at("renamed")


class _Shown(io.TextIOWrapper):
    """Text for a terminal: marks that would turn what follows them round are spelled out."""

    def write(self, text: str) -> int:
        return super().write(_TURNING.sub(lambda mark: f"\\u{ord(mark[0]):04x}", text))


@contextmanager
def _standard_output() -> Iterator[TextIO]:
    wrapper = _Shown if sys.stdout.isatty() else io.TextIOWrapper
    stream = wrapper(sys.stdout.buffer, encoding="utf-8", newline="", line_buffering=True)
    try:
        yield stream
    finally:
        with suppress(ValueError, OSError):  # closed below us, or what is left cannot be written: said already
            stream.detach()


def _is_regular_or_new(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except FileNotFoundError:
        return True
    except OSError:
        return False


@contextmanager
def _as_it_comes(out: str) -> Iterator[TextIO]:
    number = _descriptor(out)
    with writing(out):  # opening one that is open would cut off what others wrote to it before
        stream = open(out if number is None else os.dup(number), "w", encoding="utf-8", newline="")  # noqa: SIM115 - closing is writing too
    try:
        yield stream
        with writing(out):
            stream.close()
    finally:
        with suppress(OSError):
            stream.close()


@contextmanager
def _whole(out: str, target: str, at: Passing) -> Iterator[TextIO]:
    with writing(out):
        _remove_leftovers(target)
        temporary, handle = _temporary(target)
        as_before(target, handle)  # nobody reads the new answers who could not read the old ones
        stream = open(handle, "w", encoding="utf-8", newline="")  # noqa: SIM115 - closing is writing too
    try:
        yield stream
        with writing(out):
            at("written")
            stream.flush()
            as_before(target, stream.fileno())
            sync(stream.fileno())
            stream.close()
            at("synced")
            os.replace(temporary, target)
            at("renamed")
            sync_folder(os.path.dirname(target))
    except BaseException:
        with suppress(OSError):
            stream.close()
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _leftover_prefix(target: str) -> str:
    """What the hidden names for one output begin with; short, for names have a limit."""
    return f"{HIDDEN}{hashlib.sha256(os.fsencode(os.path.basename(target))).hexdigest()[:16]}."


def _temporary(target: str) -> tuple[str, int]:
    """A new file beside the output, open, whose name nobody can foresee: a link that lies in wait is not followed."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    while True:
        name = f"{_leftover_prefix(target)}{secrets.token_hex(8)}.tmp"
        path = os.path.join(os.path.dirname(target), name)
        with suppress(FileExistsError):
            return path, os.open(path, flags, 0o666)


def _remove_leftovers(target: str) -> None:
    """What killed runs left of this output; this run holds its lock. A folder may be closed to who reads."""
    prefix = _leftover_prefix(target)
    with suppress(PermissionError), os.scandir(os.path.dirname(target)) as entries:
        for entry in entries:
            if entry.name.startswith(prefix) and entry.name.endswith(".tmp"):
                with suppress(OSError):
                    os.unlink(entry.path)


def as_before(target: str, handle: int) -> None:
    """A new file that is open has the mode and, where that is allowed, the owner of the one that it replaces."""
    try:
        before = os.stat(target)
    except OSError:
        return
    mode = stat.S_IMODE(before.st_mode)
    try:
        os.fchown(handle, before.st_uid, before.st_gid)
    except OSError:  # only the superuser gives files away; to a group of their own everybody may
        with suppress(OSError):
            os.fchown(handle, -1, before.st_gid)
    if os.fstat(handle).st_gid != before.st_gid:  # another group may do what everybody may
        mode = mode & ~0o070 | (mode & 0o007) << 3
    with suppress(OSError):  # some shares know no modes
        os.fchmod(handle, mode)


def sync(handle: int) -> bool:
    """Whether the file system could: some network shares answer that they know no such thing."""
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in UNSYNCED:
            raise
        return False
    return True


def sync_folder(folder: str) -> bool:
    """So that a new name survives a power cut; where a folder cannot be opened it is the system's own business.

    Returns:
        Whether the file system could.
    """
    if not hasattr(os, "O_DIRECTORY"):
        return True
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:
        return False
    try:
        return sync(handle)
    finally:
        os.close(handle)
