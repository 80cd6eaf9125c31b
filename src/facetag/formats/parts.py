"""Writes a table as a folder of parts (`formats.part_folder`), one after the other, so that none has to fit memory."""

import hashlib
import tempfile
from collections.abc import Callable
from typing import BinaryIO, TextIO, cast

from facetag.errors import FacetagError
from facetag.formats.destination import Passing, open_output, put, unheeded
from facetag.formats.part_folder import SUCCESS, Part, PartFolder, name_of, text_of
from facetag.formats.writers.base import Writer
from facetag.formats.writers.parquet import ParquetWriter
from facetag.remote.url import as_url
from facetag.results import ImageResult

ROWS = 1_000_000  #: of a part; the last input of each has all its faces there


class PartsWriter:
    """In the place of a Writer, to a folder. A part appears whole, and one that would not change stays as it is.

    Where parts change, _SUCCESS goes first and comes back last: who waits for it reads no mixture of two runs.
    """

    def __init__(self, out: str, start: Callable[[TextIO], Writer], at: Passing = unheeded) -> None:
        """`start` makes the writer of a part.

        Raises:
            UsageError: the folder holds what is no part.
            FacetagError: it cannot be made or listed, or another program wrote there since the run began.
        """
        self._folder, self._start, self._at = PartFolder(out), start, at
        self._folder.make()
        self._lying = dict(self._folder.lying())
        self._refuse_changed()
        self._before = self._folder.parts() if SUCCESS in self._lying else None
        self._parts: list[Part] = []
        self._begin()

    def write(self, record: ImageResult) -> None:
        if self._writer.row_count >= ROWS:
            self._end()
            self._begin()
        self._writer.write(record)

    def finish(self) -> None:
        """Publish the last part, and take away what is there of more."""
        self._end()
        more = [name for name in self._lying if name != SUCCESS and name not in {part.name for part in self._parts}]
        if tuple(self._parts) != self._before or more:
            self._withdraw()
        for name in more:
            self._folder.remove(name)
        if SUCCESS not in self._lying:
            with open_output(self._folder.path(SUCCESS), self._at) as stream:
                stream.write(text_of(self._parts))

    def close(self) -> None:
        """Forget the part that was begun."""
        self._stream.close()

    def _begin(self) -> None:
        self._stream = cast(TextIO, tempfile.TemporaryFile("w+", encoding="utf-8", newline=""))  # noqa: SIM115
        writer = self._start(self._stream)
        assert isinstance(writer, ParquetWriter), "nothing else comes in parts"
        self._writer = writer

    def _end(self) -> None:
        self._writer.finish()
        with self._stream:
            stream = self._stream.buffer
            part = Part(name_of(len(self._parts)), self._writer.row_count, stream.tell(), _digest(stream))
            if not self._has(part):
                self._withdraw()
                put(self._folder.path(part.name, self._lying.get(part.name)), stream, self._at)
        self._parts.append(part)

    def _has(self, part: Part) -> bool:
        """Whether it lies there already."""
        lies = self._lying.get(part.name)
        return part in (self._before or ()) and lies is not None and lies.size == part.size

    def _withdraw(self) -> None:
        if stamp := self._lying.pop(SUCCESS, None):
            if as_url(self._folder.out) and self._folder.lying().get(SUCCESS) != stamp:
                raise self._changed()
            self._folder.remove(SUCCESS)

    def _refuse_changed(self) -> None:
        """`out` has the stamp that _SUCCESS had when the run began."""
        url = as_url(self._folder.out)
        if url and self._lying.get(SUCCESS) != url.stamp:
            raise self._changed()

    def _changed(self) -> FacetagError:
        return FacetagError(f"{self._folder.out} was written by another program meanwhile", "see who writes there")


def _digest(stream: BinaryIO) -> str:
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    stream.seek(0)
    while block := stream.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()
