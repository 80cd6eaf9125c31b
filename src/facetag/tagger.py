"""Attributes of located faces (paper, section 3.2): ANet in one pass over a region, views, SVMs, probabilities."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from facetag.errors import ModelError, UsageError
from facetag.geometry import Box
from facetag.images.resample import Image, crop
from facetag.method.views import best_anchor, combine, view_offsets
from facetag.model import Model
from facetag.networks.anet import FEATURES, HEIGHT, WIDTH, ANet, Maps, block_scores
from facetag.settings import settings_from

SHARP = 1.5  #: pixels of a picture that was decoded smaller, for each of ANet's


@dataclass(frozen=True)
class TaggerSettings:
    """How a face box becomes features.

    Attributes:
        context: a face box is enlarged by this factor before it is the 55 x 47 window; 1 = the box itself.
        up: how far the window's middle lies above the box's, in heights of the box.
        step: pixels between neighbouring windows, 8 or 4.
        radius: of the views around the anchor, in pixels; 0 = one view.
        search: of the anchor (Eq. 5) around the middle, in pixels; 0 = the middle is the anchor.
        combination: the views' features concatenated (the paper) or averaged (its revision).
        mirror: the features are the mean of the face's and its mirror image's; views have to be averaged then.
        batch: faces that ANet sees at once; fixed, so that no answer depends on its companions.

    Raises:
        UsageError: radius or search is not a whole number of steps, or mirrored views are to be concatenated.
    """

    context: float = 1.0
    up: float = 0.0
    step: Literal[4, 8] = 8
    radius: int = 8
    search: int = 0
    combination: Literal["concatenate", "average"] = "concatenate"
    mirror: bool = False
    batch: int = 32

    def __post_init__(self) -> None:
        if self.mirror and self.combination != "average":
            raise UsageError("mirror = true of the tagger needs averaged views", 'set combination = "average"')
        for reach in (self.radius, self.search):
            view_offsets(reach, self.step)

    @property
    def margin(self) -> int:
        """Pixels of x_f on every side of the middle window."""
        return self.radius + self.search

    @property
    def width(self) -> int:
        """Features of a face: 160 a view when concatenated."""
        views = len(view_offsets(self.radius, self.step))
        return FEATURES * (views if self.combination == "concatenate" else 1)


@dataclass(frozen=True, eq=False)
class Tags:
    """Of N faces: probabilities (N, A) and decisions (N, A)."""

    probabilities: NDArray[np.float64]
    present: NDArray[np.bool_]


def face_window(box: Box, settings: TaggerSettings) -> Box:
    """The box that becomes the 55 x 47 window: moved up, enlarged, extended about its middle to 47 : 55."""
    moved = box.shifted(0.0, -settings.up * box.height)
    return moved.enlarged(settings.context).extended_to_ratio(WIDTH / HEIGHT)


def face_region(image: Image, box: Box, margin: int, settings: TaggerSettings) -> Image:
    """x_f: the window and `margin` further pixels on every side, resampled once, edges replicated.

    Shape: (H, W, 3) -> (55 + 2 margin, 47 + 2 margin, 3).
    """
    width, height = WIDTH + 2 * margin, HEIGHT + 2 * margin
    window = face_window(box, settings)
    return crop(image, window.enlarged(width / WIDTH, height / HEIGHT), width, height)


class FeatureExtractor:
    """ANet over face regions: h_a, the features that the SVMs see."""

    def __init__(self, anet: ANet, settings: TaggerSettings, device: torch.device | None = None) -> None:
        self.anet, self.settings = anet, settings
        self.device = device or torch.device("cpu")
        self.anet.to(self.device)

    def __call__(self, regions: Sequence[Image]) -> NDArray[np.float32]:
        """Regions x_f (55 + 2 margin, 47 + 2 margin, 3) uint8 -> (N, settings.width)."""
        parts = list(self._batches(regions))
        return np.concatenate(parts) if parts else np.zeros((0, self.settings.width), np.float32)

    def _batches(self, regions: Sequence[Image]) -> Iterator[NDArray[np.float32]]:
        size = self.settings.batch
        for start in range(0, len(regions), size):
            chosen = list(regions[start : start + size])
            filled = np.stack(chosen + [np.zeros_like(chosen[0])] * (size - len(chosen)))
            yield self._features(filled)[: len(chosen)]

    def _features(self, regions: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            images = torch.from_numpy(regions).to(self.device).permute(0, 3, 1, 2).float().div_(255)
            features = self._of_views(images)
            if self.settings.mirror:
                features = (features + self._of_views(images.flip(3))) / 2
        return np.ascontiguousarray(features, np.float32)

    def _of_views(self, images: torch.Tensor) -> NDArray[np.floating[Any]]:
        """Features of the views, combined: (N, settings.width)."""
        views = self._views(self.anet.windows(images, self.settings.step))
        count, number = views.c4.shape[:2]
        flat = Maps(*(part.flatten(0, 1) for part in views))
        features = self.anet.features(flat).cpu().numpy().reshape(count, number, FEATURES)
        return combine(features, self.settings.combination)

    def _views(self, maps: Maps) -> Maps:
        """The windows around each face's anchor: Maps with leading (N, I, J) -> (N, views)."""
        settings = self.settings
        reach = settings.radius // settings.step
        middle = settings.margin // settings.step
        if settings.search:
            scores = block_scores(maps.c4).cpu().numpy()
            anchors = np.array([best_anchor(face, reach) for face in scores])
        else:
            anchors = np.full((len(maps.c4), 2), middle)
        offsets = np.array(view_offsets(settings.radius, settings.step)) // settings.step
        places = anchors[:, None] + offsets[None]  # (N, views, 2)
        faces = np.arange(len(places))[:, None]
        return Maps(*(part[faces, places[..., 0], places[..., 1]] for part in maps))


class Tagger:
    """Faces in, probabilities and decisions for the forty attributes out.

    Raises:
        ModelError: the model's SVMs do not take what its settings give.
    """

    def __init__(self, model: Model, device: torch.device | None = None) -> None:
        self.model = model
        self.settings = settings_from(TaggerSettings, model.tagger, "model.json")
        if model.svm.weights.shape[1] != self.settings.width:
            raise ModelError(f"the SVMs of {model.name} are of other features than its tagger gives", "fit them again")
        self.extract = FeatureExtractor(model.anet, self.settings, device)

    def region(self, image: Image, box: Box) -> Image:
        """x_f of one face: image (H, W, 3) upright RGB, box in its pixels."""
        return face_region(image, box, self.settings.margin, self.settings)

    def share(self, box: Box) -> float:
        """Of its size, at which a picture still shows this face with SHARP pixels for each that ANet sees."""
        return SHARP * HEIGHT / face_window(box, self.settings).height

    def __call__(self, regions: Sequence[Image]) -> Tags:
        """Regions from `region` -> Tags, in order."""
        probabilities = self.model.calibration.probabilities(self.model.svm.scores(self.extract(regions)))
        return Tags(probabilities, probabilities >= self.model.thresholds)
