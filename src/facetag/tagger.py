"""Attributes of located faces (paper, section 3.2): ANet in one pass over a region, views, SVMs, probabilities."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from facetag.errors import ModelError, UsageError
from facetag.geometry import Box
from facetag.images.resample import Image, crop
from facetag.method.views import best_anchor, combine, view_offsets
from facetag.model import Model
from facetag.networks.anet import FEATURES, ANet, Frame, Maps, block_scores
from facetag.networks.anet_heads import AnyANet
from facetag.networks.execution.forward import Forward
from facetag.settings import settings_from

FAR = 64  #: pixels that views may be away, scales of the window, and boxes that it may be as large as
MOST = 4096  #: faces that ANet sees at once
SHARP = 1.5  #: pixels of a picture that was decoded smaller, for each of ANet's


@dataclass(frozen=True)
class TaggerSettings:
    """How a face box becomes features.

    Attributes:
        context: a face box is enlarged by this factor before it is the 55 x 47 window; 1 = the box itself.
        up: how far the window's middle lies above the box's, in heights of the box.
        scales: the window is cut out at these times its size; views are taken of each.
        step: pixels between neighbouring windows, 8 or 4.
        radius: of the views around the anchor, in pixels; 0 = one view.
        search: of the anchor (Eq. 5) around the middle, in pixels; 0 = the middle is the anchor.
        combination: the features of all views concatenated (the paper) or averaged (its revision).
        mirror: the features are the mean of the face's and its mirror image's; views have to be averaged then.
        batch: faces that ANet sees at once; fixed, so that no answer depends on its companions.

    Raises:
        UsageError: radius or search is not a whole number of steps, a scale is not positive or there is none, a number
            is out of range, or mirrored views are to be concatenated.
    """

    context: float = 1.0
    up: float = 0.0
    scales: tuple[float, ...] = (1.0,)
    step: Literal[4, 8] = 8
    radius: int = 8
    search: int = 0
    combination: Literal["concatenate", "average"] = "concatenate"
    mirror: bool = False
    batch: int = 32

    def __post_init__(self) -> None:
        if self.mirror and self.combination != "average":
            raise UsageError("mirror = true of the tagger needs averaged views", 'set combination = "average"')
        if not self.scales or not all(0 < scale < inf for scale in self.scales):
            raise UsageError("scales of the tagger must be one or more positive numbers", "scales = [1.0] is the box")
        if (
            len(self.scales) > FAR
            or max(self.scales) > FAR
            or not 0 < self.context <= FAR
            or not -FAR <= self.up <= FAR
        ):
            raise UsageError("a window of the tagger is out of range", f"leave it within {FAR} times the box")
        if not 1 <= self.batch <= MOST:
            raise UsageError(f"batch = {self.batch} of the tagger is out of range", f"make it 1 to {MOST}")
        for reach in (self.radius, self.search):
            if reach > FAR:  # the number of views grows with its square
                raise UsageError(f"a reach of {reach} px of the tagger is out of range", f"make it at most {FAR}")
            view_offsets(reach, self.step)

    @property
    def margin(self) -> int:
        """Pixels of x_f on every side of the middle window."""
        return self.radius + self.search

    @property
    def width(self) -> int:
        """Features of a face: 160 a view when concatenated."""
        views = len(self.scales) * len(view_offsets(self.radius, self.step))
        return FEATURES * (views if self.combination == "concatenate" else 1)


@dataclass(frozen=True, eq=False)
class Tags:
    """Of N faces: probabilities (N, A) and decisions (N, A)."""

    probabilities: NDArray[np.float64]
    present: NDArray[np.bool_]


def face_window(box: Box, settings: TaggerSettings, frame: Frame = ANet.frame, scale: float = 1.0) -> Box:
    """The box that becomes ANet's window: moved up, enlarged, extended about its middle to the window's ratio."""
    moved = box.shifted(0.0, -settings.up * box.height)
    return moved.enlarged(settings.context * scale).extended_to_ratio(frame.width / frame.height)


def face_regions(image: Image, box: Box, settings: TaggerSettings, frame: Frame = ANet.frame) -> NDArray[np.uint8]:
    """x_f at each scale: the window and its margin on every side, resampled once, edges replicated.

    Shape: (H, W, 3) -> (scales, height + 2 margin, width + 2 margin, 3), (scales, 55 + 2 margin, 47 + 2 margin, 3) for
    the paper's ANet.
    """
    margin = max(settings.margin, frame.margin)
    width, height = frame.width + 2 * margin, frame.height + 2 * margin
    windows = [face_window(box, settings, frame, scale) for scale in settings.scales]
    regions = [window.enlarged(width / frame.width, height / frame.height) for window in windows]
    return np.stack([crop(image, region, width, height) for region in regions])


class RegionFeatures:
    """ANet over x_f: regions (N, scales, 3, H, W) in [0, 1] -> features (N, 1 or 2, views of all scales, 160), a second
    time of the mirror image where it counts. With `search` the host has a look at what C4 answers."""

    def __init__(self, anet: AnyANet, settings: TaggerSettings, device: torch.device) -> None:
        if anet.frame.margin and (settings.search or settings.margin > anet.frame.margin):
            raise UsageError(
                f"a wide ANet has no views {settings.margin} px away and no search",
                f"set search = 0 and a radius of at most {anet.frame.margin}",
            )
        if settings.step % anet.frame.step:
            raise UsageError(f"windows of this ANet are no {settings.step} px apart", f"set step = {anet.frame.step}")
        self.anet, self.settings = anet, settings
        self._reach = settings.radius // settings.step
        center_offset = max(settings.margin, anet.frame.margin) // settings.step
        self._offsets = np.array(view_offsets(settings.radius, settings.step)) // settings.step
        self._fixed = torch.from_numpy(self._offsets + center_offset).to(device)

    def __call__(self, regions: torch.Tensor) -> torch.Tensor:
        images = regions.flatten(0, 1)
        mirrored = [images, images.flip(3)] if self.settings.mirror else [images]
        return torch.stack([self._of_views(view).reshape(len(regions), -1, FEATURES) for view in mirrored], 1)

    def _of_views(self, images: torch.Tensor) -> torch.Tensor:
        """(N scales, 3, H, W) -> (N scales views, 160)."""
        return self.anet.features(self._views(images).mapped(lambda part: part.flatten(0, 1)))

    def _views(self, images: torch.Tensor) -> Maps:
        """The windows around each face's anchor: (N, 3, H, W) -> Maps with leading (N, views)."""
        if not self.settings.search:
            return self.anet.views(images, self._fixed, self.settings.step)
        assert isinstance(self.anet, ANet)
        maps = self.anet.windows(images, self.settings.step)
        scores = block_scores(maps.c4).float().cpu().numpy()
        anchors = np.array([best_anchor(face, self._reach) for face in scores])
        positions = anchors[:, None] + self._offsets  # (N, views, 2)
        faces = np.arange(len(positions))[:, None]
        rows, columns = positions[..., 0], positions[..., 1]
        return maps.mapped(lambda part: part[faces, rows, columns])


class FeatureExtractor:
    """ANet over face regions: h_a, the features that the SVMs see. `half` runs it in bfloat16."""

    def __init__(
        self, anet: AnyANet, settings: TaggerSettings, device: torch.device | None = None, half: bool = False
    ) -> None:
        self.anet, self.settings, self.half = anet, settings, half
        self.device = device or torch.device("cpu")
        self.anet.to(self.device)
        features = RegionFeatures(anet, settings, self.device)
        self._forward = Forward(features, self.device, half, graphs=not settings.search)

    def __call__(self, regions: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Regions of `face_regions` -> (N, settings.width)."""
        if not regions:
            return np.zeros((0, self.settings.width), np.float32)
        answers = np.stack(list(self._forward(np.stack(regions), self.settings.batch)))
        mirrored = [combine(answers[:, view], self.settings.combination) for view in range(answers.shape[1])]
        return np.ascontiguousarray(mirrored[0] if len(mirrored) == 1 else (mirrored[0] + mirrored[1]) / 2, np.float32)


class Tagger:
    """Faces in, probabilities and decisions for the forty attributes out.

    Raises:
        ModelError: the model's SVMs do not take what its settings give.
    """

    def __init__(self, model: Model, device: torch.device | None = None, half: bool = False) -> None:
        self.model = model
        self.settings = settings_from(TaggerSettings, model.tagger, "model.json")
        if model.svm.weights.shape[1] != self.settings.width:
            raise ModelError(f"the SVMs of {model.name} are of other features than its tagger gives", "fit them again")
        self.extract = FeatureExtractor(model.anet, self.settings, device, half)

    def region(self, image: Image, box: Box) -> NDArray[np.uint8]:
        """x_f of one face at each scale: image (H, W, 3) upright RGB, box in its pixels."""
        return face_regions(image, box, self.settings, self.model.anet.frame)

    def fraction(self, box: Box) -> float:
        """Of its size, at which a picture still shows this face with SHARP pixels for each that ANet sees."""
        frame = self.model.anet.frame
        return SHARP * frame.height / face_window(box, self.settings, frame, min(self.settings.scales)).height

    def __call__(self, regions: Sequence[NDArray[np.uint8]]) -> Tags:
        """Regions from `region` -> Tags, in order."""
        probabilities = self.model.calibration.probabilities(self.model.svm.scores(self.extract(regions)))
        return Tags(probabilities, probabilities >= self.model.thresholds)
