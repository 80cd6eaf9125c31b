"""The one global convention from peaks of response maps to boxes (paper, section 3.1), fitted on photographs.

LNets are trained on image-level tags and know no boxes, so where a face's edges lie relative to a peak has to be told
once: a size and an offset for what LNet_o's heads imply, and likewise for LNet_s's faces. How sure a score is, and from
which one on a face is kept, is told by the same photographs. Each net looks once at each photograph; what is fitted is
found again and again in the maps that it answered.
"""

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import singledispatch
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from facetag.datasets.webfaces import AnnotatedImage
from facetag.errors import DataError
from facetag.evaluate.image_batches import Progress, no_progress, read_batches
from facetag.evaluate.localization import Examined, examine
from facetag.geometry import Box
from facetag.images.resample import Image
from facetag.localization.base import Detection, Localizer
from facetag.localization.center_localizer import CenterLocalizer, CenterLocalizerSettings
from facetag.localization.lnet_localizer import LNetLocalizer, logit_of
from facetag.localization.response_maps import PeakSettings, find_peaks, whole_frame
from facetag.method import detection_metrics as recall
from facetag.method.scale_space import Layer
from facetag.training.fit import calibrate

TURNS = 4  #: boxes found by the settings of one turn give those of the next
RATE = 0.1  #: false positives an image at the score from which on faces are kept
IOU = 0.5

Values = NDArray[np.float64]
SomeLocalizer = TypeVar("SomeLocalizer", LNetLocalizer, CenterLocalizer)


@dataclass(frozen=True)
class Fitted:
    """Settings and what they reach on the photographs they were fitted on.

    Attributes:
        recall: share of photographs whose strongest peak's box has IoU >= 0.5.
        overlap: mean IoU of those boxes, 0 where there is none.
    """

    settings: PeakSettings
    recall: float
    overlap: float


@dataclass(frozen=True)
class Scoring:
    """From a face's logit to its score, and the score from which on there are `RATE` false positives an image.

    Attributes:
        slope, offset: of the logit, so that the score is the share of such boxes that hold a face.
        score: the model's.
        recall: of single faces at IoU 0.5 by the boxes of at least that score.
    """

    slope: float
    offset: float
    score: float
    recall: float


@dataclass(frozen=True)
class BoxCalibration:
    """The fitted convention; `face` and `scoring` are None where there is no LNet_s yet."""

    images: int
    head_region: Fitted
    face: Fitted | None
    scoring: Scoring | None


@dataclass(frozen=True)
class CenterBoxCalibration:
    """The fitted convention of a centre localizer's boxes, in settings whose scores are older, and its scores."""

    images: int
    settings: CenterLocalizerSettings
    scoring: Scoring


@dataclass(frozen=True, eq=False)
class LayersAndTruth:
    """A net's layers of one photograph, ascending in scale, and the true face."""

    layers: Sequence[Layer]
    truth: Box


@singledispatch
def fit_box_calibration(
    localizer: Localizer,
    annotated_images: Sequence[AnnotatedImage],
    progress: Progress = no_progress,
    heads_alone: bool = False,
) -> BoxCalibration | CenterBoxCalibration:
    """Fit what a localizer's boxes and scores follow, in the way that is registered for its class.

    Args:
        localizer: its settings hold but for what is fitted.
        photographs: with one face each, and never any that localization will be measured on.
        heads_alone: there is no LNet_s yet; it is trained on head squares by this convention.

    Raises:
        DataError: there are none, a picture cannot be read, or a net responds near no face.
    """
    raise NotImplementedError(f"nothing is fitted of a {type(localizer).__name__}")


@fit_box_calibration.register
def fit_lnets(
    localizer: LNetLocalizer,
    annotated_images: Sequence[AnnotatedImage],
    progress: Progress = no_progress,
    heads_alone: bool = False,
) -> BoxCalibration:
    """Heads first, then faces on what LNet_s sees at the heads by the first, then the scores. Raises as above."""
    _check(annotated_images)
    head_region = fit_peaks(
        list(head_region_layers(localizer, annotated_images, progress)), localizer.settings.head_region
    )
    if heads_alone:
        return BoxCalibration(len(annotated_images), head_region, None, None)
    localizer = with_settings(localizer, head_region=head_region.settings)
    face = fit_peaks(list(face_layers(localizer, annotated_images, progress)), localizer.settings.face)
    localizer = with_settings(localizer, face=face.settings, slope=1.0, offset=0.0)
    return BoxCalibration(
        len(annotated_images), head_region, face, fit_scores(examine(annotated_images, localizer, progress))
    )


def _check(annotated_images: Sequence[AnnotatedImage]) -> None:
    if not annotated_images:
        raise DataError("there is no photograph with a single face to fit on", "check the boxes file")
    assert all(len(annotated_image.boxes) == 1 for annotated_image in annotated_images)


@fit_box_calibration.register
def fit_center_boxes(
    localizer: CenterLocalizer,
    annotated_images: Sequence[AnnotatedImage],
    progress: Progress = no_progress,
    heads_alone: bool = False,
) -> CenterBoxCalibration:
    """What a centre network's boxes are resized and moved by, as medians over the surest box near each face; then the
    scores.

    Raises:
        DataError: no box lies near its face, or logits do not tell right boxes from wrong ones.
    """
    _check(annotated_images)
    plain = with_settings(localizer, width=1.0, height=1.0, right=0.0, down=0.0, slope=1.0, offset=0.0)
    examined = examine(annotated_images, plain, progress)
    highest_scoring = [(one.found[0].box, one.image.boxes[0]) for one in examined if one.found]
    close = [(box, truth) for box, truth in highest_scoring if near(box, truth)]
    if not close:
        raise DataError("the centre network responds near none of the faces", "train it longer")
    moved = medians(PeakSettings(height=1.0, right=0.0, down=0.0), close)
    wider = float(np.exp(np.median([np.log(truth.width / box.width) for box, truth in close])))
    changes: dict[str, Any] = {"width": wider, "height": moved.height, "right": moved.right, "down": moved.down}
    settings, asked = replace(localizer.settings, **changes), with_settings(plain, **changes)
    return CenterBoxCalibration(len(annotated_images), settings, fit_scores(examine(annotated_images, asked, progress)))


def with_settings(localizer: SomeLocalizer, **changes: Any) -> SomeLocalizer:
    """The same nets under settings that differ in these fields."""
    changed = copy(localizer)
    changed.settings = replace(localizer.settings, **changes)
    return changed


def fit_peaks(samples: Sequence[LayersAndTruth], start: PeakSettings) -> Fitted:
    """Size and offset as medians over the photographs whose strongest peak lies near the face, turn by turn.

    The medians hold as long as most of those peaks belong to the face.

    Raises:
        DataError: no peak lies near its face, or there is nothing looked at.
    """
    if not samples:
        raise DataError("no head was found near any of the faces", "train LNet_o longer, or lower head_score")
    ratio = float(np.median([one.truth.width / one.truth.height for one in samples]))
    settings = replace(start, ratio=ratio)
    for _ in range(TURNS):
        found = [(strongest(one.layers, settings), one.truth) for one in samples]
        close = [(box, truth) for box, truth in found if box and near(box, truth)]
        if not close:
            raise DataError("the net responds near none of the faces", "train it longer")
        settings = medians(settings, close)
    overlaps = np.array([box.iou(one.truth) if (box := strongest(one.layers, settings)) else 0.0 for one in samples])
    return Fitted(settings, float((overlaps >= IOU).mean()), float(overlaps.mean()))


def strongest(layers: Sequence[Layer], settings: PeakSettings) -> Box | None:
    """The box of the strongest peak."""
    found = find_peaks(layers, settings)
    return max(found, key=lambda peak: peak[1])[0] if found else None


def near(box: Box, truth: Box) -> bool:
    """Whether the box's middle lies in the true face, enlarged twice about its middle."""
    (x, y), (true_x, true_y) = box.center, truth.center
    return abs(x - true_x) <= truth.width and abs(y - true_y) <= truth.height


def medians(settings: PeakSettings, pairs: Sequence[tuple[Box, Box]]) -> PeakSettings:
    """The settings that would have put the median box right, given boxes by `settings` and their true ones.

    Offsets are from peaks, and in heights of the box to be.
    """
    rows = np.array([(*box.center, box.height, *truth.center, truth.height) for box, truth in pairs])
    x, y, height, true_x, true_y, true_height = rows.T
    return replace(
        settings,
        height=settings.height * float(np.exp(np.median(np.log(true_height / height)))),
        right=float(np.median((true_x - x + settings.right * height) / true_height)),
        down=float(np.median((true_y - y + settings.down * height) / true_height)),
    )


def fit_scores(examined: Sequence[Examined]) -> Scoring:
    """How sure a logit is, by Platt scaling, and where to cut; scores of `examined` are plain sigmoids of logits.

    Raises:
        DataError: the surest boxes are wrong, or logits do not tell right boxes from wrong ones.
    """
    located = [recall.Located([face.box for face in one.found], [face.score for face in one.found],
                              one.image.boxes) for one in examined]  # fmt: skip
    hits = np.concatenate([recall.match(one.boxes, one.scores, one.truths, IOU) >= 0 for one in located])
    logits = np.array([logit_of(score) for one in located for score in one.scores])
    platt = calibrate(logits[:, None], hits[:, None])
    curve = recall.froc(located, IOU)
    allowed = np.flatnonzero(curve.false_positives <= RATE)
    if not len(allowed):
        raise DataError("the surest boxes are wrong already", "train them longer")
    if platt.slope[0] <= 0:
        raise DataError("the scores do not tell right boxes from wrong ones", "fit on more photographs")
    threshold, reached = curve.thresholds[allowed[-1]], curve.recall[allowed[-1]]
    score = platt.probabilities(np.array([[logit_of(threshold)]]))[0, 0]
    return Scoring(float(platt.slope[0]), float(platt.intercept[0]), float(score), float(reached))


def _batches(annotated_images: Sequence[AnnotatedImage], progress: Progress) -> Iterator[tuple[list[Image], list[Box]]]:
    """Images and their true faces."""
    first = 0
    for loaded_images in read_batches([annotated_image.path for annotated_image in annotated_images], progress):
        images = [loaded.pixels for loaded in loaded_images]
        yield images, [annotated_image.boxes[0] for annotated_image in annotated_images[first : first + len(images)]]
        first += len(images)


def head_region_layers(
    localizer: LNetLocalizer, annotated_images: Sequence[AnnotatedImage], progress: Progress
) -> Iterator[LayersAndTruth]:
    """What LNet_o answers."""
    for images, truths in _batches(annotated_images, progress):
        frames = [
            [whole_frame(image.shape[1], image.shape[0], side) for side in localizer.input_sizes(image)]
            for image in images
        ]
        layers = localizer.layers(localizer.lnet_o, images, frames, localizer.settings.head_region)
        yield from (LayersAndTruth(*pair) for pair in zip(layers, truths, strict=True))


def face_layers(
    localizer: LNetLocalizer, annotated_images: Sequence[AnnotatedImage], progress: Progress
) -> Iterator[LayersAndTruth]:
    """What LNet_s answers at the head of each photograph that implies its face best."""
    for images, truths in _batches(annotated_images, progress):
        head_regions: list[tuple[Detection, Image, Box]] = []
        for found, image, truth in zip(localizer.head_regions(images), images, truths, strict=True):
            best = max(found, key=lambda head_region: head_region.box.iou(truth), default=None)
            if best and near(best.box, truth):
                head_regions.append((best, image, truth))
        frames = [localizer.head_region_frames(head_region.box) for head_region, _, _ in head_regions]
        layers = localizer.layers(
            localizer.lnet_s, [image for _, image, _ in head_regions], frames, localizer.settings.face
        )
        yield from (LayersAndTruth(of, truth) for of, (_, _, truth) in zip(layers, head_regions, strict=True))
