"""Which files a command reads: a lazy stream of paths from files, folders, lists and URLs of these."""

import os
import re
import stat
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, cast

from facetag.errors import UsageError
from facetag.images.exclusion import Exclusion
from facetag.images.file_types import DRAWN, EXTENSIONS, HEAD_BYTES, kind_of
from facetag.images.seen_paths import SeenPaths
from facetag.remote import reading as remote
from facetag.remote.store import Entry
from facetag.remote.url import Url, as_url

_LIST_BLOCK = 1 << 16
_LONGEST_PATH = 1 << 20  #: bytes in a list, which no system has; more are a list of another kind, read ever more slowly
_WIDE = 0.3  #: share of NUL bytes in a list that is UTF-16: half of its bytes, where names are plain
_WIDER = 0.6  #: of one that is UTF-32: three quarters
_DRAWING = re.compile(r"-[0-9a-f]{16}\.jpg$")  #: how the names of drawings end (`pipeline.drawing`)


class Seen(StrEnum):
    """What became of a path that discovery met."""

    FOUND = "found"  #: yielded
    FOLDER = "folder"  #: to be entered
    OTHER = "other"  #: no image by name and first bytes, or not wanted: left alone
    HIDDEN = "hidden"  #: its name begins with a dot
    SPECIAL = "special"  #: a FIFO, socket or device in a folder: never opened
    REPEATED = "repeated"  #: met before under the same path
    LINK = "link"  #: a symlinked folder that is not followed, or one that leads back into itself


@dataclass(frozen=True)
class _Folder:
    """A folder under one of the inputs.

    Attributes:
        path: as the user would write it.
        inner: the same below the input; "" for the input itself.
        above: (device, inode) of the folders that led here, to notice a loop.
    """

    path: str
    inner: str = ""
    above: tuple[tuple[int, int], ...] = ()


_Entry = tuple[_Folder, "os.DirEntry[str] | Path | Entry"]


class Discovery:
    """Iterate to get paths, once; `counts` says what has been met so far."""

    def __init__(
        self,
        inputs: Iterable[str],
        *,
        recursive: bool = True,
        extensions: Iterable[str] | None = None,
        exclude: Iterable[str] = (),
        follow_links: bool = False,
        hidden: bool = False,
        relative_to: str = "",
        drawings: str = "",
    ) -> None:
        self.counts: Counter[Seen] = Counter()
        self._inputs = inputs
        self._recursive = recursive
        self._extensions = None if extensions is None else frozenset(e.lower().lstrip(".") for e in extensions)
        self._excluded = Exclusion(exclude)
        self._follow_links = follow_links
        self._with_hidden = hidden
        self._name = name_below(relative_to) if relative_to else _as_given
        self._key = _keys()
        self._drawings = self._key(drawings) if drawings else None
        self._named = SeenPaths()
        self._root = relative_to
        self._entered: dict[str, _Folder] = {}
        self._unlisted: set[str] = set()

    def __iter__(self) -> Iterator[str]:
        for path in self._inputs:
            for found in self._found(path):
                self.counts[Seen.FOUND] += 1
                yield self._name(found)

    def was_missing(self, path: str) -> bool:
        """Whether the user named this path (as it was yielded) and nothing is there."""
        if url := as_url(path):
            return url in self._named
        where = os.path.join(self._root, path)
        return self._key(where) in self._named and not os.path.lexists(where)

    def _found(self, path: str) -> Iterator[str]:
        """What one input stands for."""
        if url := as_url(path):
            return self._walk_url(url.folder) if url.is_folder else self._named_once(url)
        return self._walk(_Folder(path)) if os.path.isdir(path) else self._named_once(path)

    def _named_once(self, path: str) -> Iterator[str]:
        """A path that the user named is yielded whatever it is, so that it gets its row."""
        key = self._key(path)
        if self._was_walked(key) or not self._named.add(key):
            self.counts[Seen.REPEATED] += 1
        else:
            yield path

    def _was_walked(self, key: str) -> bool:
        """Whether a walk yielded it: only folders are remembered of a walk, so that memory stays flat."""
        if url := as_url(key):
            above, file = self._entered.get(url.parent), Entry(url.rpartition("/")[2], False)
            if above is None or url.parent in self._unlisted or self._judge((above, file)) is not Seen.FOUND:
                return False
            return remote.mark_now(url) is not None
        folder = self._entered.get(os.path.dirname(key))
        return folder is not None and os.path.lexists(key) and self._judge((folder, Path(key))) is Seen.FOUND

    def _walk(self, root: _Folder) -> Iterator[str]:
        """Images in the order of their names' bytes, folders among them at their place.

        A folder that cannot be listed is yielded itself: its row says so, and nothing shrinks in silence.
        """
        pending: list[_Folder | _Entry] = [root]
        while pending:
            item = pending.pop()
            if isinstance(item, _Folder):
                try:
                    pending.extend(self._enter(item))
                except OSError:
                    yield item.path
            elif (seen := self._see(item)) is Seen.FOLDER:
                pending.append(_below(item))
            elif seen is Seen.FOUND:
                yield os.path.join(item[0].path, item[1].name)

    def _walk_url(self, top: Url) -> Iterator[Url]:
        """The same in a folder that lies elsewhere, by the same rules. It is listed as it is walked, so that the names
        in it need not fit memory.

        Raises:
            DataError: it cannot be listed to its end; what was not listed is not to leave the output for that.
        """
        entered = [self._enter_url(top, "")]
        while entered:
            here, folder, entries = entered[-1]
            try:
                entry = next(entries, None)
            except OSError:  # nothing of it was listed
                self._unlisted.add(folder)
                yield folder
                entry = None
            if entry is None:
                entered.pop()
                continue
            seen = self._see((here, entry))
            if seen is Seen.FOLDER:
                entered.append(self._enter_url(folder.below(entry.name, is_folder=True), f"{here.inner}{entry.name}/"))
            elif seen is Seen.FOUND:
                yield folder.below(entry.name, stamp=entry.stamp)

    def _enter_url(self, folder: Url, inner: str) -> tuple[_Folder, Url, Iterator[Entry]]:
        """A folder elsewhere with its entries, none where it was entered before."""
        here = _Folder(folder, inner)
        if folder in self._entered:
            self.counts[Seen.REPEATED] += 1
            return here, folder, iter(())
        self._entered[folder] = here
        return here, folder, iter(remote.entries(folder))

    def _enter(self, folder: _Folder) -> list[_Entry]:
        """The entries of a folder, the last one first, for a stack."""
        status = os.stat(folder.path)
        identity = (status.st_dev, status.st_ino)
        key = self._key(folder.path)
        if identity in folder.above:
            self.counts[Seen.LINK] += 1
            return []
        if key in self._entered:
            self.counts[Seen.REPEATED] += 1
            return []
        with os.scandir(folder.path) as entries:
            ordered = sorted(entries, key=lambda entry: os.fsencode(entry.name), reverse=True)
        here = _Folder(folder.path, folder.inner, (*folder.above, identity))
        self._entered[key] = here
        return [(here, entry) for entry in ordered]

    def _see(self, entry: _Entry) -> Seen:
        """Judge an entry and count it, unless it is for the caller to follow up."""
        seen = self._judge(entry)
        if seen is Seen.FOUND and self._named and self._key(os.path.join(entry[0].path, entry[1].name)) in self._named:
            seen = Seen.REPEATED
        if seen not in (Seen.FOUND, Seen.FOLDER):
            self.counts[seen] += 1
        return seen

    def _judge(self, entry: _Entry) -> Seen:
        """What an entry is by itself."""
        folder, file = entry
        if file.name.startswith(".") and not self._with_hidden:
            return Seen.HIDDEN
        path, inner = (os.path.join(above, file.name) for above in (folder.path, folder.inner))
        if self._excluded and self._excluded(path, inner, _sort(file, self._follow_links) is Seen.FOLDER):
            return Seen.OTHER
        sort = _sort(file)
        if sort is not Seen.FOLDER:
            return Seen.OTHER if sort is Seen.FOUND and not self._is_input(entry) else sort
        if file.is_symlink() and not self._follow_links:
            return Seen.LINK
        is_entered = self._recursive and not self._is_ours(path)
        return Seen.FOLDER if is_entered else Seen.OTHER

    def _is_ours(self, folder: str) -> bool:
        """The folder that the command itself draws into."""
        return self._drawings is not None and self._key(folder) == self._drawings

    def _is_input(self, entry: _Entry) -> bool:
        """By its name, or else by its first bytes; by the given extensions alone where there are some. What an earlier
        run drew is not."""
        name = entry[1].name
        if _DRAWING.search(name) and _head(entry).startswith(DRAWN):
            return False
        extension = os.path.splitext(name)[1][1:].lower()
        if self._extensions is not None:
            return extension in self._extensions
        return extension in EXTENSIONS or bool(kind_of(_head(entry)))


def discover(
    inputs: Iterable[str],
    *,
    recursive: bool = True,
    extensions: Iterable[str] | None = None,
    exclude: Iterable[str] = (),
    follow_links: bool = False,
    hidden: bool = False,
    relative_to: str = "",
    drawings: str = "",
) -> Discovery:
    """Stream the paths of the images that these files and folders hold.

    Inputs keep their order, folders are walked sorted, and a path that was met is not yielded again. A file named in
    `inputs` is always yielded, even when it is missing, of another kind, hidden or excluded; its row tells the rest.
    In folders, a file is yielded when its name or its first bytes say image. A URL that ends in a slash is a folder.

    Args:
        inputs: may be lazy; it is read no further than the stream is.
        recursive: enter the folders in folders.
        extensions: in folders, only names with these endings (with or without the dot, any case).
        exclude: patterns as in a .gitignore file that lies in the input (`images.exclusion`); what matches in a folder
            is left alone, and an excluded folder is not entered.
        follow_links: enter symlinked folders below the inputs; loops end where they close.
        hidden: also what begins with a dot.
        relative_to: a folder that paths are to be seen from (`name_below`).
        drawings: a folder below the inputs that is left alone, for what lies in it was drawn by an earlier run.

    Returns:
        An iterable of paths as the user would write them, which also counts what it passed over.

    Raises:
        UsageError: `exclude` holds what is no pattern.
    """
    return Discovery(
        inputs,
        recursive=recursive,
        extensions=extensions,
        exclude=exclude,
        follow_links=follow_links,
        hidden=hidden,
        relative_to=relative_to,
        drawings=drawings,
    )


def _as_given(path: str) -> str:
    return path


def name_below(folder: str) -> Callable[[str], str]:
    """From a path to the same seen from `folder`, different for different paths; outside it, to its absolute form.

    A URL stays as it is. Links are not looked through, and what stands before a `..` is kept where it is a link.
    """
    key = _keys()
    top = Path(key(folder))

    def name(path: str) -> str:
        if url := as_url(path):
            return url
        absolute = Path(key(path))
        return os.fspath(absolute.relative_to(top) if absolute.is_relative_to(top) else absolute)

    return name


def files_from(stream: BinaryIO, null: bool = False) -> Iterator[str]:
    """Paths of a list, one a line or NUL-terminated, as they arrive; empty ones and a byte order mark are passed over.

    Args:
        stream: binary, so that any file name survives (os.fsdecode).
        null: NUL ends a path and newlines belong to it; otherwise a line ends in LF or CRLF.

    Raises:
        UsageError: the list is written in another way.
    """
    end = b"\0" if null else b"\n"
    block = _read_some(stream)
    check_list(block, null)
    *lines, rest = block.removeprefix(b"" if null else BOM_UTF8).split(end)
    yield from _paths(lines, null)
    while block := _read_some(stream):
        if not null:
            check_list(block, null)
        *lines, rest = (rest + block).split(end)
        yield from _paths(lines, null)
        if len(rest) > _LONGEST_PATH:
            reason = f"a path in the list of --files-from has more than {_LONGEST_PATH} bytes"
            raise UsageError(reason, "add -0 where paths end in NUL, and leave it out where they end in lines")
    yield from _paths([rest], null)


def check_list(block: bytes, null: bool) -> None:
    """See that a list's bytes are lines, or NUL-terminated paths.

    Raises:
        UsageError: they are UTF-16 or UTF-32, or end in NUL and should not.
    """
    name = wide_encoding(block, null)
    if name:
        raise UsageError(f"the list of --files-from is {name}", f"write it as UTF-8: iconv -f {name} -t UTF-8 LIST")
    if 0 in block and not null:
        raise UsageError("paths in the list of --files-from end in NUL", "add -0")


def wide_encoding(block: bytes, null: bool = False) -> str | None:
    """UTF-16 or UTF-32, where text is one of these by its mark or its many NUL bytes.

    Args:
        null: NUL bytes belong into it, so that it has to have both.

    >>> wide_encoding("file,x".encode("utf-16")), wide_encoding(b"file,x")
    ('UTF-16', None)
    """
    nuls = block.count(0)
    is_wide, is_marked = nuls > _WIDE * len(block), block.startswith((BOM_UTF16_LE, BOM_UTF16_BE))
    if nuls and ((is_wide and is_marked) if null else (is_wide or is_marked)):
        return "UTF-32" if nuls > _WIDER * len(block) else "UTF-16"
    return None


def _read_some(stream: BinaryIO) -> bytes:
    """What a pipe has ready, not waiting for a whole block; work starts before the list ends."""
    read = getattr(stream, "read1", stream.read)
    return bytes(read(_LIST_BLOCK))


def _paths(lines: Iterable[bytes], null: bool) -> Iterator[str]:
    for line in lines:
        path = line if null else line.removesuffix(b"\r")
        if path:
            yield os.fsdecode(path)


def _keys() -> Callable[[str], str]:
    """From a path to one spelling of it, as seen from the folder that is current now: `a/b`, `./a//b`, `a/c/../b` and
    the absolute form. A `..` stays where a link stands before it, for that leads elsewhere."""
    here = Path.cwd()

    def key(path: str) -> str:
        if url := as_url(path):
            return url
        whole = os.fspath(here / path)
        return _without_parents(whole) if ".." in whole else whole

    return key


def _without_parents(path: str) -> str:
    """An absolute path without each `..` that leads back out of a folder; behind what is no folder it stays."""
    kept: list[str] = []
    for part in path.split(os.sep):
        if part == ".." and kept[-1] != "..":
            if len(kept) == 1:  # above the root is the root
                continue
            if _is_real_folder(os.sep.join(kept)):
                kept.pop()
                continue
        kept.append(part)
    return os.sep.join(kept) if len(kept) > 1 else os.sep


def _is_real_folder(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def _below(entry: _Entry) -> _Folder:
    folder, child = entry
    return _Folder(os.path.join(folder.path, child.name), os.path.join(folder.inner, child.name), folder.above)


def _sort(file: "os.DirEntry[str] | Path | Entry", follow_links: bool = True) -> Seen:
    """FOLDER, SPECIAL or else FOUND, without opening it; what the system does not tell of, such as a link that dangles,
    is FOUND, for its row says why. A link that is not followed is LINK: where it leads may not answer."""
    try:
        if not file.is_symlink():
            return Seen.FOLDER if file.is_dir() else Seen.FOUND if file.is_file() else Seen.SPECIAL
        if not follow_links:
            return Seen.LINK
        mode = os.stat(cast(Path, file)).st_mode  # nothing else has links
    except OSError:
        return Seen.FOUND
    return Seen.FOLDER if stat.S_ISDIR(mode) else Seen.FOUND if stat.S_ISREG(mode) else Seen.SPECIAL


def _head(entry: _Entry) -> bytes:
    """Its first bytes; none of what cannot be read. What lies elsewhere is asked for them only when its name has no
    ending: each is a request, and a bucket may hold a sidecar for each image."""
    folder, file = entry
    try:
        if isinstance(file, Entry):
            return b"" if "." in file.name else remote.head_of(folder.path, file.name, HEAD_BYTES)
        with open(file, "rb") as stream:
            return stream.read(HEAD_BYTES)
    except OSError:
        return b""
