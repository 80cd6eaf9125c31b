"""A whole run: paths in, a document out, an eye kept on it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TextIO

from facetag.batch.draw import Drawer
from facetag.batch.pipeline import Cascade, answers
from facetag.batch.reading import ReadSettings
from facetag.batch.writers import WRITERS
from facetag.errors import writing
from facetag.records import ImageRecord


@dataclass(frozen=True)
class Document:
    """What is written: to an open stream that errors call `name`, in a format of WRITERS, with these attributes."""

    stream: TextIO
    name: str
    format: str
    attributes: Sequence[str] | None


def run(
    paths: Iterable[str],
    cascade: Cascade,
    reading: ReadSettings,
    document: Document,
    draw: Drawer | None,
    seen: Callable[[ImageRecord], None],
) -> None:
    """Write the record of every path, in order.

    Args:
        draw: makes drawings too.
        seen: told of each record once it is written.

    Raises:
        FacetagError: the document or a drawing cannot be written.
    """
    with writing(document.name):
        writer = WRITERS[document.format](document.stream, document.attributes)
    for answer in answers(paths, cascade, reading):
        if draw and answer.photo:
            draw(answer.photo, answer.record)
        with writing(document.name):
            writer.write(answer.record)
        seen(answer.record)
    with writing(document.name):
        writer.finish()
