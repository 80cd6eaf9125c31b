"""Reading for a run with a journal: what an earlier run answered is not decoded, let alone looked at, again."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from facetag.geometry import Box
from facetag.images.decode import CHANGED, DECODER_VERSION, mark_of, read_file
from facetag.images.file_types import kind_of
from facetag.pipeline.failures import attempt, wants_memory
from facetag.pipeline.items import Answer, Item, Source
from facetag.pipeline.loader import ReadSettings, attempted, decoded_image
from facetag.results import FaceResult, ImageResult, Status
from facetag.runs.journal import Journal, Known

_ROUNDED = 0.1  #: pixels by which a box that was cut to its image may reach beyond it, in the tenths that are written


@dataclass(frozen=True, eq=False)
class Recall:
    """A Reader (`pipeline.loader`) that asks the journal first: for the path with its size and time of change, then for
    the content. Threads may call it.

    Attributes:
        rehash: size and time are not believed, the content is.
        by_path: the content is not enough, the path has to be the same too.
        suffices: whether a known record need not be made again.
        stored: attributes that the journal keeps; an answer that lacks one is made again, and what it has beyond them
            is dropped. None when faces are only located.
        whole: from how a file is read to how it is decoded, which may need what a run without new images does not.
    """

    journal: Journal
    rehash: bool
    by_path: bool
    suffices: Callable[[ImageResult], bool]
    stored: Sequence[str] | None = None
    whole: Callable[[ReadSettings], ReadSettings] = lambda settings: settings

    def __call__(self, path: str, settings: ReadSettings) -> Item:
        known, location = self.journal.known(path), settings.location(path)
        if cached := self.unopened(known, location):
            return cached
        file = attempt(path, lambda: read_file(location, raw=settings.raw))
        if isinstance(file, ImageResult):
            return Answer(file)
        source = Source.of(file.size, file.mtime_ns, hashlib.sha256(file.data).digest() if file.whole else b"")
        if cached := self.by_content(path, known, source, kind_of(file.data)):
            return cached
        whole = self.whole(settings)
        return attempted(path, lambda: decoded_image(path, file, whole, source), source)

    def journalled(self, path: str) -> Known | None:
        """What the journal knows of a path."""
        return self.journal.known(path)

    def by_content(self, path: str, known: Known | None, source: Source, kind: str) -> Answer | None:
        """The answer to a file that was read and is of this kind (`file_types`); None when it has to be decoded."""
        answer = self._answer_to(source, known)
        reused = self._reusable(answer.record) if answer and _holds(answer, kind) else None
        if reused and self.suffices(renamed := replace(reused, path=path)):
            return Answer(renamed, source=source, reused=True)
        return None

    def unopened(self, known: Known | None, location: str) -> Answer | None:
        """The answer to a path whose file need not be opened; None when it has to be read."""
        if known and not self.rehash and known.decoder == DECODER_VERSION and _is_unchanged(location, known.source):
            reused = self._reusable(known.record)
            if reused and self.suffices(reused):
                # a row that changes is written again
                return Answer(reused, source=None if reused is known.record else known.source, reused=True)
        return None

    def _answer_to(self, source: Source, known: Known | None) -> Known | None:
        if not source.sha256:
            return None
        if known and known.source.sha256 == source.sha256:
            return known
        other = None if self.by_path else self.journal.answer_to(source.sha256)
        # memory that ran out over one file is no answer to its copy
        return None if other and (other.record.status is Status.FAILED or wants_memory(other.record)) else other

    def _reusable(self, record: ImageResult) -> ImageResult | None:
        """The record with the attributes that this run stores, the very same where it has just these; None where it
        lacks one, or is of a version that did not cut boxes to their image."""
        if not all(_is_inside(face.box, record) for face in record.faces):
            return None
        if self.stored is None or all(list(face.probabilities) == list(self.stored) for face in record.faces):
            return record
        if any(name not in face.probabilities for face in record.faces for name in self.stored):
            return None
        return replace(record, faces=tuple(_with_attributes(face, self.stored) for face in record.faces))


def _is_inside(box: Box, record: ImageResult) -> bool:
    return min(box.x, box.y) >= 0 and box.right <= record.width + _ROUNDED and box.bottom <= record.height + _ROUNDED


def _with_attributes(face: FaceResult, names: Sequence[str]) -> FaceResult:
    tags, unsure = (tuple(name for name in each if name in names) for each in (face.tags, face.unsure))
    return replace(face, probabilities={name: face.probabilities[name] for name in names}, tags=tags, unsure=unsure)


def _holds(known: Known, kind: str) -> bool:
    """Whether this version of the decoder would read the file as the one before did."""
    if known.decoder == DECODER_VERSION:
        return True
    if known.record.status.is_failure or known.record.error:
        return False
    versions = range(known.decoder + 1, DECODER_VERSION + 1)
    return not any(kind in CHANGED[version] for version in versions)


def _is_unchanged(path: str, source: Source) -> bool:
    mark = mark_of(path)
    return mark is not None and source.is_stamped(*mark)
