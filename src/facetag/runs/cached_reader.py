"""Reading for a run with a journal: what an earlier run answered is not decoded, let alone looked at, again."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace

from facetag.images.decode import File, read_file
from facetag.pipeline.failures import attempt, wants_memory
from facetag.pipeline.items import Settled, Source
from facetag.pipeline.loader import Item, ReadSettings, decoded_photo
from facetag.results import ImageRecord, Status
from facetag.runs.journal import Journal, Known


@dataclass(frozen=True, eq=False)
class Recall:
    """A Reader (`pipeline.loader`) that asks the journal first: for the path with its size and time of change, then for
    the content. Threads may call it.

    Attributes:
        rehash: size and time are not believed, the content is.
        by_path: the content is not enough, the path has to be the same too.
        suffices: whether a known record need not be made again.
    """

    journal: Journal
    rehash: bool
    by_path: bool
    suffices: Callable[[ImageRecord], bool]

    def __call__(self, path: str, settings: ReadSettings) -> Item:
        known, place = self.journal.known(path), settings.place(path)
        if known and not self.rehash and _is_unchanged(place, known.source) and self.suffices(known.record):
            return Settled(known.record, kept=True)
        file = attempt(path, lambda: read_file(place, raw=settings.raw))
        if isinstance(file, ImageRecord):
            return Settled(file)
        source = Source(file.size, file.mtime_ns, hashlib.sha256(file.data).digest() if file.whole else b"")
        record = self._answer_to(source, known)
        if record and self.suffices(renamed := replace(record, path=path)):
            return Settled(renamed, source, kept=True)
        return _decoded(path, file, source, settings)

    def _answer_to(self, source: Source, known: Known | None) -> ImageRecord | None:
        if not source.sha256:
            return None
        if known and known.source.sha256 == source.sha256:
            return known.record
        other = None if self.by_path else self.journal.answer_to(source.sha256)
        # memory that ran out over one file is no answer to its copy
        return None if other and (other.status is Status.FAILED or wants_memory(other)) else other


def _is_unchanged(path: str, source: Source) -> bool:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return False
    return (status.st_size, status.st_mtime_ns) == (source.size, source.mtime_ns)


def _decoded(path: str, file: File, source: Source, settings: ReadSettings) -> Item:
    item = attempt(path, lambda: decoded_photo(path, file, settings, source))
    return Settled(item, source) if isinstance(item, ImageRecord) else item
