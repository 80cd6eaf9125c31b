"""Where a document goes: standard output as it comes, or a file that appears whole or not at all."""

import io
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from facetag.errors import writing


@contextmanager
def open_output(out: str) -> Iterator[TextIO]:
    """A UTF-8 stream without newline translation; `-` is standard output, flushed line by line.

    A file is written under a hidden name beside it and renamed when all went well, so that readers and other runs
    see the old one or the new one. What is no regular file (a FIFO, /dev/null) is written as it comes. A link is
    kept, and what it leads to is replaced.

    Raises:
        FacetagError: it cannot be written; names it and why.
    """
    if out == "-":
        with _standard_output() as stream:
            yield stream
    elif _is_regular_or_new(target := os.path.realpath(out)):
        with _whole(out, target) as stream:
            yield stream
    else:
        with _as_it_comes(out) as stream:
            yield stream


@contextmanager
def _standard_output() -> Iterator[TextIO]:
    stream = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="", line_buffering=True)
    try:
        yield stream
    finally:
        with suppress(ValueError):  # closed below us
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
    with writing(out):
        stream = open(out, "w", encoding="utf-8", newline="")  # noqa: SIM115 - closing is writing too
    try:
        yield stream
        with writing(out):
            stream.close()
    finally:
        with suppress(OSError):
            stream.close()


@contextmanager
def _whole(out: str, target: str) -> Iterator[TextIO]:
    folder = os.path.dirname(target)
    temporary = os.path.join(folder, f".facetag.{os.getpid()}.tmp")
    with writing(out):
        stream = open(temporary, "w", encoding="utf-8", newline="")  # noqa: SIM115 - closing is writing too
    try:
        yield stream
        with writing(out):
            stream.flush()
            os.fsync(stream.fileno())
            stream.close()
            os.replace(temporary, target)
            _sync_folder(folder)
    except BaseException:
        with suppress(OSError):
            stream.close()
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _sync_folder(folder: str) -> None:
    """So that the new name survives a power cut; where folders cannot be opened it is the system's own business."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
