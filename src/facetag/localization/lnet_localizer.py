"""Coarse-to-fine face localization (paper, section 3.1): LNet_o finds heads, LNet_s finds the face in each.

Images in, face boxes out. Each net was trained to respond to heads of one size alone, so each is shown the picture at
several scales: the response maps say where, the scale of the strongest says how large, and one global convention turns
both into a box.
"""

from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from facetag.errors import ModelError, UsageError
from facetag.geometry import Box
from facetag.images.resample import Image, crop
from facetag.localization.base import Detection, Localizer, SizedImage, Timed, Which, untimed
from facetag.localization.response_maps import (
    Frame,
    PeakSettings,
    as_layer,
    find_peaks,
    largest_response,
    require,
    whole_frame,
)
from facetag.method.calibration import sigmoid
from facetag.method.scale_space import Layer
from facetag.method.windows import nms
from facetag.model import Model, RespondingLNet
from facetag.networks.execution.forward import Forward
from facetag.networks.lnet import MIN_SIZE, STRIDE, LNet, weighted_sum
from facetag.settings import settings_from


@dataclass(frozen=True)
class LocalizerSettings:
    """The whole of localization.

    Attributes:
        input_sizes: the longer sides in pixels at which LNet_o sees an image, ascending; a function of the image alone.
        enlarge: those that would enlarge an image more than this are left out (the first never is).
        crop_size: pixels of the square head-shoulder image x_s (227 in the paper).
        crop_scales: LNet_s sees each head at these magnifications: in squares of x_s's side divided by them, ascending.
        head_region: from LNet_o's maps to the face that a head implies; face: from LNet_s's maps to the face.
        around: side of the head-shoulder square around a face, in heights of the face box.
        below: how far that square's middle lies under the face's, likewise.
        head_regions: the most heads of one image that LNet_s looks at, the strongest first.
        head_region_score: heads below it are not looked at.
        head_region_iou: a head whose square has more than this IoU with a stronger one's is its double.
        trust: weight of a head's logit, beside 1 for LNet_s's, in a face's score.
        blend: weight of the face that the head implies, beside LNet_s's, in the box; 0 to 1.
        slope, offset: a face's score is sigmoid(slope x logit + offset), so that it says how sure the face is.
        score: faces below it are dropped.
        nms_iou, nms_containment: a face that overlaps a surer one by more is its double.

    Raises:
        UsageError: a value is out of its range.
    """

    input_sizes: tuple[int, ...] = (76, 108, 152, 216, 304, 430)
    enlarge: float = 2.0
    crop_size: int = 227
    crop_scales: tuple[float, ...] = (1.0,)
    head_region: PeakSettings = field(default_factory=PeakSettings)
    face: PeakSettings = field(default_factory=PeakSettings)
    around: float = 2.3
    below: float = 0.0
    head_regions: int = 32
    head_region_score: float = 0.0
    head_region_iou: float = 0.6
    trust: float = 0.0
    blend: float = 0.0
    slope: float = 1.0
    offset: float = 0.0
    score: float = 0.5
    nms_iou: float = 0.3
    nms_containment: float = 0.7

    def __post_init__(self) -> None:
        require(
            min(self.input_sizes, default=0) >= 1, "input_sizes", self.input_sizes, "one size or more, each 1 or more"
        )
        require(list(self.input_sizes) == sorted(set(self.input_sizes)), "input_sizes", self.input_sizes, "ascending")
        require(
            max(self.input_sizes) <= 4096 and len(self.input_sizes) <= 64,
            "input_sizes",
            self.input_sizes,
            "at most 64, each up to 4096",
        )
        require(min(self.crop_scales, default=0) > 0, "crop_scales", self.crop_scales, "one scale or more, each over 0")
        require(list(self.crop_scales) == sorted(set(self.crop_scales)), "crop_scales", self.crop_scales, "ascending")
        require(
            max(self.crop_scales) <= 16 and len(self.crop_scales) <= 16,
            "crop_scales",
            self.crop_scales,
            "at most 16, each up to 16",
        )
        require(self.crop_size <= 4096, "crop_size", self.crop_size, "4096 or less")
        require(self.head_regions <= 1000, "head_regions", self.head_regions, "1000 or less")
        require(self.enlarge > 0, "enlarge", self.enlarge, "over 0")
        require(self.crop_size >= MIN_SIZE, "crop_size", self.crop_size, f"{MIN_SIZE} or more")
        symmetric = self.crop_size % STRIDE == 3  # else the mirror image's cells lie elsewhere
        require(symmetric or not self.face.mirror, "crop_size", self.crop_size, "16 n + 3, or face.mirror off")
        require(self.around > 0, "around", self.around, "over 0")
        require(self.head_regions >= 1, "head_regions", self.head_regions, "1 or more")
        require(self.trust >= 0, "trust", self.trust, "0 or more")
        require(self.slope > 0, "slope", self.slope, "over 0")
        for name in ("head_region_score", "head_region_iou", "blend", "score", "nms_iou", "nms_containment"):
            require(0 <= getattr(self, name) <= 1, name, getattr(self, name), "0 to 1")


def logit_of(score: float) -> float:
    """The logit of a score in [0, 1]; certainty counts as 1e-12 less."""
    return float(np.log(max(score, 1e-12)) - np.log(max(1 - score, 1e-12)))


def _shows(image: Image, box: Box) -> bool:
    """Whether any of the box lies in the image; what a net is shown goes on beyond its edges."""
    return box.clipped(image.shape[1], image.shape[0]).area > 0


class LNetLocalizer(Localizer):
    """LNet_o, then LNet_s, of whole images.

    `half` runs the nets in bfloat16: faster where the processor has it, boxes move by a fraction of a cell. `alike`:
    most images have one shape, so that they go through LNet_o together on a CPU as well.

    Raises:
        ModelError: the model has no LNets.
    """

    def __init__(
        self,
        model: Model,
        device: torch.device | None = None,
        settings: LocalizerSettings | None = None,
        half: bool = False,
        alike: bool = False,
    ) -> None:
        if model.lnet_o is None or model.lnet_s is None:
            raise ModelError(f"{model.name} has no LNets", "localise by its centre network")
        self.settings: LocalizerSettings = settings or settings_from(LocalizerSettings, model.localizer, "model.json")
        self.name = model.name
        self.device = device or torch.device("cpu")
        self.dtype, self.alike = torch.bfloat16 if half else torch.float32, alike
        self.lnet_o, self.lnet_s = self._on_device(model.lnet_o), self._on_device(model.lnet_s)
        self._forwards: dict[tuple[RespondingLNet, bool], Forward] = {}

    def _on_device(self, lnet: RespondingLNet) -> RespondingLNet:
        """The net on this device in this precision, its own copy when the precision is not the model's."""
        net = lnet.net if self.dtype == torch.float32 else deepcopy(lnet.net)
        return replace(lnet, net=net.to(self.device, self.dtype))

    def detect(
        self, images: Sequence[Image | SizedImage], which: Which = "all", timed: Timed = untimed
    ) -> list[list[Detection]]:
        """The faces of each image, highest score first; for the dominant one no head is too faint to be looked at."""
        whole = [
            image if isinstance(image, np.ndarray) else image.at(max(image.width, image.height)) for image in images
        ]
        with timed("lnet_o"):
            head_regions = self.head_regions(whole, minimum=0.0 if which == "dominant" else None)
        with timed("lnet_s"):
            faces = self.faces(whole, head_regions, minimum=None if which == "all" else 0.0)
        return [found[:1] for found in faces] if which == "dominant" else faces

    def thorough(self) -> Self:
        """LNet_o sees every image at all its scales anyway.

        Raises:
            UsageError: always.
        """
        raise UsageError(f"--faces thorough is a centre network's, and {self.name} has LNets", "use --model fast")

    def precision(self) -> torch.dtype:
        return self.dtype

    def tensors(self) -> list[torch.Tensor]:
        nets = (self.lnet_o, self.lnet_s)
        return [tensor for lnet in nets for tensor in (*lnet.net.state_dict().values(), lnet.weights)]

    def model_fields(self) -> dict[str, Any]:
        return {"lnet_o": self.lnet_o, "lnet_s": self.lnet_s}

    def responses(self, image: Image, faces: Sequence[Box], width: int, height: int) -> list[NDArray[Any]]:
        """LNet_o's response to the image, and LNet_s's to the squares around the faces."""
        settings, factor = self.settings, width / image.shape[1]
        whole = [whole_frame(image.shape[1], image.shape[0], side) for side in self.input_sizes(image)]
        squares = [frame for face in faces for frame in self.head_region_frames(face)]
        asked = ((self.lnet_o, whole, settings.head_region), (self.lnet_s, squares, settings.face))
        layers = [self.layers(lnet, [image], [frames], peaks)[0] for lnet, frames, peaks in asked]
        return [largest_response(each, factor, width, height) for each in layers]

    def head_regions(self, images: Sequence[Image], minimum: float | None = None) -> list[list[Detection]]:
        """LNet_o: the face that each head of each image implies, the strongest first, those below `head_region_score`
        (or `minimum`) and those beyond the image dropped."""
        settings = self.settings
        frames = [
            [whole_frame(image.shape[1], image.shape[0], side) for side in self.input_sizes(image)] for image in images
        ]
        least = settings.head_region_score if minimum is None else minimum
        found = []
        for image, layers in zip(images, self.layers(self.lnet_o, images, frames, settings.head_region), strict=True):
            peaks = find_peaks(layers, settings.head_region)
            head_regions = [Detection(box, float(sigmoid(response + self.lnet_o.bias))) for box, response in peaks]
            found.append(
                self._strongest(
                    [
                        head_region
                        for head_region in head_regions
                        if head_region.score >= least and _shows(image, head_region.box)
                    ]
                )
            )
        return found

    def _strongest(self, head_regions: list[Detection]) -> list[Detection]:
        head_regions = sorted(
            head_regions,
            key=lambda head_region: (-head_region.score, head_region.box.height, head_region.box.y, head_region.box.x),
        )
        boxes, scores = (
            [self.around(head_region.box) for head_region in head_regions],
            [head_region.score for head_region in head_regions],
        )
        kept = nms(boxes, scores, self.settings.head_region_iou)
        return [head_regions[index] for index in kept[: self.settings.head_regions]]

    def input_sizes(self, image: Image) -> list[int]:
        """The longer sides at which LNet_o sees an image."""
        first, *others = self.settings.input_sizes
        return [first, *(side for side in others if side <= self.settings.enlarge * max(image.shape[:2]))]

    def layers(
        self, lnet: RespondingLNet, images: Sequence[Image], frames: Sequence[Sequence[Frame]], settings: PeakSettings
    ) -> list[list[Layer]]:
        """A net's response maps of these frames of each image; frames of equal size go through it together."""
        groups: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for index, of_image in enumerate(frames):
            for number, frame in enumerate(of_image):
                groups.setdefault((frame.width, frame.height), []).append((index, number))
        found: list[list[Layer | None]] = [[None] * len(of_image) for of_image in frames]
        for (width, height), members in groups.items():
            most = max(1, 2_000_000 // (width * height))
            for start in range(0, len(members), most):
                chosen = members[start : start + most]
                inputs = np.stack([crop(images[i], frames[i][n].box, width, height) for i, n in chosen])
                for (index, number), response in zip(chosen, self.respond(lnet, inputs, settings.mirror), strict=True):
                    found[index][number] = as_layer(response, frames[index][number], settings)
        return [[layer for layer in layers if layer is not None] for layers in found]

    def respond(
        self, lnet: RespondingLNet, batch: NDArray[np.uint8], mirror: bool = False
    ) -> Iterable[NDArray[np.float32]]:
        """Response maps of equally large inputs (N, H, W, 3), each as if it had come alone."""
        maps = self._forward(lnet, mirror)(batch, self._together(lnet))
        return (each.clip(0) for each in maps)

    def _forward(self, lnet: RespondingLNet, mirror: bool) -> Forward:
        if (lnet, mirror) not in self._forwards:
            mapped = partial(_mapped_twice if mirror else _mapped, lnet.net, self.dtype, lnet.weights.to(self.device))
            self._forwards.setdefault((lnet, mirror), Forward(mapped, self.device))
        return self._forwards[lnet, mirror]

    def _together(self, lnet: RespondingLNet) -> int:
        """How many inputs a net sees at once. Heads come by the dozen and of one size; a CPU gains 15 % by four of
        them. Photographs differ in shape, so that filling would cost it more than company gains."""
        if self.device.type == "cuda" or self.alike:
            return 16
        return 4 if lnet is self.lnet_s else 1

    def faces(
        self, images: Sequence[Image], head_regions: Sequence[Sequence[Detection]], minimum: float | None = None
    ) -> list[list[Detection]]:
        """LNet_s: the face at each head, doubles, those below the score (or `minimum`) and beyond the image dropped."""
        settings = self.settings
        owners = [index for index, found in enumerate(head_regions) for _ in found]
        flat = [head_region for found in head_regions for head_region in found]
        frames = [self.head_region_frames(head_region.box) for head_region in flat]
        face_layers = self.layers(self.lnet_s, [images[index] for index in owners], frames, settings.face)
        least = settings.score if minimum is None else minimum
        answer: list[list[Detection]] = [[] for _ in images]
        for owner, head_region, layers in zip(owners, flat, face_layers, strict=True):
            face = self._face(head_region, layers)
            if face and face.score >= least and _shows(images[owner], face.box):
                answer[owner].append(face)
        return [self._distinct(found) for found in answer]

    def head_region_frames(self, face: Box) -> list[Frame]:
        """The head-shoulder squares x_s around a face, as LNet_s sees them; the largest first, so scales ascend."""
        square, side = self.around(face), self.settings.crop_size
        return [Frame(square.enlarged(1 / crop_scale), side, side) for crop_scale in self.settings.crop_scales]

    def _face(self, head_region: Detection, layers: Sequence[Layer]) -> Detection | None:
        """The strongest peak of LNet_s at a head."""
        settings = self.settings
        found = find_peaks(layers, settings.face)
        if not found:
            return None
        box, response = max(found, key=lambda peak: peak[1])
        logit = response + self.lnet_s.bias + settings.trust * logit_of(head_region.score)
        score = float(sigmoid(settings.slope * logit + settings.offset))
        return Detection(_blended(box, head_region.box, settings.blend), score)

    def around(self, face: Box) -> Box:
        """The head-shoulder square that a face box implies, by the convention of `around` and `below`."""
        x, y = face.center
        side = self.settings.around * face.height
        return Box.around(x, y + self.settings.below * face.height, side, side)

    def _distinct(self, found: list[Detection]) -> list[Detection]:
        settings = self.settings
        boxes, scores = [face.box for face in found], [face.score for face in found]
        kept = nms(boxes, scores, settings.nms_iou, settings.nms_containment)
        return [found[index] for index in kept]


def _mapped(net: LNet, dtype: torch.dtype, weights: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    return weighted_sum(net(images.to(dtype)).float(), weights)


def _mapped_twice(net: LNet, dtype: torch.dtype, weights: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """The mean of the map of each image and of its mirror image's, turned back."""
    return (_mapped(net, dtype, weights, images) + _mapped(net, dtype, weights, images.flip(3)).flip(2)) * 0.5


def _blended(first: Box, second: Box, fraction: float) -> Box:
    """Between two boxes: middles and the logarithms of their sides, `fraction` of the second."""
    x, y = (a * (1 - fraction) + b * fraction for a, b in zip(first.center, second.center, strict=True))
    width, height = (
        float(np.exp(np.log(a) * (1 - fraction) + np.log(b) * fraction))
        for a, b in ((first.width, second.width), (first.height, second.height))
    )
    return Box.around(x, y, width, height)
