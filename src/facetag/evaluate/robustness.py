"""How much of ANet's and the SVMs' accuracy is left when faces are boxed badly or pictures are poor (paper, Fig. 4b).

Aligned pictures and their fixed box, so that nothing but one disturbance differs between two rows. Shifts and scales of
the box ask for the paper's claim, that locally shared features of several views bear misalignment; all other
disturbances change the picture.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from facetag.datasets.augment import Generator, compressed, grey
from facetag.datasets.scenes import ALIGNED_FACE
from facetag.errors import DataError
from facetag.evaluate.image_batches import Progress, no_progress, read_batches
from facetag.geometry import Box
from facetag.images.resample import Image, crop, resize
from facetag.method.attribute_metrics import attribute_metrics
from facetag.tagger import Tagger, Tags

SHIFTS = (0.05, 0.1, 0.15, 0.2, 0.3)
SCALES = (0.7, 0.8, 0.9, 1.1, 1.2, 1.3, 1.4)
SIGMAS = (1, 2, 4)
QUALITIES = (75, 50, 25, 10)
TURNS = (10, 20, 30)
HEIGHTS = (80, 40, 30, 20)
MEANS = ("accuracy", "balanced_accuracy", "average_precision")  #: of AttributeMetrics, as Robustness holds them

#: An aligned picture and its face's box -> what is seen instead, and the box in it. Chance is the picture's own.
Disturb = Callable[[Image, Box, Generator], tuple[Image, Box]]


@dataclass(frozen=True)
class Disturbance:
    """One row of the report; `kind` and `amount` are words for it."""

    kind: str
    amount: str
    apply: Disturb


@dataclass(frozen=True)
class Robustness:
    """Means over the attributes (where they are defined) under one disturbance."""

    kind: str
    amount: str
    accuracy: float
    balanced_accuracy: float
    average_precision: float


@dataclass(frozen=True)
class RobustnessReport:
    """What is left under each disturbance of the same pictures.

    Attributes:
        majority: mean accuracy of always saying the training partition's majority values.
        rows: the undisturbed one first.
    """

    images: int
    majority: float
    rows: tuple[Robustness, ...]


def untouched(image: Image, box: Box, rng: Generator) -> tuple[Image, Box]:
    """The picture and the box themselves."""
    return image, box


def shifted(fraction: float) -> Disturb:
    """The box moved by this share of its height in a random direction."""

    def disturb(image: Image, box: Box, rng: Generator) -> tuple[Image, Box]:
        angle, length = rng.uniform(0, 2 * np.pi), fraction * box.height
        return image, box.shifted(length * float(np.cos(angle)), length * float(np.sin(angle)))

    return disturb


def scaled(factor: float) -> Disturb:
    """The box so many times as large about its middle."""
    return lambda image, box, rng: (image, box.enlarged(factor))


def blurred(sigma: float) -> Disturb:
    """A Gaussian blur of this standard deviation in pixels of the aligned picture."""
    return lambda image, box, rng: (np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8), box)


def jpeg(quality: int) -> Disturb:
    """JPEG compression."""
    return lambda image, box, rng: (compressed(image, quality), box)


def colourless(image: Image, box: Box, rng: Generator) -> tuple[Image, Box]:
    """A grey picture."""
    return grey(image), box


def turned(degrees: float) -> Disturb:
    """The picture turned about the face's middle, one way or the other by chance; the box stays upright."""

    def disturb(image: Image, box: Box, rng: Generator) -> tuple[Image, Box]:
        x, y = box.center
        width, height = round(2 * max(x, image.shape[1] - x)), round(2 * max(y, image.shape[0] - y))
        angle = degrees if rng.random() < 0.5 else -degrees
        image = crop(image, Box.around(x, y, width, height), width, height, angle)
        return image, Box.around(width / 2, height / 2, box.width, box.height)

    return disturb


def shrunk(pixels: int) -> Disturb:
    """The picture so small that the face is this many pixels high."""

    def disturb(image: Image, box: Box, rng: Generator) -> tuple[Image, Box]:
        height, width = image.shape[:2]
        factor = pixels / box.height
        small = resize(image, max(round(width * factor), 1), max(round(height * factor), 1))
        return small, box.scaled(small.shape[1] / width, small.shape[0] / height)

    return disturb


DISTURBANCES = (
    Disturbance("undisturbed", "", untouched),
    *(Disturbance("box shifted", f"{100 * fraction:.0f} % of its height", shifted(fraction)) for fraction in SHIFTS),
    *(Disturbance("box scaled", f"x {factor:g}", scaled(factor)) for factor in SCALES),
    *(Disturbance("blurred", f"sigma {sigma} px", blurred(sigma)) for sigma in SIGMAS),
    *(Disturbance("JPEG", f"quality {quality}", jpeg(quality)) for quality in QUALITIES),
    Disturbance("grey", "", colourless),
    *(Disturbance("turned", f"{degrees} degrees", turned(degrees)) for degrees in TURNS),
    *(Disturbance("shrunk", f"face {pixels} px high", shrunk(pixels)) for pixels in HEIGHTS),
)


def measure_robustness(
    paths: Sequence[Path],
    labels: NDArray[np.int8],
    fractions: NDArray[np.float64],
    tagger: Tagger,
    seed: int = 0,
    progress: Progress = no_progress,
) -> RobustnessReport:
    """Tag aligned pictures under each of DISTURBANCES; one after the other, so that memory holds one batch.

    Args:
        labels: (N, A) in {0, 1}.
        fractions: (A,) those of `training_fractions`.
        seed: of chance; a picture's chance is the same under every disturbance.
        progress: told of pictures times disturbances.

    Raises:
        DataError: there are no pictures, or one cannot be read.
    """
    if not paths:
        raise DataError("there is no picture to disturb", "add the partition's images, or take another")
    rows, majority = [], float("nan")
    for number, disturbance in enumerate(DISTURBANCES):
        tags = _tagged(paths, disturbance.apply, tagger, seed, _part(progress, number, len(paths)))
        means = attribute_metrics(tags.probabilities, tags.present, labels == 1, fractions > 0.5).means()
        majority = means["majority"]
        rows.append(Robustness(disturbance.kind, disturbance.amount, *(means[name] for name in MEANS)))
    return RobustnessReport(len(paths), majority, tuple(rows))


def _part(progress: Progress, number: int, images: int) -> Progress:
    """Progress in one of the disturbances as progress in all."""
    return lambda done, total: progress(number * images + done, len(DISTURBANCES) * images)


def _tagged(paths: Sequence[Path], disturb: Disturb, tagger: Tagger, seed: int, progress: Progress) -> Tags:
    batches = list(_batches(paths, disturb, tagger, seed, progress))
    probabilities = np.concatenate([tags.probabilities for tags in batches])
    return Tags(probabilities, np.concatenate([tags.present for tags in batches]))


def _batches(paths: Sequence[Path], disturb: Disturb, tagger: Tagger, seed: int, progress: Progress) -> Iterator[Tags]:
    first = 0
    for images in read_batches(paths, progress):
        chances = (np.random.default_rng((seed, number)) for number in range(first, first + len(images)))
        seen = [disturb(loaded.pixels, ALIGNED_FACE, rng) for loaded, rng in zip(images, chances, strict=True)]
        yield tagger([tagger.region(image, box) for image, box in seen])
        first += len(images)
