"""Files of a folder, of the archives in it (.zip, .tar, .tar.gz ...) and of tars inside tars, one after another.

Nothing is extracted but what is asked for, and sources are only read.
"""

import contextlib
import lzma
import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from facetag.errors import DataError

_TARS = (".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
_BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    RuntimeError,
    NotImplementedError,
)


@dataclass(frozen=True)
class Entry:
    """One file of a source.

    Attributes:
        location: the source's name, then folders, then the file; an archive counts as a folder of its name without
            suffix.
        file: where it lies on disk: itself, or the archive that holds it.
        archived: whether it lies in an archive.
        open: its bytes; for an archived one only until the next entry is asked for.
    """

    location: PurePosixPath
    file: Path
    archived: bool
    open: Callable[[], IO[bytes]]

    def put(self, target: Path, link: bool) -> None:
        """Make `target` a link to this file, or a copy where a link is not wanted or not possible; whole or not at all.

        Raises:
            DataError: this file or its archive cannot be read.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        if link and not self.archived:
            target.symlink_to(self.file.absolute())
            return
        unfinished = target.with_name(f".{target.name}.part")
        try:
            with _readable(self.file), self.open() as source, unfinished.open("wb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
            unfinished.replace(target)
        finally:
            unfinished.unlink(missing_ok=True)


def entries(source: Path, without: Path) -> Iterator[Entry]:
    """Every file of a folder or an archive, folder by folder, except below the folder `without`.

    Raises:
        DataError: source is missing or an archive in it is broken.
    """
    if not source.exists():
        raise DataError(f"{source} does not exist", "give the folder or archive that you downloaded")
    name = PurePosixPath(source.resolve().name)
    if source.is_file():
        yield from _entries_of_file(source, name)
    seen = {without.resolve()}  # linked folders are followed, so a loop must end
    for where, folders, files in os.walk(source, followlinks=True):
        seen.add(Path(where).resolve())
        folders[:] = sorted(folder for folder in folders if Path(where, folder).resolve() not in seen)
        for file in sorted(files):
            path = Path(where, file)
            yield from _entries_of_file(path, name / path.relative_to(source).as_posix())


def _entries_of_file(path: Path, location: PurePosixPath) -> Iterator[Entry]:
    """The file itself, or what is in it."""
    lower = path.name.lower()
    if lower.endswith(".zip"):
        with _readable(path), zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                inside = _inside(location, info.filename)
                if inside and not info.is_dir():
                    yield Entry(inside, path, True, partial(archive.open, info))
    elif lower.endswith(_TARS):
        with _readable(path), tarfile.open(path) as archive:
            yield from _entries_of_tar(path, location, archive)
    else:
        yield Entry(location, path, False, lambda: path.open("rb"))


def _entries_of_tar(path: Path, location: PurePosixPath, archive: tarfile.TarFile) -> Iterator[Entry]:
    """ImageNet's training set is a tar of tars, one per class."""
    for member in archive:
        inside = _inside(location, member.name)
        if not inside or not member.isfile():
            continue
        if inside.name.lower().endswith(_TARS):
            with tarfile.open(fileobj=archive.extractfile(member)) as inner:
                yield from _entries_of_tar(path, inside, inner)
        else:
            yield Entry(inside, path, True, partial(_member, archive, member))


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    stream = archive.extractfile(member)
    assert stream is not None  # it is a file
    return stream


def _inside(location: PurePosixPath, name: str) -> PurePosixPath | None:
    """A member's place, or None for a name that leads out of its archive."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or ".." in parts or parts[0] == "/":
        return None
    stem = location.name.split(".")[0] or location.name
    return location.with_name(stem).joinpath(*parts)


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turns what a broken archive or file raises into a DataError."""
    try:
        yield
    except _BROKEN as error:
        raise DataError(f"{path} is not a whole archive ({error})", "download it again") from None
    except OSError as error:
        raise DataError(f"{error.filename or path}: {error.strerror or error}", "check space and permissions") from None
