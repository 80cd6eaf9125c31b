"""Records of every sort, and what writers make of them."""

import io
import os

from hypothesis import strategies as st

from facetag.attributes import ATTRIBUTES
from facetag.formats.writers import WRITERS
from facetag.geometry import Box
from facetag.results import FaceResult, ImageResult, Status

#: The attributes that the faces of `some_records` have.
NAMES = ATTRIBUTES[:3]


def written(name, records, attributes=NAMES):
    """The bytes of a document."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="")
    writer = WRITERS[name](stream, attributes)
    for record in records:
        writer.write(record)
    writer.finish()
    stream.flush()
    return stream.buffer.getvalue()


def _face(box, score, shares, decided):
    tags, unsure = (tuple(name for name, word in zip(NAMES, decided, strict=True) if word == at) for at in (1, 2))
    return FaceResult(Box(*box), score, dict(zip(NAMES, shares, strict=True)) if shares else {}, tags, unsure)


_paths = st.binary(min_size=1).map(os.fsdecode)
_errors = st.text("a ,\";'é\\", max_size=9).map(str.strip)
_sizes = st.integers(1, 9999)
_sides = st.integers(-9999, 9999).map(lambda tenths: tenths / 10)
_shares = st.integers(0, 10000).map(lambda share: share / 10000)
_boxes = st.tuples(_sides, _sides, _sides.map(abs), _sides.map(abs))
_tagged = st.builds(_face, _boxes, _shares, st.tuples(*[_shares] * 3), st.tuples(*[st.integers(0, 2)] * 3))
_located = st.builds(_face, _boxes, _shares, st.none(), st.just((0, 0, 0)))


def _records(faces):
    failures = [status for status in Status if status.is_failure]
    some = st.lists(faces, min_size=1, max_size=3).map(tuple)
    return st.one_of(
        st.builds(ImageResult, _paths, st.just(Status.OK), _errors, _sizes, _sizes, some),
        st.builds(ImageResult, _paths, st.just(Status.NO_FACE), _errors, _sizes, _sizes),
        st.builds(ImageResult, _paths, st.sampled_from(failures), _errors, _sizes, _sizes),
        st.builds(ImageResult, _paths, st.sampled_from(failures), _errors),
    )


#: (attributes, records): tagged, or only located.
some_records = st.one_of(
    st.tuples(st.just(NAMES), st.lists(_records(_tagged), max_size=4)),
    st.tuples(st.none(), st.lists(_records(_located), max_size=4)),
)
