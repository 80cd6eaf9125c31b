"""One way for every image: read > find faces > tag them > record; each stage a plain function over a batch."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetag.attributes import ATTRIBUTES
from facetag.batch.failures import attempt
from facetag.batch.finders import Finder, Found
from facetag.batch.paths import one_line
from facetag.batch.reading import Item, Photo, ReadSettings, batches, read_ahead
from facetag.geometry import Box
from facetag.localizer import Located
from facetag.records import FaceRecord, ImageRecord, Status
from facetag.tagger import Tagger


@dataclass(frozen=True, eq=False)
class Tagging:
    """Which attributes are answered, and from which probability each is present.

    Attributes:
        chosen: indices into ATTRIBUTES, ascending.
        thresholds: (40,) in the order of ATTRIBUTES.
    """

    tagger: Tagger
    chosen: Sequence[int]
    thresholds: NDArray[np.floating[Any]]

    def __call__(self, photos: Sequence[Photo], found: Sequence[Found]) -> list[tuple[FaceRecord, ...]]:
        """The faces of each photograph with their attributes; all faces go through ANet together."""
        pairs = [(photo, face) for photo, faces in zip(photos, found, strict=True) for face in faces.faces]
        regions = [self.tagger.region(photo.pixels, face.box) for photo, face in pairs]
        # decided by what is written, so that whoever cuts the written probabilities himself gets the same tags
        rows = iter(np.round(self.tagger(regions).probabilities, 4))
        return [tuple(self._face(face, next(rows)) for face in faces.faces) for faces in found]

    def _face(self, face: Located, probabilities: NDArray[np.float64]) -> FaceRecord:
        present = probabilities >= self.thresholds
        return replace(
            untagged(face),
            probabilities={ATTRIBUTES[index]: float(probabilities[index]) for index in self.chosen},
            tags=tuple(ATTRIBUTES[index] for index in self.chosen if present[index]),
        )


@dataclass(frozen=True, eq=False)
class Cascade:
    """Decoded photographs to records.

    Attributes:
        find: where the faces are.
        tag: their attributes; None only locates.
        min_face: faces less high, in pixels of the photograph and as it is written, are left out.
    """

    find: Finder
    tag: Tagging | None = None
    min_face: float = 0.0

    def __call__(self, photos: Sequence[Photo]) -> list[ImageRecord]:
        found = [self._large_enough(each) for each in self.find(photos)]
        faces = self.tag(photos, found) if self.tag else [tuple(map(untagged, each.faces)) for each in found]
        return [record_of(*each) for each in zip(photos, found, faces, strict=True)]

    def _large_enough(self, found: Found) -> Found:
        return replace(found, faces=tuple(face for face in found.faces if _tenths(face.box.height) >= self.min_face))


@dataclass(frozen=True, eq=False)
class Answer:
    """The record of one input, and its pixels where it has any."""

    record: ImageRecord
    photo: Photo | None = None


def answers(paths: Iterable[str], cascade: Cascade, settings: ReadSettings) -> Iterator[Answer]:
    """One answer per path, in order; photographs are decoded while earlier ones are looked at."""
    for batch in batches(read_ahead(paths, settings), settings):
        yield from answer_batch(batch, cascade)


def answer_batch(batch: Sequence[Item], cascade: Cascade) -> list[Answer]:
    """The answers to one batch of what was read."""
    records = iter(_records([item for item in batch if isinstance(item, Photo)], cascade))
    return [Answer(next(records), item) if isinstance(item, Photo) else Answer(item) for item in batch]


def _records(photos: Sequence[Photo], cascade: Cascade) -> list[ImageRecord]:
    """All at once; when that fails, one by one, so that only the photograph at fault does."""
    together = attempt("", lambda: cascade(photos))
    return together if isinstance(together, list) else [_record(photo, cascade) for photo in photos]


def _record(photo: Photo, cascade: Cascade) -> ImageRecord:
    alone = attempt(photo.path, lambda: cascade([photo])[0])
    return replace(alone, width=photo.width, height=photo.height)


def untagged(face: Located) -> FaceRecord:
    """A face with its box to a tenth of a pixel and its score to four decimals, as they are written."""
    x, y, width, height = (_tenths(side) for side in (face.box.x, face.box.y, face.box.width, face.box.height))
    return FaceRecord(Box(x, y, width, height), round(face.score, 4))


def _tenths(value: float) -> float:
    return round(float(value), 1) + 0.0  # no negative zero


def record_of(photo: Photo, found: Found, faces: tuple[FaceRecord, ...]) -> ImageRecord:
    """The record of a photograph that was looked at."""
    status = Status.OK if faces else Status.NO_FACE
    remarks = one_line("; ".join(filter(None, (photo.warning, found.warning))))
    return ImageRecord(photo.path, status, remarks, photo.width, photo.height, faces)
