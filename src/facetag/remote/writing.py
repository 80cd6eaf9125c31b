"""What becomes of an output that lies elsewhere: it is looked at before a run, and appears whole when the run ends."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO

from facetag.errors import FacetagError
from facetag.remote.store import reason_of, store_of
from facetag.remote.url import Stamp, Url

_REMEDY = "see who writes there; the same command writes it anew"


def as_it_is(out: Url) -> Url:
    """The output with the stamp of what lies there now; None where nothing does.

    Raises:
        FacetagError: its server does not say.
        UsageError: what its kind of URL needs is not installed.
    """
    with _reached(out):
        try:
            return Url(out, out.whole, store_of(out).stamp(out))
        except FileNotFoundError:
            return Url(out, out.whole)


def ends_of(out: Url, head: int, tail: int) -> tuple[bytes, bytes] | None:
    """So many first and last bytes of what lies there; None where nothing does.

    Raises:
        FacetagError: its server does not give them.
    """
    now = as_it_is(out)
    if now.stamp is None:
        return None
    with _reached(out):
        store = store_of(out)
        return store.read(out, head), store.read_end(out, now.stamp.size, tail)


def replace(out: Url, stream: BinaryIO) -> None:
    """Put a file's bytes there, whole or not at all, if what lies there is still what `out.stamp` says.

    Raises:
        FacetagError: it is not, or the server does not take them.
    """
    with _reached(out):
        try:
            store_of(out).replace(out, stream, out.stamp)
        except FileExistsError as error:
            raise FacetagError(f"{out} was written by another program meanwhile", _REMEDY) from error


def listed(folder: Url) -> Mapping[str, Stamp]:
    """Names and stamps of what lies in a folder; nothing where there is none. Folders in it have no stamp of their own.

    Raises:
        FacetagError: its server does not say.
        UsageError: what its kind of URL needs is not installed.
    """
    with _reached(folder):
        try:
            return {each.name: each.stamp or Stamp(-1, "") for each in store_of(folder).entries(folder)}
        except FileNotFoundError:
            return {}


def make_folder(folder: Url) -> None:
    """Where it is not there; raises FacetagError where it cannot be made."""
    with _reached(folder):
        store_of(folder).make_folder(folder)


def remove(url: Url) -> None:
    """An object, if it is there; raises FacetagError where it cannot be removed."""
    with _reached(url):
        store_of(url).remove(url)


@contextmanager
def _reached(out: Url) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FacetagError(
            f"cannot write {out}: {reason_of(error, out)}", "choose another place, or mend that"
        ) from error
