"""What the CPUs of a cluster do: read files and decode them. Nothing here knows Ray, the journal or torch.

A file's bytes, its digest and its pixels travel together. So an answer is always about the bytes that its digest is
of, also when a machine died and another one read the file again, changed meanwhile.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from facetag.errors import UnreadableImage
from facetag.images.decode import File, read_file
from facetag.images.file_types import HEAD_BYTES, kind_of
from facetag.pipeline.failures import attempt
from facetag.pipeline.items import Item, Source, pixels_of
from facetag.pipeline.loader import ReadSettings, attempted, decoded_image
from facetag.pipeline.timing import Stage, Stopwatch
from facetag.results import ImageResult

Seconds = Mapping[Stage, float]


@dataclass(frozen=True)
class Content:
    """What a journal is asked about a file that was read.

    Attributes:
        kind: that its first bytes say (`images.file_types`).
    """

    source: Source
    kind: str


@dataclass(frozen=True, eq=False)
class ReadInput:
    """A file's bytes under the path of its input."""

    path: str
    file: File
    source: Source


def read_inputs(
    paths: Sequence[str], reading: ReadSettings
) -> tuple[tuple[list[Content | ImageResult], Seconds], list[ReadInput | None]]:
    """Read files, as many as memory is meant for; at least one.

    Returns:
        What each file is, or the result that says why it cannot be read, and seconds; then the bytes of those that can.
    """
    clock, contents, read, held = Stopwatch(), list[Content | ImageResult](), list[ReadInput | None](), 0
    for path in paths:
        with clock.stage(Stage.DECODE):
            file = attempt(path, partial(read_file, reading.location(path), reading.raw))
            if isinstance(file, ImageResult):
                contents.append(file)
                read.append(None)
                continue
            source = Source.of(file.size, file.mtime_ns, hashlib.sha256(file.data).digest() if file.whole else b"")
            contents.append(Content(source, kind_of(file.data[:HEAD_BYTES])))
            read.append(ReadInput(path, file, source))
        held += len(file.data)
        if held >= 3 * reading.held_pixels:
            break
    return (contents, clock.seconds), read


def decode_inputs(
    read: Sequence[ReadInput | None], wanted: Sequence[int], reading: ReadSettings
) -> tuple[tuple[int, Seconds], list[Item]]:
    """Decode those of `read` that are wanted, as many as memory is meant for; at least one.

    Returns:
        How many of the wanted were decoded, and seconds; then the images, or the results that say why there is none.
    """
    clock, items = Stopwatch(), list[Item]()
    for index in wanted:
        with clock.stage(Stage.DECODE):
            items.append(_decoded(read[index], reading))
        if sum(map(pixels_of, items)) >= reading.held_pixels:
            break
    return (len(items), clock.seconds), items


def _decoded(read: ReadInput | None, reading: ReadSettings) -> Item:
    if read is None:  # it was read when it was asked for, and another machine that read it again found it gone
        raise UnreadableImage("it went away while it was read")
    return attempted(read.path, lambda: decoded_image(read.path, read.file, reading, read.source), read.source)
