"""How well faces are found (paper, section 5, Fig. 7): recall by IoU, by false positives per image and by size.

Curves over false positives need the boxes that the model drops, so faces are asked for down to score 0 and cut here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from facetag.datasets.boxes import load_boxes_csv
from facetag.datasets.webfaces import AnnotatedImage, Half, content_digest, half_of, load_webfaces
from facetag.errors import DataError
from facetag.evaluate.image_batches import Progress, no_progress, read_batches
from facetag.geometry import Box
from facetag.localization.base import Detection, Localizer
from facetag.method import detection_metrics as recall

IOUS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
RATES = (0.01, 0.03, 0.1, 0.3, 1.0)  #: false positives per image
FRACTIONS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.9, inf)  #: edges of a face's longer side over the photograph's
PIXELS = (0.0, 16.0, 32.0, 64.0, 128.0, 256.0, inf)  #: edges of a face's longer side

Values = NDArray[np.float64]


@dataclass(frozen=True)
class AnnotatedImages:
    """Photographs with true boxes.

    Attributes:
        chosen: those to measure on.
        missing: named by the boxes file, but not there.
        duplicates: left out, as their very bytes were there before.
    """

    chosen: list[AnnotatedImage]
    missing: int
    duplicates: int

    @property
    def single(self) -> list[AnnotatedImage]:
        """Those with one face."""
        return [annotated_image for annotated_image in self.chosen if len(annotated_image.boxes) == 1]


@dataclass(frozen=True)
class Examined:
    """A photograph and what was located in it.

    Attributes:
        found: all faces down to score 0, the surest first.
        longer: pixels of the photograph's longer side.
        beneath: what responds most where nothing was found, without any threshold, that of heads included.
    """

    image: AnnotatedImage
    found: Sequence[Detection]
    longer: int
    beneath: Detection | None = None

    @property
    def highest_scoring(self) -> Detection | None:
        """The best-scoring box, however low; None only where nothing responds."""
        return self.found[0] if self.found else self.beneath


@dataclass(frozen=True, eq=False)
class Recall:
    """Recall on photographs, nan where there is no face to find. Boxes of at least the model's score are "kept".

    Attributes:
        photographs, faces: how many.
        empty: photographs with a face and without a kept box; their faces count as missed everywhere.
        false_positives: kept boxes per photograph that match no face at IoU 0.5.
        centred: of the photographs with a face, those whose best-scoring box (`Examined.highest_scoring`) has its
            middle in one.
        kept: (len(IOUS),) recall of the kept boxes.
        every: (len(IOUS),) recall of all boxes down to score 0: no threshold gives more.
        at_rates: (len(IOUS), len(RATES)) recall at the lowest threshold with at most that many false positives an
            image, both by the row's IoU.
        by_fraction, by_pixels: recall of the kept boxes at IoU 0.5 by size of the face, bins FRACTIONS and PIXELS.
        faces_by_fraction, faces_by_pixels: faces in each bin.
    """

    images: int
    faces: int
    empty: int
    false_positives: float
    centred: float
    kept: Values
    every: Values
    at_rates: Values
    by_fraction: Values
    faces_by_fraction: NDArray[np.int64]
    by_pixels: Values
    faces_by_pixels: NDArray[np.int64]


@dataclass(frozen=True)
class LocalizationReport:
    """Recall at the model's `score` and apart from it, on all photographs and on those with one face."""

    score: float
    all: Recall
    single: Recall


def load_annotated_images(
    images: Path, boxes: Path | None = None, half: Half | Literal["all"] = "all"
) -> AnnotatedImages:
    """Photographs under `images` with the boxes of a CSV file (datasets/boxes), or of WebFaces' own file for None.

    Names in the CSV are relative to `images`. `half` is WebFaces' split by the file's content, for any photographs.

    Raises:
        DataError: a file is missing or malformed, or no photograph is left.
    """
    if boxes is None:
        data = load_webfaces(images)
        annotated_images, missing, duplicates = data.images, data.missing, data.duplicates
    else:
        annotated_images, missing, duplicates = _listed(images, load_boxes_csv(boxes))
    chosen = [annotated_image for annotated_image in annotated_images if half in ("all", annotated_image.half)]
    if not chosen:
        raise DataError(f"{images} has none of the photographs asked for", "check folder, boxes file and half")
    return AnnotatedImages(chosen, missing, duplicates)


def examine(
    annotated_images: Sequence[AnnotatedImage], localizer: Localizer, progress: Progress = no_progress
) -> list[Examined]:
    """Locate the faces of each photograph, down to score 0, decoded as `predict` decodes it.

    Raises:
        DataError: a photograph cannot be read.
    """
    examined: list[Examined] = []
    paths = [annotated_image.path for annotated_image in annotated_images]
    for images in read_batches(paths, progress, side=localizer.read_size):
        for image, found in zip(images, localizer.every(images), strict=True):
            beneath = None if found else next(iter(localizer.dominant([image])[0]), None)
            examined.append(Examined(annotated_images[len(examined)], found, max(image.width, image.height), beneath))
    return examined


def measure_localization(examined: Sequence[Examined], score: float) -> LocalizationReport:
    """The figures of what `examine` found; `score` is the model's, below which it drops boxes."""
    single = [one for one in examined if len(one.image.boxes) == 1]
    return LocalizationReport(score, _recall(examined, score), _recall(single, score))


def _listed(images: Path, boxes: dict[str, list[Box]]) -> tuple[list[AnnotatedImage], int, int]:
    """Distinct photographs of a boxes file, and how many are missing and how many come twice."""
    annotated_images: list[AnnotatedImage] = []
    seen: set[bytes] = set()
    present = [name for name in boxes if (images / name).is_file()]
    for name in present:
        digest = content_digest(images / name)
        if digest not in seen:
            seen.add(digest)
            annotated_images.append(AnnotatedImage(images / name, tuple(boxes[name]), half_of(digest)))
    return annotated_images, len(boxes) - len(present), len(present) - len(annotated_images)


def _recall(examined: Sequence[Examined], score: float) -> Recall:
    every = [_located(one) for one in examined]
    kept = [_located(one, score) for one in examined]
    fractions = [_located(one, score, 1 / one.longer) for one in examined]
    by_fraction, faces_by_fraction = recall.recall_by_size(fractions, FRACTIONS)
    by_pixels, faces_by_pixels = recall.recall_by_size(kept, PIXELS)
    wrong = sum(int((recall.match(one.boxes, one.scores, one.truths, 0.5) < 0).sum()) for one in kept)
    return Recall(
        images=len(examined),
        faces=sum(len(one.truths) for one in kept),
        empty=sum(bool(one.truths) and not one.boxes for one in kept),
        false_positives=wrong / max(len(kept), 1),
        centred=_centred(examined),
        kept=recall.recall_by_iou(kept, IOUS),
        every=recall.recall_by_iou(every, IOUS),
        at_rates=np.array([recall.recall_by_false_positives(every, RATES, iou) for iou in IOUS]),
        by_fraction=by_fraction,
        faces_by_fraction=faces_by_fraction,
        by_pixels=by_pixels,
        faces_by_pixels=faces_by_pixels,
    )


def _located(one: Examined, score: float = 0.0, factor: float = 1.0) -> recall.Located:
    """Boxes of at least this score and the true ones, resized by a factor."""
    kept = [face for face in one.found if face.score >= score]
    truths = [box.scaled(factor) for box in one.image.boxes]
    return recall.Located([face.box.scaled(factor) for face in kept], [face.score for face in kept], truths)


def _centred(examined: Sequence[Examined]) -> float:
    """The share of photographs with a face whose surest box has its middle inside one; nan without such photographs."""
    hits = [
        any(holds(truth, one.highest_scoring.box.center) for truth in one.image.boxes) if one.highest_scoring else False
        for one in examined
        if one.image.boxes
    ]
    return float(np.mean(hits)) if hits else float("nan")


def holds(box: Box, point: tuple[float, float]) -> bool:
    """Whether the point (x, y) lies in the box."""
    return box.x <= point[0] <= box.right and box.y <= point[1] <= box.bottom
