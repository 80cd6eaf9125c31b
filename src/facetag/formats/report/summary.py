"""What a report counts, in one pass over the records and in little memory."""

import heapq
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetag.formats.path_encoding import escape
from facetag.geometry import Box
from facetag.results import FaceResult, ImageResult, Status

BINS = 20  #: of an attribute's distribution
SHOWN = 12  #: faces of highest and of lowest score that are shown
EXAMPLES = 4  #: likewise of each attribute
REASONS = 1000  #: different reasons of failures that are told apart
_CHUNK = 4096  #: faces that are counted together
ABSENT, PRESENT, UNSURE = range(3)
_CODES = {status: code for code, status in enumerate(Status)}


@dataclass(frozen=True, order=True)
class Shown:
    """A face that is shown.

    Attributes:
        rank: what it was chosen by, larger is better.
        before: faces that came earlier, as a negative number; of equals the first counts.
        path: of its image.
        number: of the face in it, from 1.
        value: its score or probability.
    """

    rank: float
    before: int
    path: str = field(compare=False)
    number: int = field(compare=False)
    value: float = field(compare=False)
    box: Box = field(compare=False)


@dataclass
class Failure:
    """Inputs that failed in one way."""

    status: Status
    reason: str
    count: int = 0
    paths: list[str] = field(default_factory=list)


class Summary:
    """Counts of records; give it all of them, then read.

    Attributes:
        statuses: inputs by status.
        failures: inputs by status and reason.
        warnings: inputs that were answered in spite of something.
        faces: how many.
        attributes: those answered, in order; empty when faces were only located.
        histogram: (attributes, BINS) faces by probability.
        decided: (attributes, 3) faces by decision: absent, present, unsure.
        highest, lowest: the faces of highest and lowest score, best first.
        most_confident, borderline: an attribute -> the faces of highest probability, and of probability nearest to a
            half.
        paths: every input, escaped, one a line.
        codes: the status of every input, a byte each.
        counts: the faces of every input, two bytes each.
    """

    def __init__(self) -> None:
        self.statuses: Counter[Status] = Counter()
        self.failures: dict[tuple[Status, str], Failure] = {}
        self.warnings = self.faces = 0
        self.attributes: tuple[str, ...] = ()
        self.histogram = np.zeros((0, BINS), np.int64)
        self.decided = np.zeros((0, 3), np.int64)
        self.highest: list[Shown] = []
        self.lowest: list[Shown] = []
        self.most_confident: dict[str, list[Shown]] = {}
        self.borderline: dict[str, list[Shown]] = {}
        self.paths = bytearray()
        self.codes = bytearray()
        self.counts = bytearray()
        self._decisions = bytearray()
        self._chunk: list[tuple[str, int, FaceResult]] = []

    @classmethod
    def of(cls, records: Iterable[ImageResult]) -> "Summary":
        """The summary of all records."""
        summary = cls()
        for record in records:
            summary.add(record)
        summary.finish()
        return summary

    @property
    def inputs(self) -> int:
        return len(self.codes)

    def add(self, record: ImageResult) -> None:
        """Count one input."""
        self.statuses[record.status] += 1
        self.warnings += bool(record.error and not record.status.is_failure)
        if record.status.is_failure:
            self._fail(record)
        self.paths += escape(record.path).encode() + b"\n"
        self.codes.append(_CODES[record.status])
        self.counts += min(len(record.faces), 0xFFFF).to_bytes(2, "little")
        for number, face in enumerate(record.faces[:0xFFFF], 1):
            if not self.faces and not self._chunk:
                self._begin(tuple(face.probabilities))
            self._chunk.append((record.path, number, face))
        if len(self._chunk) >= _CHUNK:
            self._flush()

    def finish(self) -> None:
        """Count what is left."""
        if self._chunk:
            self._flush()

    def decisions(self) -> NDArray[np.uint8]:
        """(faces, attributes) of ABSENT, PRESENT and UNSURE."""
        return np.frombuffer(self._decisions, np.uint8).reshape(self.faces, len(self.attributes))

    def _begin(self, attributes: tuple[str, ...]) -> None:
        self.attributes = attributes
        self.histogram = np.zeros((len(attributes), BINS), np.int64)
        self.decided = np.zeros((len(attributes), 3), np.int64)
        self.most_confident = {name: [] for name in attributes}
        self.borderline = {name: [] for name in attributes}

    def _fail(self, record: ImageResult) -> None:
        key = (record.status, record.error)
        if key not in self.failures and len(self.failures) >= REASONS:
            key = (record.status, "other reasons")
        failure = self.failures.setdefault(key, Failure(*key))
        failure.count += 1
        if len(failure.paths) < 5:
            failure.paths.append(escape(record.path))

    def _flush(self) -> None:
        faces = [face for _, _, face in self._chunk]
        scores = np.array([face.score for face in faces])
        self._keep(self.highest, scores, scores, SHOWN)
        self._keep(self.lowest, -scores, scores, SHOWN)
        if self.attributes:
            self._count(faces)
        self.faces += len(faces)
        self._chunk.clear()

    def _count(self, faces: Sequence[FaceResult]) -> None:
        indices = {name: index for index, name in enumerate(self.attributes)}
        probabilities = np.array([[face.probabilities[name] for name in self.attributes] for face in faces])
        decisions = np.zeros(probabilities.shape, np.uint8)
        for row, face in enumerate(faces):
            decisions[row, [indices[name] for name in face.tags]] = PRESENT
            decisions[row, [indices[name] for name in face.unsure]] = UNSURE
        self._decisions += decisions.tobytes()
        bins = np.clip((probabilities * BINS).astype(int), 0, BINS - 1)
        for index, name in enumerate(self.attributes):
            self.histogram[index] += np.bincount(bins[:, index], minlength=BINS)
            self.decided[index] += np.bincount(decisions[:, index], minlength=3)
            values = probabilities[:, index]
            self._keep(self.most_confident[name], values, values, EXAMPLES)
            self._keep(self.borderline[name], -abs(values - 0.5), values, EXAMPLES)

    def _keep(self, kept: list[Shown], ranks: NDArray[Any], values: NDArray[Any], count: int) -> None:
        """Keep the best `count` of those kept and of this chunk."""
        best = np.argsort(-ranks, kind="stable")[:count]
        new = [self._shown(index, float(ranks[index]), float(values[index])) for index in best]
        kept[:] = heapq.nlargest(count, [*kept, *new])

    def _shown(self, index: int, rank: float, value: float) -> Shown:
        path, number, face = self._chunk[index]
        return Shown(rank, -(self.faces + index), path, number, value, face.box)
