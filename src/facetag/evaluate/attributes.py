"""How well the forty attributes of CelebA are told (paper, section 5, Table 1), by the whole cascade or without LNets.

Aligned pictures hold one face, so the cascade answers with the paper's single, dominant one; nothing tells it where.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from facetag.attributes import ATTRIBUTES
from facetag.datasets.celeba import CelebA
from facetag.datasets.scenes import ALIGNED_FACE
from facetag.errors import DataError
from facetag.evaluate.image_batches import Progress, no_progress, read_batches
from facetag.localization.base import Detection
from facetag.method.attribute_metrics import AttributeMetrics, attribute_metrics
from facetag.pipeline.items import LoadedImage
from facetag.pipeline.stages import regions_of
from facetag.tagger import Tagger

Partition = Literal["train", "val", "test"]
Mode = Literal["cascade", "crops"]
Locate = Callable[[Sequence[LoadedImage]], list[list[Detection]]]

#: Whom a tagger may serve unequally, as far as labels tell.
GROUPED_BY = ("Male", "Young")

PARTITIONS: dict[Partition, int] = {"train": 0, "val": 1, "test": 2}

#: What a reader must know of figures of this partition.
FITTED: dict[Partition, str] = {
    "train": "careful: nets were trained on pictures of this partition, so accuracy is too high",
    "val": "careful: SVMs and thresholds were fitted on pictures of this partition, so accuracy is too high",
    "test": "",
}


@dataclass(frozen=True, eq=False)
class Tagged:
    """What was answered for N pictures.

    Attributes:
        faces: the face that was tagged, None where nothing was found.
        probabilities, present: (N, A); nan and False where nothing was found.
    """

    faces: list[Detection | None]
    probabilities: NDArray[np.float64]
    present: NDArray[np.bool_]

    @property
    def found(self) -> NDArray[np.bool_]:
        """(N,) whether a face was found."""
        return np.array([face is not None for face in self.faces], dtype=np.bool_)


@dataclass(frozen=True, eq=False)
class GroupReport:
    """The pictures that are labelled alike in GROUPED_BY: their name, how many they are, and `AttributeReport.metrics`
    of them alone."""

    name: str
    images: int
    metrics: AttributeMetrics


@dataclass(frozen=True, eq=False)
class AttributeReport:
    """Attributes measured on N pictures.

    Attributes:
        pictures: N.
        missed: those in which LNets found nothing. They count: as the training partition's majority values for
            decisions, and as its shares of each attribute for probabilities.
        overlap: mean IoU of the boxes found with the aligned convention's (ALIGNED_FACE); nan when nothing was found.
        metrics: each field (A,) in the order of ATTRIBUTES.
        positives: (A,) pictures labelled present.
        groups: those that have pictures.
    """

    images: int
    missed: int
    overlap: float
    metrics: AttributeMetrics
    positives: NDArray[np.int64]
    groups: list[GroupReport]


def aligned_faces(images: Sequence[LoadedImage]) -> list[list[Detection]]:
    """The fixed box of aligned CelebA pictures: what a perfect localizer would answer. Stands in for `dominant`."""
    return [[Detection(ALIGNED_FACE, 1.0)] for _ in images]


def training_fractions(data: CelebA) -> NDArray[np.float64]:
    """(A,) share of the net-training partition's pictures in which each attribute is present.

    Raises:
        DataError: the data set has no picture of that partition, so that there is no majority baseline.
    """
    training = data.attributes[data.partition == PARTITIONS["train"]]
    if not len(training):
        raise DataError("no training picture to take commoner values from", "add partition 0 of CelebA")
    return np.asarray(training.mean(axis=0), np.float64)


def tag_images(
    paths: Sequence[Path],
    locate: Locate,
    tagger: Tagger,
    progress: Progress = no_progress,
    side: int = 0,
    attributes: int = len(ATTRIBUTES),
) -> Tagged:
    """Locate and tag the surest face of each picture, decoded as `predict` decodes it.

    Args:
        locate: photos -> faces of each, the surest first: `Localizer.dominant` or `aligned_faces`.
        side: `Localizer.read_size`; 0 = decoded whole.
        attributes: so many of the model's; CelebA's forty come first, then those that were added to it.

    Raises:
        DataError: a picture cannot be read.
    """
    faces: list[Detection | None] = []
    probabilities = np.full((len(paths), attributes), np.nan)
    present = np.zeros(probabilities.shape, np.bool_)
    for images in read_batches(paths, progress, side=side):
        first, located = len(faces), locate(images)
        faces += [found[0] if found else None for found in located]
        indices = [index for index, found in enumerate(located) if found]
        regions = [x_f for at in indices for x_f in regions_of(tagger, images[at], [located[at][0].box])]
        tags = tagger(regions) if indices else None
        if tags is not None:
            rows = np.array(indices) + first
            probabilities[rows], present[rows] = tags.probabilities[:, :attributes], tags.present[:, :attributes]
    return Tagged(faces, probabilities, present)


def measure_attributes(tagged: Tagged, labels: NDArray[np.int8], fractions: NDArray[np.float64]) -> AttributeReport:
    """Compare answers with labels (N, A) in {0, 1}; `fractions` (A,) are those of `training_fractions`."""
    found, majority, truth = tagged.found, fractions > 0.5, labels == 1
    probabilities = np.where(found[:, None], tagged.probabilities, fractions)
    present = np.where(found[:, None], tagged.present, majority)
    overlaps = [face.box.iou(ALIGNED_FACE) for face in tagged.faces if face is not None]
    return AttributeReport(
        images=len(found),
        missed=int((~found).sum()),
        overlap=float(np.mean(overlaps)) if overlaps else float("nan"),
        metrics=attribute_metrics(probabilities, present, truth, majority),
        positives=truth.sum(axis=0),
        groups=[
            GroupReport(
                name, int(mask.sum()), attribute_metrics(probabilities[mask], present[mask], truth[mask], majority)
            )
            for name, mask in _groups(truth)
            if mask.any()
        ],
    )


def _groups(truth: NDArray[np.bool_]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Name and mask (N,) of each group of labels (N, A)."""
    columns = truth[:, [ATTRIBUTES.index(name) for name in GROUPED_BY]]
    for values in product((True, False), repeat=len(GROUPED_BY)):
        phrases = (name if value else f"not {name}" for name, value in zip(GROUPED_BY, values, strict=True))
        yield ", ".join(phrases), (columns == values).all(axis=1)
