"""What every localizer is: images in, face boxes out, whichever net looks.

>>> Detection(Box(10, 20, 30, 40), 0.9).score
0.9
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

from numpy.typing import NDArray

from facetag.geometry import Box
from facetag.images.resample import Image

if TYPE_CHECKING:
    import torch

#: Which faces of an image are asked for: those of at least the model's score; the one of the highest score, whatever it
#: is; or all down to score 0.
Which = Literal["all", "dominant", "every"]

#: Called with the name of a stage, gives a context in which that stage runs: whoever measures time passes one.
Timed = Callable[[str], AbstractContextManager[None]]


@dataclass(frozen=True)
class Detection:
    """A face box (pixels of the image given) and its score in [0, 1], larger is surer."""

    box: Box
    score: float


class SizedImage(Protocol):
    """An upright RGB image, of which only as many pixels need be in memory as are asked for."""

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...

    def at(self, side: float) -> Image:
        """Its pixels, at least so many on the longer side where it has them: (H, W, 3) uint8."""


def untimed(stage: str) -> AbstractContextManager[None]:
    """For whoever does not measure."""
    return nullcontext()


class Localizer(Protocol):
    """Finds the faces of images: upright RGB uint8 (H, W, 3) of any size, or SizedImages, in whose pixels faces then
    are.

    Attributes:
        settings: a dataclass with at least `score`, below which faces are dropped.
        device: where the nets run.
    """

    settings: Any
    device: "torch.device"

    def detect(
        self, images: Sequence[Image | SizedImage], which: Which = "all", timed: Timed = untimed
    ) -> list[list[Detection]]:
        """The faces of each image, highest score first."""

    def __call__(self, images: Sequence[Image | SizedImage]) -> list[list[Detection]]:
        """All faces of each image with at least the model's score."""
        return self.detect(images)

    def dominant(self, images: Sequence[Image | SizedImage]) -> list[list[Detection]]:
        """The paper's single face of each image, whatever its score; none only where nothing responds."""
        return self.detect(images, "dominant")

    def every(self, images: Sequence[Image | SizedImage]) -> list[list[Detection]]:
        """All faces of each image down to score 0."""
        return self.detect(images, "every")

    @property
    def read_size(self) -> int:
        """Pixels of an image's longer side that suffice to find its faces; 0 = all that it has."""
        return 0

    def thorough(self) -> Self:
        """One that looks for small faces in every image.

        Raises:
            UsageError: it has no passes for them.
        """

    def head_regions(self, images: Sequence[Image]) -> list[list[Detection]]:
        """What it finds of each image before faces, and looks at for them; nothing where one pass finds faces."""
        return [[] for _ in images]

    def responses(self, image: Image, faces: Sequence[Box], width: int, height: int) -> list[NDArray[Any]]:
        """Maps (height, width) of what its nets answered to an image in which it found these faces, to be drawn; none
        where a net has none worth looking at."""
        return []

    def precision(self) -> "torch.dtype":
        """That the nets compute in."""

    def tensors(self) -> "list[torch.Tensor]":
        """All that was learned, in a fixed order."""

    def model_fields(self) -> dict[str, Any]:
        """The fields of a `model.Model` that find faces, on the CPU where they are saved from."""
