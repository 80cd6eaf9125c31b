"""What facetag answers: one ImageRecord per input, one FaceRecord per face in it."""

from dataclasses import dataclass, field, replace
from enum import StrEnum

from facetag.geometry import Box

SCHEMA_VERSION = 1


class Status(StrEnum):
    """What became of one input."""

    OK = "ok"
    NO_FACE = "no_face"
    UNREADABLE = "unreadable"
    UNSUPPORTED = "unsupported"
    TOO_LARGE = "too_large"
    FAILED = "failed"

    @property
    def is_failure(self) -> bool:
        return self not in (Status.OK, Status.NO_FACE)


@dataclass(frozen=True)
class FaceRecord:
    """One face.

    Attributes:
        box: in upright pixels of the original image.
        score: of the localisation, larger is surer; 1.0 for a box that the user brought.
        probabilities: attribute name -> calibrated probability in [0, 1], in the order of ATTRIBUTES;
            empty when only localised.
        tags: the attributes decided present, in the order of ATTRIBUTES.
        unsure: those whose probability lies in the unsure band, in that order; never among the tags.
    """

    box: Box
    score: float
    probabilities: dict[str, float] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decisions:
    """What is written of a stored result: the chosen attributes, and which of them are present or unsure.

    Attributes:
        names: of the chosen attributes, in the model's order.
        present_from, unsure_from: of each, the probabilities from which it is present, and unsure.
    """

    names: tuple[str, ...]
    present_from: tuple[float, ...]
    unsure_from: tuple[float, ...]

    def __call__(self, record: "ImageRecord") -> "ImageRecord":
        """The record with these attributes alone, decided anew."""
        return replace(record, faces=tuple(map(self._face, record.faces)))

    def _face(self, face: FaceRecord) -> FaceRecord:
        edges = zip(self.names, self.present_from, self.unsure_from, strict=True)
        values = [(name, face.probabilities[name], present, unsure) for name, present, unsure in edges]
        return replace(
            face,
            probabilities={name: value for name, value, _, _ in values},
            tags=tuple(name for name, value, present, _ in values if value >= present),
            unsure=tuple(name for name, value, present, unsure in values if unsure <= value < present),
        )


@dataclass(frozen=True)
class ImageRecord:
    """One input.

    Attributes:
        path: as the user gave it, `/` separators, undecodable bytes as surrogates (os.fsdecode).
        status: what became of it.
        error: one line, empty unless the status is a failure or there is a warning.
        width, height: upright pixels; 0 when unknown.
        faces: in descending score.
    """

    path: str
    status: Status
    error: str = ""
    width: int = 0
    height: int = 0
    faces: tuple[FaceRecord, ...] = ()
