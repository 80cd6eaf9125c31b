"""What a run asks of an object before it decodes it, with errors as those of files."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import BinaryIO

from facetag.errors import DataError, UnreadableImage, UnsupportedImage, UsageError
from facetag.remote.patience import status_of
from facetag.remote.store import Entry, Refused, reason_of, store_of
from facetag.remote.url import Stamp, Url, as_url

MOST_OF_A_LIST = 1 << 34  #: bytes of a list at a URL; a hundred million lines have fewer


def mark_of(stamp: Stamp) -> tuple[int, int]:
    """Size, and a number in the place of the time of change: another tag has another one."""
    return stamp.size, int.from_bytes(hashlib.sha256(stamp.tag.encode("utf-8", "surrogatepass")).digest()[:8]) >> 1


def mark_now(url: Url) -> tuple[int, int] | None:
    """That of an object as it is now; None where the server does not say enough to know it again."""
    try:
        stamp = url.stamp or store_of(url).stamp(url)
    except (OSError, UsageError):
        return None
    return mark_of(stamp) if stamp.tag else None


def stamp_before(url: Url) -> Stamp:
    """What the server says of an object that is about to be read. It is asked before and not after: whoever replaces
    the object meanwhile makes the answer look old, and it is asked again.

    Raises:
        UnreadableImage, UnsupportedImage: as `read`.
    """
    if url.stamp:
        return url.stamp
    with _readable(url):
        return store_of(url).stamp(url)


def read(url: Url, most: int) -> bytes:
    """An object's bytes, at most so many.

    Raises:
        UnreadableImage: it is not there, may not be read, or its server does not answer.
        UnsupportedImage: what its kind of URL needs is not installed.
    """
    with _readable(url):
        return store_of(url).read(url, most)


@contextmanager
def _readable(url: Url) -> Iterator[None]:
    try:
        yield
    except UsageError as error:
        raise UnsupportedImage(str(error.args[0]), f"install that: {error.remedy}") from error
    except OSError as error:
        raise UnreadableImage(reason_of(error, url)) from error


def entries(folder: Url) -> Iterator[Entry]:
    """What a folder holds, in the order of the names' bytes.

    Raises:
        OSError: it is not there, or may not be listed; nothing of it was.
        DataError: it cannot be listed for another reason, or not to its end.
        UsageError: what its kind of URL needs is not installed.
    """
    try:
        yield from store_of(folder).entries(folder)
    except OSError as error:
        if _is_of_the_folder(error):
            raise
        reason = reason_of(error, folder)
        raise DataError(f"{folder} cannot be listed: {reason}", "mend that; the same command goes on") from error


def _is_of_the_folder(error: OSError) -> bool:
    """Whether the server says that this folder is not there, or is closed. Another error tells nothing about it."""
    kinds = (FileNotFoundError, NotADirectoryError, PermissionError)
    return isinstance(error, kinds) and not isinstance(error, Refused) and status_of(error) in (None, 403, 404)


def head_of(folder: str, name: str, length: int) -> bytes:
    """So many first bytes of what lies in a folder under a name.

    Raises:
        OSError: it cannot be read.
    """
    url = as_url(folder)
    assert url, "only what lies elsewhere is an Entry"
    return store_of(url).read(url.below(name), length)


@contextmanager
def whole_list(url: Url) -> Iterator[BinaryIO]:
    """A list of paths at a URL, as a file; it is fetched whole, so that it is not cut short where a connection breaks.
    It goes to the folder for temporary files and not to memory.

    Raises:
        DataError: it cannot be read, or is larger than MOST_OF_A_LIST.
    """
    with TemporaryFile() as stream:
        try:
            store_of(url).copy(url, stream, MOST_OF_A_LIST + 1)
        except OSError as error:
            raise DataError(f"{url}: {reason_of(error, url)}", "name a list that can be read") from error
        if stream.tell() > MOST_OF_A_LIST:
            raise DataError(f"{url} is larger than {MOST_OF_A_LIST} bytes", "fetch it, and name the file")
        stream.seek(0)
        yield stream
