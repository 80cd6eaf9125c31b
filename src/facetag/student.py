"""Localisation in one look: the student answers all faces of a picture, in place of LNet_o and LNet_s.

Images in, face boxes out, as from `facetag.localizer`, an order of magnitude faster. It is no part of the paper.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray

from facetag.errors import ModelError
from facetag.geometry import Box
from facetag.images.resample import Image, resize
from facetag.localizer import Localizer, Located
from facetag.method.middles import find_middles
from facetag.method.windows import suppress_doubles
from facetag.model import Model
from facetag.networks.student import DEEPEST, RIGHT, STRIDE
from facetag.response import require
from facetag.settings import settings_from

#: Pixels that the net sees at once: as many pictures of a shape as have them, whose maps a processor's caches still
#: hold. Always filled up to that number, so that no answer depends on its company.
TOGETHER = 1 << 19
MOST_TOGETHER = 8  #: pictures


@dataclass(frozen=True)
class StudentLocalizerSettings:
    """How the student's maps become faces.

    Attributes:
        side: the longer side in pixels at which it sees a picture.
        read_side: JPEGs may be decoded at a half, a quarter or an eighth as long as the longer side has so many pixels;
            0 = whole.
        mirror: the maps are the mean of the picture's and its mirror image's.
        finer: pictures that are at least so large are looked at once more, their longer side of so many pixels and not
            mirrored, for small faces: less high than `small` of the longer side; 0 = none are.
        hint: only if the first look answers a small face with at least this score, however low; 0 = without any.
        ratio: width of a face over its height.
        height, right, down: what a box is resized by, and moved by in its heights, to follow annotators' convention.
        least: logits of a face's middle below it are not looked at.
        slope, offset: a face's score is sigmoid(slope x logit + offset), so that it says how sure the face is.
        score: faces below it are dropped.
        double_iou, double_containment: a face that overlaps a surer one by more is its double.

    Raises:
        UsageError: a value is out of its range.
    """

    side: int = 256
    read_side: int = 0
    mirror: bool = False
    finer: int = 0
    small: float = 0.12
    hint: float = 0.0
    ratio: float = 0.8
    height: float = 1.0
    right: float = 0.0
    down: float = 0.0
    least: float = -5.0
    slope: float = 1.0
    offset: float = 0.0
    score: float = 0.5
    double_iou: float = 0.3
    double_containment: float = 0.7

    def __post_init__(self) -> None:
        whole = self.side >= DEEPEST and self.side % DEEPEST == 0
        require(whole, "side", self.side, f"a multiple of {DEEPEST}")
        fits = self.finer == 0 or (self.finer > self.side and self.finer % DEEPEST == 0)
        require(fits, "finer", self.finer, f"0, or a multiple of {DEEPEST} over side")
        enough = self.read_side == 0 or self.read_side >= max(self.side, self.finer)
        require(enough, "read_side", self.read_side, "0, or no less than side and finer")
        for name in ("ratio", "height", "slope"):
            require(getattr(self, name) > 0, name, getattr(self, name), "over 0")
        for name in ("score", "small", "hint", "double_iou", "double_containment"):
            require(0 <= getattr(self, name) <= 1, name, getattr(self, name), "0 to 1")


@dataclass(frozen=True, eq=False)
class View:
    """A picture as the net sees it: (H, W, 3), filled up to the right and below, and pixels of it a pixel."""

    pixels: Image
    scale: tuple[float, float]


class StudentLocalizer:
    """Images are upright RGB uint8 (H, W, 3) of any size.

    Raises:
        ModelError: the model has no student.
    """

    def __init__(
        self, model: Model, device: torch.device | None = None, settings: StudentLocalizerSettings | None = None
    ) -> None:
        if model.student is None:
            raise ModelError(f"{model.name} has no student", "localise by its LNets")
        self.settings = settings or settings_from(StudentLocalizerSettings, model.localizer, "model.json")
        self.device = device or torch.device("cpu")
        self.net = model.student.to(self.device)

    def __call__(self, images: Sequence[Image]) -> list[list[Located]]:
        """The faces of each image, the surest first."""
        return self.faces(images, self.settings.score)

    def dominant(self, images: Sequence[Image]) -> list[list[Located]]:
        """The surest of each image, whatever its score; none only where nothing responds."""
        return [found[:1] for found in self.faces(images, 0.0)]

    def every(self, images: Sequence[Image]) -> list[list[Located]]:
        """All faces of each image down to score 0, the surest first."""
        return self.faces(images, 0.0)

    def faces(self, images: Sequence[Image], minimum: float) -> list[list[Located]]:
        """The faces of each image with at least this score, the surest first."""
        settings = self.settings
        found = self._found(images, settings.side, settings.mirror, min(minimum, settings.hint))
        large = [index for index, image in enumerate(images) if self._may_hold_small(image, found[index])]
        again = self._found([images[index] for index in large], settings.finer, False, minimum) if large else []
        for index, faces in zip(large, again, strict=True):
            found[index] += [face for face in faces if self._is_small(face, images[index])]
        return [self._chosen(image, faces, minimum) for image, faces in zip(images, found, strict=True)]

    def _may_hold_small(self, image: Image, faces: Sequence[Located]) -> bool:
        """Whether the image is to be looked at again."""
        settings = self.settings
        if not max(image.shape) >= settings.finer > 0:
            return False
        return not settings.hint or any(f.score >= settings.hint and self._is_small(f, image) for f in faces)

    def _is_small(self, face: Located, image: Image) -> bool:
        return bool(face.box.height < self.settings.small * max(image.shape))

    def _found(self, images: Sequence[Image], side: int, mirror: bool, minimum: float) -> list[list[Located]]:
        """All that the net answers of each image at this side with at least this score, doubles too."""
        views = [self.view(image, side) for image in images]
        found: list[list[Located]] = [[] for _ in images]
        for shape in sorted({view.pixels.shape for view in views}):
            members = [index for index, view in enumerate(views) if view.pixels.shape == shape]
            maps = self._look(np.stack([views[index].pixels for index in members]), mirror)
            for index, answered in zip(members, maps, strict=True):
                found[index] = self._faces(answered, views[index].scale, minimum)
        return found

    def view(self, image: Image, side: int) -> View:
        """The longer side becomes `side`; what the shorter lacks to a multiple of a quarter of it repeats the last row
        or column, so that few shapes are met and pictures of like shape go through the net together."""
        high, wide = image.shape[:2]
        factor = side / max(high, wide)
        height, width = max(round(high * factor), 1), max(round(wide * factor), 1)
        small = resize(image, width, height)
        step = max(side // 4 // DEEPEST, 1) * DEEPEST
        below, beside = (min(ceil(length / step) * step, side) - length for length in (height, width))
        filled = np.pad(small, ((0, below), (0, beside), (0, 0)), mode="edge")
        return View(filled, (wide / width, high / height))

    def _look(self, batch: NDArray[np.uint8], mirror: bool) -> Iterator[NDArray[np.float32]]:
        """Maps (4, H / 8, W / 8) of equally large inputs (N, H, W, 3), each as if it had come alone."""
        size = together(*batch.shape[1:3])
        for start in range(0, len(batch), size):
            group = batch[start : start + size]
            filling = np.zeros((size - len(group), *batch.shape[1:]), np.uint8)
            with torch.inference_mode():
                inputs = torch.from_numpy(np.concatenate([group, filling])).to(self.device).permute(0, 3, 1, 2)
                maps = self._answer(inputs.float().div_(255), mirror)
            yield from maps[: len(group)]

    def _answer(self, inputs: torch.Tensor, mirror: bool) -> NDArray[np.float32]:
        maps: torch.Tensor = self.net(inputs).float()
        if mirror:
            turned = self.net(inputs.flip(3)).float().flip(3)
            turned[:, RIGHT] *= -1
            maps = (maps + turned) / 2
        answer: NDArray[np.float32] = maps.cpu().numpy()
        return answer

    def _faces(self, maps: NDArray[np.float32], scale: tuple[float, float], minimum: float) -> list[Located]:
        settings = self.settings
        found = []
        least = max(settings.least, self._logit_of(minimum))  # of the many faint ones no boxes are made
        for middle in find_middles(maps, STRIDE, settings.ratio, least):
            box = self._by_convention(middle.box.scaled(*scale))
            score = float(1 / (1 + np.exp(-np.clip(settings.slope * middle.logit + settings.offset, -500, 500))))
            found.append(Located(box, score))
        return found

    def _logit_of(self, score: float) -> float:
        """The logit that has this score, or a hair less."""
        if not 0 < score < 1:
            return -np.inf if score <= 0 else np.inf
        return float((np.log(score / (1 - score)) - self.settings.offset) / self.settings.slope) - 1e-6

    def _chosen(self, image: Image, faces: Sequence[Located], minimum: float) -> list[Located]:
        """Those of at least this score that the image shows, without doubles, the surest first."""
        settings, (high, wide) = self.settings, image.shape[:2]
        found = [face for face in faces if face.score >= minimum and face.box.clipped(wide, high).area > 0]
        boxes, scores = [face.box for face in found], [face.score for face in found]
        kept = suppress_doubles(boxes, scores, settings.double_iou, settings.double_containment)
        return [found[index] for index in kept]

    def _by_convention(self, box: Box) -> Box:
        settings = self.settings
        resized = box.enlarged(settings.height)
        return resized.shifted(settings.right * resized.height, settings.down * resized.height)


def together(height: int, width: int) -> int:
    """How many pictures of this shape the net sees at once."""
    return min(max(TOGETHER // (height * width), 1), MOST_TOGETHER)


AnyLocalizer = Localizer | StudentLocalizer


def localizer_of(model: Model, device: torch.device | None = None) -> AnyLocalizer:
    """What finds the faces in a model: its student, or else its LNets."""
    return Localizer(model, device) if model.student is None else StudentLocalizer(model, device)


def read_side(localizer: AnyLocalizer | None) -> int:
    """Pixels of a photograph's longer side that suffice to find its faces; 0 = all that it has."""
    return localizer.settings.read_side if isinstance(localizer, StudentLocalizer) else 0
