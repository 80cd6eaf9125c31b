"""One way for every image: read > find faces > tag them > record; each stage a plain function over a batch."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import compress, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetag.formats.path_encoding import one_line
from facetag.geometry import Box
from facetag.localization.base import Detection
from facetag.networks.execution.gpu import clear_all_memory
from facetag.pipeline.batch_size import BatchSize, ExclusiveSection
from facetag.pipeline.engine import Engine, answered_batches
from facetag.pipeline.face_sources import FaceSource, Found
from facetag.pipeline.failures import Trouble, attempt, attempt_together
from facetag.pipeline.items import Answer, Item, LoadedImage
from facetag.pipeline.loader import Reader, ReadSettings, read
from facetag.pipeline.timing import Stage, Stopwatch
from facetag.results import FaceResult, ImageResult, Status
from facetag.tagger import Tagger

FACES = 256  #: that are tagged at once, so that thousands in one photograph take no more memory


@dataclass(frozen=True, eq=False)
class Tagging:
    """Which attributes are answered, and from which probability each is present.

    Attributes:
        chosen: indices into the model's attributes, ascending.
        thresholds: (A,) in the order of these.
        unsure_from: (A,) likewise; a probability from here up to its threshold is neither present nor absent but
            unsure. None = the thresholds, so that nothing is.
    """

    tagger: Tagger
    chosen: Sequence[int]
    thresholds: NDArray[np.floating[Any]]
    unsure_from: NDArray[np.floating[Any]] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Of the attributes answered."""
        return tuple(self.tagger.model.attributes[index] for index in self.chosen)

    def __call__(self, images: Sequence[LoadedImage], found: Sequence[Found]) -> list[tuple[FaceResult, ...]]:
        """The faces of each photograph with their attributes; faces go through ANet FACES at a time."""
        boxes = [[face.box for face in each.faces] for each in found]
        pairs = zip(images, boxes, strict=True)
        rows = self._probabilities(x_f for pair in pairs for x_f in regions_of(self.tagger, *pair))
        return [tuple(self._face(face, next(rows)) for face in faces.faces) for faces in found]

    def _probabilities(self, regions: Iterator[NDArray[np.uint8]]) -> Iterator[NDArray[np.float64]]:
        """Of each face (A,), rounded: decided by what is written, so that whoever cuts the written probabilities
        himself gets the same tags."""
        while piece := list(islice(regions, FACES)):
            yield from np.round(self.tagger(piece).probabilities, 4)

    def _face(self, face: Detection, probabilities: NDArray[np.float64]) -> FaceResult:
        present = probabilities >= self.thresholds
        unsure = ~present & (probabilities >= (self.thresholds if self.unsure_from is None else self.unsure_from))
        each = list(zip(self.names, self.chosen, strict=True))
        return replace(
            untagged(face),
            probabilities={name: float(probabilities[index]) for name, index in each},
            tags=tuple(name for name, index in each if present[index]),
            unsure=tuple(name for name, index in each if unsure[index]),
        )


def regions_of(tagger: Tagger, image: LoadedImage, boxes: Sequence[Box]) -> Iterator[NDArray[np.uint8]]:
    """x_f of each face, from as many pixels of the photograph as the smallest of them needs."""
    if not boxes:
        return
    fraction = max(map(tagger.fraction, boxes))
    pixels = image.at(fraction * max(image.width, image.height))
    factor = pixels.shape[1] / image.width, pixels.shape[0] / image.height
    yield from (tagger.region(pixels, box.scaled(*factor)) for box in boxes)


@dataclass(frozen=True, eq=False)
class Cascade:
    """Decoded photographs to records.

    Attributes:
        find: where the faces are.
        tag: their attributes; None only locates.
        min_face: faces less high, in pixels of the photograph and as it is written, are left out.
    """

    find: FaceSource
    tag: Tagging | None = None
    min_face: float = 0.0

    def __call__(self, images: Sequence[LoadedImage], clock: Stopwatch | None = None) -> list[ImageResult]:
        """One record a photograph, in order; the stages' time goes to the clock."""
        clock = clock or Stopwatch()
        located = zip(images, self.find(images, clock), strict=True)
        found = [self._large_enough(image, each) for image, each in located]
        if self.tag is None:
            faces = [tuple(map(untagged, each.faces)) for each in found]
        else:
            with clock.stage(Stage.ANET):
                faces = self.tag(images, found)
        return [record_of(*each) for each in zip(images, found, faces, strict=True)]

    def _large_enough(self, image: LoadedImage, found: Found) -> Found:
        boxes = [face.box.clipped(image.width, image.height) for face in found.faces]
        large = [_tenths(box.height) >= self.min_face for box in boxes]
        return replace(found, faces=tuple(compress(found.faces, large)))


def answers(
    paths: Iterable[str],
    cascade: Cascade,
    settings: ReadSettings,
    clock: Stopwatch | None = None,
    reader: Reader = read,
) -> Iterator[Answer]:
    """One answer per path, in order; see `engine.answered_batches`."""
    engine = Engine(settings, None, lambda: (cascade, settings))
    for batch in answered_batches(paths, engine, clock or Stopwatch(), reader):
        yield from batch


def answer_batch(
    batch: Sequence[Item], cascade: Cascade, size: BatchSize | None = None, clock: Stopwatch | None = None
) -> list[Answer]:
    """The answers to one batch of what was read."""
    images = [item for item in batch if isinstance(item, LoadedImage)]
    records = iter(_records(images, cascade, size or BatchSize(len(batch)), clock or Stopwatch()))
    return [item if isinstance(item, Answer) else Answer(next(records), item, item.source) for item in batch]


def _records(images: Sequence[LoadedImage], cascade: Cascade, size: BatchSize, clock: Stopwatch) -> list[ImageResult]:
    """As many at once as memory allows; when that fails, one by one, so that only the photograph at fault does. One
    that memory does not suffice for is looked at again while nobody looks at others."""
    records: list[ImageResult] = []
    while part := images[len(records) : len(records) + size.now]:
        with size.exclusive.joined():
            together = attempt_together(partial(cascade, part, clock))
        if isinstance(together, list):
            size.went_well(len(part))
            records += together
            continue
        if together is Trouble.MEMORY:
            size.ran_out(len(part))
        if together is Trouble.OTHER or len(part) == 1:
            with size.exclusive.joined() if together is Trouble.OTHER else _alone(size.exclusive):
                records += [_record(image, cascade, clock) for image in part]
    return records


@contextmanager
def _alone(exclusive: ExclusiveSection) -> Iterator[None]:
    """While nobody looks, with all memory that can be had."""
    with exclusive.left():
        clear_all_memory()
        yield


def _record(image: LoadedImage, cascade: Cascade, clock: Stopwatch) -> ImageResult:
    alone = attempt(image.path, lambda: cascade([image], clock)[0])
    return replace(alone, width=image.width, height=image.height)


def untagged(face: Detection) -> FaceResult:
    """A face with its box to a tenth of a pixel and its score to four decimals, as they are written."""
    return FaceResult(_in_tenths(face.box), round(face.score, 4))


def _tenths(value: float) -> float:
    return round(float(value), 1) + 0.0  # no negative zero


def record_of(image: LoadedImage, found: Found, faces: tuple[FaceResult, ...]) -> ImageResult:
    """The record of a photograph that was looked at. Tags are read from all of a box, and of it is written what the
    photograph shows."""
    status = Status.OK if faces else Status.NO_FACE
    remarks = one_line("; ".join(filter(None, (image.warning, found.warning))))
    size = image.width, image.height
    written = tuple(replace(face, box=_in_tenths(face.box.clipped(*size))) for face in faces)
    return ImageResult(image.path, status, remarks, image.width, image.height, written)


def _in_tenths(box: Box) -> Box:
    return Box(*(_tenths(edge) for edge in (box.x, box.y, box.width, box.height)))
