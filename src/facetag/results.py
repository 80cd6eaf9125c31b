"""What facetag answers: one ImageResult per input, one FaceResult per face in it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from facetag.errors import FacetagError
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
class FaceResult:
    """One face.

    >>> FaceResult(Box(10, 20, 30, 40), 0.9, {"Smiling": 0.8}, ("Smiling",)).to_dict()["tags"]
    ['Smiling']

    Attributes:
        box: in upright pixels of the original image.
        score: of the localization, larger is surer; 1.0 for a box that the user brought.
        probabilities: attribute name -> calibrated probability in [0, 1], in the order of ATTRIBUTES;
            empty when only localized.
        tags: the attributes decided present, in the order of ATTRIBUTES.
        unsure: those whose probability lies in the unsure band, in that order; never among the tags.
    """

    box: Box
    score: float
    probabilities: dict[str, float] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as JSON has it; a face that was only located has no tags, unsure and probabilities."""
        box = self.box
        located = {"x": box.x, "y": box.y, "width": box.width, "height": box.height, "score": self.score}
        if not self.probabilities:
            return located
        return {
            **located,
            "tags": list(self.tags),
            "unsure": list(self.unsure),
            "probabilities": dict(self.probabilities),
        }


@dataclass(frozen=True)
class Decider:
    """What is written of a stored result: the chosen attributes, and which of them are present or unsure.

    Attributes:
        names: of the chosen attributes, in the model's order.
        present_from, unsure_from: of each, the probabilities from which it is present, and unsure.
    """

    names: tuple[str, ...]
    present_from: tuple[float, ...]
    unsure_from: tuple[float, ...]

    def __call__(self, record: "ImageResult") -> "ImageResult":
        """The record with these attributes alone, decided anew."""
        return replace(record, faces=tuple(map(self._face, record.faces)))

    def _face(self, face: FaceResult) -> FaceResult:
        edges = zip(self.names, self.present_from, self.unsure_from, strict=True)
        values = [(name, face.probabilities[name], present, unsure) for name, present, unsure in edges]
        return replace(
            face,
            probabilities={name: value for name, value, _, _ in values},
            tags=tuple(name for name, value, present, _ in values if value >= present),
            unsure=tuple(name for name, value, present, unsure in values if unsure <= value < present),
        )


@dataclass(frozen=True)
class ImageResult:
    """One input.

    >>> ImageResult("a.jpg", Status.NO_FACE, "", 300, 200).to_dict()["image_width"]
    300

    Attributes:
        path: as the user gave it, `/` separators, undecodable bytes as surrogates (os.fsdecode); empty for an image
            that was given as bytes or pixels.
        status: what became of it.
        error: one line, empty unless the status is a failure or there is a warning.
        width, height: upright pixels; 0 when unknown.
        faces: in descending score.
        drawer: draws the result on an image, or on the one that it is of; None where no FaceTagger made it.
    """

    path: str
    status: Status
    error: str = ""
    width: int = 0
    height: int = 0
    faces: tuple[FaceResult, ...] = ()
    drawer: "Callable[[ImageResult, Any], Any] | None" = field(default=None, repr=False, compare=False)

    def draw(self, image: Any = None) -> Any:
        """The image with boxes, scores and tags, as a PIL image (RGB, upright, of its full size).

        Args:
            image: what to draw on, as a FaceTagger takes it; None reads the file again, or takes the image that was
                tagged. `FaceTagger.stream` keeps no pixels, so it has to be given for what came without a file.

        Raises:
            FacetagError: there is nothing to draw on, or it cannot be read.
        """
        if self.drawer is None:
            raise FacetagError("a result that was read from a file cannot be drawn", "tag the image with a FaceTagger")
        return self.drawer(self, image)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as JSON has it but for the path, which stands here as it is; sizes are None when unknown."""
        return {
            "schema_version": SCHEMA_VERSION,
            "path": self.path,
            "status": self.status.value,
            "error": self.error,
            "image_width": self.width or None,
            "image_height": self.height or None,
            "faces": [face.to_dict() for face in self.faces],
        }
