"""Localization by a centre network: one look at a picture, one with a border for a face that fills it, and finer
ones for small faces, in place of LNet_o and LNet_s.

Images in, face boxes out, as from `localization.lnet_localizer`, an order of magnitude faster. It is no part of the
paper.
"""

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from math import ceil, inf
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from facetag.errors import ModelError, UsageError
from facetag.geometry import Box
from facetag.images.resample import Image, resize
from facetag.localization.base import Detection, Localizer, SizedImage, Timed, Which, untimed
from facetag.localization.lnet_localizer import LNetLocalizer
from facetag.localization.response_maps import require
from facetag.method.calibration import sigmoid
from facetag.method.center_heatmap import find_centers
from facetag.method.windows import nms
from facetag.model import Model
from facetag.networks.center_net import DEEPEST, RIGHT, STRIDE, CenterNet
from facetag.networks.execution.forward import Forward
from facetag.settings import settings_from

#: Pixels that the net sees at once: as many pictures of a shape as have them, whose maps a processor's caches still
#: hold. Always filled up to that number, so that no answer depends on its company.
TOGETHER = 1 << 19
MOST_TOGETHER = 8  #: pictures
FINEST = 8192  #: pixels of a longer side
FAINT = -3.5  #: logits of small faces below it are of no account as hints


@dataclass(frozen=True)
class CenterLocalizerSettings:
    """How the centre network's maps become faces.

    Attributes:
        input_size: the longer side in pixels at which it sees a picture.
        read_size: JPEGs may be decoded at a half, a quarter or an eighth as long as the longer side has so many pixels,
            and again, larger, for a finer pass; 0 = whole.
        mirror: the maps are the mean of the picture's and its mirror image's.
        close_size: pixels of the look for faces that fill the picture or leave it, a border included; 0 = none.
        border: of that look, on each side, as a fraction of the picture's longer side.
        close: faces of that look have at least this height, as a fraction of the picture's longer side.
        close_logit: it is taken only where the first look has no face that is smaller with at least this logit.
        filling, filling_doubt: a face of at least this height, as a fraction of the picture's longer side, loses so
            many logits in the end, in whichever look it was seen: true ones are surer, as they show much.
        smallest: faces less high, in pixels of the picture, are dropped.
        finer_sizes: longer sides in pixels at which a picture is looked at again for small faces, ascending; not
            mirrored.
        small: faces are, for one of these looks, that are less high than so many pixels there.
        enlarged: a picture may be so many times enlarged for a finer pass; smaller ones are not looked at.
        triggers: of each finer pass; it is taken only if the odds that the looks before gave to the middles of small
            faces have a root of the sum of squares whose logarithm is at least this: one face with this logit, or many
            with less (seen in two looks, a face counts twice). Empty = all are taken.
        thorough: further longer sides, for a search that takes every look without a hint.
        width, height, right, down: what a box's sides are resized by, and what it is then moved by in its heights, to
            follow annotators' convention.
        least: logits of a face's middle below it are not looked at.
        slope, offset: a face's score is sigmoid(slope x logit + offset), so that it says how sure the face is.
        score: faces below it are dropped.
        nms_iou, nms_containment: a face that overlaps a surer one by more is its double.

    Raises:
        UsageError: a value is out of its range.
    """

    input_size: int = 256
    read_size: int = 0
    mirror: bool = False
    close_size: int = 0
    border: float = 0.25
    close: float = 0.3
    close_logit: float = 100.0
    filling: float = 0.5
    filling_doubt: float = 0.0
    smallest: float = 0.0
    finer_sizes: tuple[int, ...] = ()
    small: float = 64.0
    enlarged: float = 1.0
    triggers: tuple[float, ...] = ()
    thorough: tuple[int, ...] = ()
    width: float = 1.0
    height: float = 1.0
    right: float = 0.0
    down: float = 0.0
    least: float = -5.0
    slope: float = 1.0
    offset: float = 0.0
    score: float = 0.5
    nms_iou: float = 0.3
    nms_containment: float = 0.7

    def __post_init__(self) -> None:
        whole = self.input_size >= DEEPEST and self.input_size % DEEPEST == 0
        require(whole, "input_size", self.input_size, f"a multiple of {DEEPEST}")
        for name, input_sizes in (("finer_sizes", self.finer_sizes), ("thorough", (*self.finer_sizes, *self.thorough))):
            ascends = all(a < b for a, b in pairwise((self.input_size, *input_sizes, FINEST + 1)))
            fits = ascends and all(input_size % DEEPEST == 0 for input_size in input_sizes)
            require(fits, name, list(input_sizes), f"multiples of {DEEPEST} over input_size, ascending, up to {FINEST}")
        one_each = len(self.triggers) in (0, len(self.finer_sizes))
        require(one_each, "triggers", list(self.triggers), "empty, or one of each of finer_sizes")
        enough = self.read_size == 0 or self.read_size >= self.input_size
        require(enough, "read_size", self.read_size, "0, or no less than input_size")
        for name in ("width", "height", "slope"):
            require(getattr(self, name) > 0, name, getattr(self, name), "over 0")
        require(self.close_size % DEEPEST == 0, "close_size", self.close_size, f"0, or a multiple of {DEEPEST}")
        require(0 <= self.border <= 2, "border", self.border, "0 to 2")
        require(self.small >= STRIDE, "small", self.small, f"{STRIDE} pixels or more")
        for name in ("filling", "filling_doubt", "smallest"):
            require(0 <= getattr(self, name) < inf, name, getattr(self, name), "0 or more")
        require(1 <= self.enlarged <= 8, "enlarged", self.enlarged, "1 to 8")
        for name in ("score", "nms_iou", "nms_containment"):
            require(0 <= getattr(self, name) <= 1, name, getattr(self, name), "0 to 1")


class CachedImage:
    """A SizedImage whose pixels, once asked for, stay in memory, so that several looks cost one decoding.

    Args:
        image: all its pixels (H, W, 3), or what they are asked of.
    """

    def __init__(self, image: Image | SizedImage) -> None:
        self._image = image
        self._pixels = image if isinstance(image, np.ndarray) else None
        height, width = image.shape[:2] if isinstance(image, np.ndarray) else (image.height, image.width)
        self.width, self.height = int(width), int(height)

    def at(self, input_size: float) -> Image:
        if isinstance(self._image, np.ndarray):
            return self._image
        if self._pixels is None or max(self._pixels.shape) < min(input_size, max(self.width, self.height)):
            self._pixels = self._image.at(input_size)
        return self._pixels


@dataclass(frozen=True)
class FinerPass:
    """A look with this longer side in pixels, and the hint that it waits for."""

    input_size: int
    trigger: float


class CenterLocalizer(Localizer):
    """The centre network's faces.

    `half` runs the net in bfloat16: faster where the processor has it.

    Raises:
        ModelError: the model has no centre network.
    """

    def __init__(
        self,
        model: Model,
        device: torch.device | None = None,
        settings: CenterLocalizerSettings | None = None,
        half: bool = False,
    ) -> None:
        if model.center_net is None:
            raise ModelError(f"{model.name} has no centre network", "localise by its LNets")
        self.settings: CenterLocalizerSettings = settings or settings_from(
            CenterLocalizerSettings, model.localizer, "model.json"
        )
        self.name = model.name
        self.device, self.half = device or torch.device("cpu"), half
        self.net = model.center_net.to(self.device)
        self._maps = Forward(self.net, self.device, half)
        self._mean_maps = Forward(partial(_with_mirror_image, self.net), self.device, half)

    def thorough(self) -> Self:
        """One that takes all looks at every picture that has the pixels, for small faces wherever they are.

        Raises:
            UsageError: it has no finer passes.
        """
        other, settings = copy(self), self.settings
        finer_sizes = (*settings.finer_sizes, *settings.thorough)
        if not finer_sizes:
            raise UsageError(f"--faces thorough: {self.name} has no finer looks", "use --model fast")
        other.settings = replace(settings, finer_sizes=finer_sizes, triggers=(), thorough=())
        return other

    def detect(
        self, images: Sequence[Image | SizedImage], which: Which = "all", timed: Timed = untimed
    ) -> list[list[Detection]]:
        """The faces of each image, highest score first."""
        with timed("center_net"):
            faces = self.faces(images, self.settings.score if which == "all" else 0.0)
        return [found[:1] for found in faces] if which == "dominant" else faces

    @property
    def read_size(self) -> int:
        return self.settings.read_size

    def precision(self) -> torch.dtype:
        return torch.bfloat16 if self.half else torch.float32

    def tensors(self) -> list[torch.Tensor]:
        return list(self.net.state_dict().values())

    def model_fields(self) -> dict[str, Any]:
        return {"lnet_o": None, "lnet_s": None, "center_net": self.net.cpu()}

    def faces(self, images: Sequence[Image | SizedImage], minimum: float) -> list[list[Detection]]:
        """The faces of each image with at least this score, the surest first."""
        settings = self.settings
        sources = [CachedImage(image) if isinstance(image, np.ndarray) else image for image in images]
        triggers = settings.triggers or (-inf,) * len(settings.finer_sizes)
        finer_passes = [FinerPass(*finer_pass) for finer_pass in zip(settings.finer_sizes, triggers, strict=True)]
        least = min(minimum, self._score_of(FAINT)) if settings.triggers else minimum
        found = self._found(sources, settings.input_size, settings.mirror, least)
        self._close_pass(sources, found, least)
        # where every look is taken it is known beforehand, and few large pictures go through the net together anyway
        turns = [range(len(sources))] if settings.triggers else [range(i, i + 1) for i in range(len(sources))]
        for turn in turns:
            held = {i: CachedImage(sources[i]) for i in turn}
            for finer_pass in finer_passes:
                again = [i for i in turn if self._is_worth(finer_pass, sources[i], found[i])]
                answered = self._found([held[i] for i in again], finer_pass.input_size, False, least)
                for i, faces in zip(again, answered, strict=True):
                    found[i] += [face for face in faces if self._is_small(face, sources[i], finer_pass.input_size)]
        return [self._chosen(image, faces, minimum) for image, faces in zip(sources, found, strict=True)]

    def _close_pass(self, sources: Sequence[SizedImage], found: list[list[Detection]], least: float) -> None:
        """Add faces that fill pictures or leave them, which are seen whole inside a border."""
        settings = self.settings
        if not settings.close_size:
            return
        chosen = [i for i, image in enumerate(sources) if not self._has_smaller(image, found[i])]
        again = [sources[i] for i in chosen]
        answered = self._found(again, settings.close_size, settings.mirror, least, settings.border)
        for i, faces in zip(chosen, answered, strict=True):
            found[i] += [face for face in faces if self._is_close(face, sources[i])]

    def _has_smaller(self, image: SizedImage, faces: Sequence[Detection]) -> bool:
        """Whether a face is sure that is no close one, and no close one is likely."""
        least = self._score_of(self.settings.close_logit)
        likely = self._score_of(FAINT)
        close = any(face.score >= likely for face in faces if self._is_close(face, image))
        return not close and any(face.score >= least for face in faces)

    def _is_close(self, face: Detection, image: SizedImage) -> bool:
        return face.box.height >= self.settings.close * max(image.width, image.height)

    def _is_worth(self, finer_pass: FinerPass, image: SizedImage, faces: Sequence[Detection]) -> bool:
        """Whether the picture is to be looked at again so."""
        if max(image.width, image.height) * self.settings.enlarged < finer_pass.input_size:
            return False
        least = self._score_of(FAINT)
        triggers = (
            face for face in faces if face.score >= least and self._is_small(face, image, finer_pass.input_size)
        )
        logits = [self._logit_of(face.score) for face in triggers]
        return float(np.logaddexp.reduce(2 * np.array(logits), initial=-inf)) / 2 >= finer_pass.trigger

    def _is_small(self, face: Detection, image: SizedImage, input_size: int) -> bool:
        return face.box.height * input_size < self.settings.small * max(image.width, image.height)

    def _found(
        self, sources: Sequence[SizedImage], input_size: int, mirror: bool, minimum: float, border: float = 0.0
    ) -> list[list[Detection]]:
        """All that the net answers of each picture at this side with at least this score, doubles too."""
        views = [self.view(image, input_size, border) for image in sources]
        found: list[list[Detection]] = [[] for _ in sources]
        for shape in sorted({pixels.shape for pixels, *_ in views}):
            members = [index for index, (pixels, *_) in enumerate(views) if pixels.shape == shape]
            maps = self._forward_pass(np.stack([views[index][0] for index in members]), mirror)
            for index, answered in zip(members, maps, strict=True):
                found[index] = self._faces(answered, *views[index][1:], minimum)
        return found

    def view(self, image: SizedImage, input_size: int, border: float = 0.0) -> tuple[Image, tuple[float, float], int]:
        """A picture as the net sees it, (H, W, 3), how many of its pixels one of these is, across and down, and how
        many of these lie to its left and above.

        The longer side becomes `input_size`, of which a border takes its part; there the picture's last row or column
        is repeated. What the shorter lacks to a multiple of a quarter of it is filled likewise, so that few shapes are
        met and pictures of like shape go through the net together."""
        longer = round(input_size / (1 + 2 * border))
        around = (input_size - longer) // 2
        factor = longer / max(image.width, image.height)
        height, width = (max(round(length * factor), 1) for length in (image.height, image.width))
        small = resize(image.at(self._pixels_for(longer)), width, height)
        step = max(input_size // 4 // DEEPEST, 1) * DEEPEST
        below, right_fill = (
            min(ceil((length + 2 * around) / step) * step, input_size) - length - around for length in (height, width)
        )
        filled = np.pad(small, ((around, below), (around, right_fill), (0, 0)), mode="edge")
        return filled, (image.width / width, image.height / height), around

    def _pixels_for(self, input_size: int) -> int:
        """What to ask of a picture for a look: where that is more than was read, what the finest one needs, so that it
        is decoded again once."""
        settings = self.settings
        return (
            input_size
            if input_size <= max(settings.input_size, settings.read_size)
            else max((input_size, *settings.finer_sizes))
        )

    def _forward_pass(self, batch: NDArray[np.uint8], mirror: bool) -> Iterator[NDArray[np.float32]]:
        """Maps (5, H / 8, W / 8) of equally large inputs (N, H, W, 3), each as if it had come alone."""
        forward = self._mean_maps if mirror else self._maps
        return forward(batch, together(*batch.shape[1:3]))

    def _faces(
        self, maps: NDArray[np.float32], scale: tuple[float, float], around: int, minimum: float
    ) -> list[Detection]:
        settings = self.settings
        found = []
        least = max(settings.least, self._logit_of(minimum))  # of the many faint ones no boxes are made
        for center in find_centers(maps, STRIDE, least):
            box = center.box.shifted(-around, -around).scaled(*scale)
            found.append(Detection(self._calibrated(box), self._score_of(center.logit)))
        return found

    def _score_of(self, logit: float) -> float:
        settings = self.settings
        return float(sigmoid(settings.slope * logit + settings.offset))

    def _logit_of(self, score: float) -> float:
        """The logit that has this score, or a hair less."""
        if not 0 < score < 1:
            return -np.inf if score <= 0 else np.inf
        return float((np.log(score / (1 - score)) - self.settings.offset) / self.settings.slope) - 1e-6

    def _chosen(self, image: SizedImage, faces: Sequence[Detection], minimum: float) -> list[Detection]:
        """Those of at least this score that the picture shows, without doubles, the surest first."""
        settings, size = self.settings, (image.width, image.height)
        found = [face for face in faces if face.score >= minimum and face.box.clipped(*size).area > 0]
        boxes, scores = [face.box for face in found], [face.score for face in found]
        kept = nms(boxes, scores, settings.nms_iou, settings.nms_containment)
        chosen = [self._doubted(found[index], image) for index in kept if boxes[index].height >= settings.smallest]
        return sorted((face for face in chosen if face.score >= minimum), key=lambda face: -face.score)

    def _doubted(self, face: Detection, image: SizedImage) -> Detection:
        """The face with its final score."""
        settings = self.settings
        if not settings.filling_doubt or face.box.height < settings.filling * max(image.width, image.height):
            return face
        return replace(face, score=self._score_of(self._logit_of(face.score) - settings.filling_doubt))

    def _calibrated(self, box: Box) -> Box:
        settings = self.settings
        resized = box.enlarged(settings.width, settings.height)
        return resized.shifted(settings.right * resized.height, settings.down * resized.height)


def _with_mirror_image(net: CenterNet, images: torch.Tensor) -> torch.Tensor:
    """The mean of the maps of pictures and of their mirror images, turned back."""
    turned = net(images.flip(3)).float().flip(3)
    turned[:, RIGHT] *= -1
    mean: torch.Tensor = (net(images).float() + turned) / 2
    return mean


def together(height: int, width: int) -> int:
    """How many pictures of this shape the net sees at once."""
    return min(max(TOGETHER // (height * width), 1), MOST_TOGETHER)


def localizer_of(model: Model, device: torch.device | None = None, half: bool = False) -> Localizer:
    """What finds the faces in a model: its centre network, or else its LNets. `half` runs it in bfloat16."""
    if model.center_net is None:
        return LNetLocalizer(model, device, half=half)
    return CenterLocalizer(model, device, half=half)
