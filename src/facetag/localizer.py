"""Coarse-to-fine face localisation (paper, section 3.1): LNet_o finds heads, LNet_s finds the face in each.

Images in, face boxes out. The response maps say where; one global convention turns a window of a map into a box.
"""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from facetag.errors import UsageError
from facetag.geometry import Box, Window
from facetag.images.resample import Image, crop, resize
from facetag.method.windows import labelled_windows, suppress_doubles
from facetag.model import Model, RespondingLNet
from facetag.networks.lnet import FIRST_CENTER, MIN_SIDE, STRIDE, symmetric_side, weighted_sum
from facetag.settings import settings_from


def _require(holds: bool, name: str, value: object, range_: str) -> None:
    if not holds:
        raise UsageError(f"{name} = {value} of the localizer is out of range", f"make it {range_}")


@dataclass(frozen=True)
class WindowSettings:
    """From a response map to a box.

    Attributes:
        threshold: responses over it are visited; a peak is over it.
        relative: a window keeps the cells with at least this share of its peak's response.
        refine: the map is interpolated to steps of a cell by this many before peaks are sought.
        smooth: standard deviation in cells of the Gaussian that then smooths it, so that one head is one peak and not
            one at each edge of its hair; 0 = not.
        size: height of the box per side of the window, sqrt(height x width) in pixels.
        ratio: width / height of the box.
        right, down: from the window's middle to the box's middle, in heights of the box.

    Raises:
        UsageError: a value is out of its range.
    """

    threshold: float = 0.0
    relative: float = 0.5
    refine: int = 1
    smooth: float = 0.0
    size: float = 1.0
    ratio: float = 1.0
    right: float = 0.0
    down: float = 0.0

    def __post_init__(self) -> None:
        _require(self.threshold >= 0, "threshold", self.threshold, "0 or more")
        _require(0 < self.relative <= 1, "relative", self.relative, "over 0 and at most 1")
        _require(self.refine >= 1, "refine", self.refine, "1 or more")
        _require(self.smooth >= 0, "smooth", self.smooth, "0 or more")
        _require(self.size > 0, "size", self.size, "over 0")
        _require(self.ratio > 0, "ratio", self.ratio, "over 0")


@dataclass(frozen=True)
class LocalizerSettings:
    """The whole of localisation.

    Attributes:
        sides: the longer side in pixels that LNet_o sees, one pass each; a function of the image alone.
        enlarge: passes that would enlarge an image more than this are left out (the first never is).
        crop_side: pixels of the square head-shoulder image x_s (227 in the paper).
        head: from LNet_o's map to the head-shoulder square; face: from LNet_s's map to the face.
        around: side of the head-shoulder square around a found face, in heights of the face box.
        below: how far that square's middle lies under the face's, likewise.
        passes: how often LNet_s looks; each later pass looks at the square around the face found before.
        heads: the most heads of one image that LNet_s looks at, the strongest first.
        head_iou: a head whose square has more than this IoU with a stronger one's is its double.
        score: faces below it are dropped.
        double_iou, double_containment: a face that overlaps a surer one by more is its double.

    Raises:
        UsageError: a value is out of its range.
    """

    sides: tuple[int, ...] = (227,)
    enlarge: float = 2.0
    crop_side: int = 227
    head: WindowSettings = field(default_factory=WindowSettings)
    face: WindowSettings = field(default_factory=WindowSettings)
    around: float = 1.9
    below: float = 0.0
    passes: int = 1
    heads: int = 32
    head_iou: float = 0.6
    score: float = 0.5
    double_iou: float = 0.3
    double_containment: float = 0.7

    def __post_init__(self) -> None:
        _require(min(self.sides, default=0) >= 1, "sides", self.sides, "one side or more, each 1 or more")
        _require(self.enlarge > 0, "enlarge", self.enlarge, "over 0")
        _require(self.crop_side >= MIN_SIDE, "crop_side", self.crop_side, f"{MIN_SIDE} or more")
        _require(self.around > 0, "around", self.around, "over 0")
        _require(self.passes >= 1, "passes", self.passes, "1 or more")
        _require(self.heads >= 1, "heads", self.heads, "1 or more")
        for name in ("head_iou", "score", "double_iou", "double_containment"):
            _require(0 <= getattr(self, name) <= 1, name, getattr(self, name), "0 to 1")


@dataclass(frozen=True)
class Located:
    """A face box (pixels of the image given) and its score in [0, 1], larger is surer."""

    box: Box
    score: float


@dataclass(frozen=True)
class Seen:
    """What an LNet answered for one input: its response map (rows, columns) and the head's "any attribute" score."""

    response: NDArray[np.float32]
    score: float


def map_to_box(window: Window, refine: int, settings: WindowSettings) -> Box:
    """The box of a window of a (refined) map, in pixels of the net's input.

    Cell k is centred on pixel 16 k + 17 and stands for the 16 pixels around it, refined ones for 16 / refine.
    """
    step = STRIDE / refine
    origin = FIRST_CENTER + 0.5 - step / 2
    width, height = (window.right - window.left + 1) * step, (window.bottom - window.top + 1) * step
    x, y = Box(origin + window.left * step, origin + window.top * step, width, height).center
    tall = settings.size * (width * height) ** 0.5
    return Box.around(x + settings.right * tall, y + settings.down * tall, tall * settings.ratio, tall)


def find_windows(response: NDArray[np.float32], settings: WindowSettings) -> list[Window]:
    """The windows of a map's density peaks, each cut to the cells near its peak's response; in refined cells."""
    fine = refined(response, settings.refine)
    if settings.smooth > 0:  # nothing responds beyond the map
        sigma = settings.smooth * settings.refine
        fine = np.asarray(cv2.GaussianBlur(fine, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT), np.float64)
    found, labels = labelled_windows(fine, settings.threshold)
    return [_cut(window, fine, labels == index, settings.relative) for index, window in enumerate(found)]


def refined(response: NDArray[np.float32], refine: int) -> NDArray[np.float64]:
    """The map with refine - 1 further cells between each two: (R, C) -> ((R - 1) refine + 1, (C - 1) refine + 1).

    Nothing is added beyond the outermost centres: an edge repeated there would be a plateau, and of a plateau wider
    than a cell the density peaks make a peak. In double precision, where what lies between two cells stays between.
    """
    fine = response.astype(np.float64)
    for _ in range(2):
        place = np.arange((len(fine) - 1) * refine + 1)
        low, high = place // refine, -(-place // refine)
        share = (place % refine / refine)[:, None]
        fine = (fine[low] + (fine[high] - fine[low]) * share).T
    return fine


def _cut(window: Window, response: NDArray[np.float64], members: NDArray[np.bool_], relative: float) -> Window:
    rows, columns = np.nonzero(members & (response >= relative * window.score))
    edges = (int(rows.min()), int(columns.min()), int(rows.max()), int(columns.max()))
    return Window(*edges, window.peak_row, window.peak_column, window.score)


def _square(box: Box) -> Box:
    """The square of the same middle and area: LNet_o's picture is a little stretched, LNet_s's is not to be."""
    side = box.area**0.5
    return Box.around(*box.center, side, side)


def scaled_shape(image: Image, side: int) -> tuple[int, int]:
    """(width, height) that LNet_o sees of an image at this longer side; both are 16 n + 3."""
    factor = side / max(image.shape[:2])
    return symmetric_side(image.shape[1] * factor), symmetric_side(image.shape[0] * factor)


class Localizer:
    """LNet_o, then LNet_s. Images are upright RGB uint8 (H, W, 3) of any size.

    `half` runs the nets in bfloat16: faster where the processor has it, boxes move by a fraction of a cell. For
    proposing training crops, where they are jittered anyway.
    """

    def __init__(
        self,
        model: Model,
        device: torch.device | None = None,
        settings: LocalizerSettings | None = None,
        half: bool = False,
    ) -> None:
        self.settings = settings or settings_from(LocalizerSettings, model.localizer, "model.json")
        self.device = device or torch.device("cpu")
        self.dtype = torch.bfloat16 if half else torch.float32
        self.lnet_o, self.lnet_s = self._placed(model.lnet_o), self._placed(model.lnet_s)

    def _placed(self, lnet: RespondingLNet) -> RespondingLNet:
        """The net on this device in this precision, its own copy when the precision is not the model's."""
        net = lnet.net if self.dtype == torch.float32 else deepcopy(lnet.net)
        return replace(lnet, net=net.to(self.device, self.dtype))

    def __call__(self, images: Sequence[Image]) -> list[list[Located]]:
        """The faces of each image, the surest first."""
        return self.faces(images, self.heads(images))

    def dominant(self, images: Sequence[Image]) -> list[list[Located]]:
        """The paper's single face: the surest of each image, whatever its score; none only where nothing responds."""
        return [found[:1] for found in self.faces(images, self.heads(images), minimum=0.0)]

    def heads(self, images: Sequence[Image]) -> list[list[Located]]:
        """LNet_o: head-shoulder squares of each image with the response at their peaks, the strongest first."""
        found: list[list[Located]] = [[] for _ in images]
        for indices, batch in self._levels(images):
            for index, seen in zip(indices, self.look(self.lnet_o, batch), strict=True):
                factor_x = images[index].shape[1] / batch.shape[2]
                factor_y = images[index].shape[0] / batch.shape[1]
                for window in find_windows(seen.response, self.settings.head):
                    box = map_to_box(window, self.settings.head.refine, self.settings.head)
                    found[index].append(Located(_square(box.scaled(factor_x, factor_y)), window.score))
        return [self._strongest(heads) for heads in found]

    def _strongest(self, heads: list[Located]) -> list[Located]:
        # a total order: levels come grouped by shape, so their order depends on which other images came along
        heads = sorted(heads, key=lambda head: (-head.score, head.box.height, head.box.y, head.box.x))
        boxes, scores = [head.box for head in heads], [head.score for head in heads]
        kept = suppress_doubles(boxes, scores, self.settings.head_iou)
        return [heads[index] for index in kept[: self.settings.heads]]

    def sides(self, image: Image) -> list[int]:
        """The longer sides at which LNet_o sees an image, one pass each."""
        first, *others = self.settings.sides
        return [first, *(side for side in others if side <= self.settings.enlarge * max(image.shape[:2]))]

    def _levels(self, images: Sequence[Image]) -> Iterator[tuple[list[int], NDArray[np.uint8]]]:
        """Scaled images of equal shape, together: (indices, (N, H, W, 3))."""
        groups: dict[tuple[int, int], list[int]] = {}
        for index, image in enumerate(images):
            for side in self.sides(image):
                groups.setdefault(scaled_shape(image, side), []).append(index)
        for (width, height), members in groups.items():
            most = max(1, 2_000_000 // (width * height))
            for start in range(0, len(members), most):
                chosen = members[start : start + most]
                yield chosen, np.stack([resize(images[index], width, height) for index in chosen])

    def look(self, lnet: RespondingLNet, batch: NDArray[np.uint8]) -> list[Seen]:
        """Response maps and scores of equally large inputs (N, H, W, 3), each as if it had come alone."""
        size = self._together(lnet)
        seen: list[Seen] = []
        for start in range(0, len(batch), size):
            group = batch[start : start + size]
            filling = np.zeros((size - len(group), *batch.shape[1:]), np.uint8)
            seen += self._look(lnet, np.concatenate([group, filling]))[: len(group)]
        return seen

    def _together(self, lnet: RespondingLNet) -> int:
        """How many inputs a net sees at once, always filled up to it: for another number a convolution takes another
        kernel, which sums in another order. Heads come by the dozen and of one size; a CPU gains 15 % by four at once.
        Photographs differ in shape, so that filling would cost it more than company gains."""
        if self.device.type == "cuda" or self.dtype != torch.float32:
            return 16
        return 4 if lnet is self.lnet_s else 1

    def _look(self, lnet: RespondingLNet, group: NDArray[np.uint8]) -> list[Seen]:
        with torch.inference_mode():
            inputs = torch.from_numpy(group).to(self.device).permute(0, 3, 1, 2).float().div_(255).to(self.dtype)
            signed = weighted_sum(lnet.net(inputs).float(), lnet.weights.to(self.device))
            scores = torch.sigmoid(signed.mean((1, 2)) + lnet.bias)
            maps = signed.clamp_min(0).cpu().numpy()
        return [Seen(response, score) for response, score in zip(maps, scores.tolist(), strict=True)]

    def faces(
        self, images: Sequence[Image], heads: Sequence[Sequence[Located]], minimum: float | None = None
    ) -> list[list[Located]]:
        """LNet_s: the face in each head-shoulder square, doubles and those below the score (or `minimum`) dropped."""
        places = [(index, head.box) for index, found in enumerate(heads) for head in found]
        results: list[Located | None] = [None] * len(places)
        squares = [box for _, box in places]
        for _ in range(self.settings.passes):
            crops = [self.x_s(images[index], box) for (index, _), box in zip(places, squares, strict=True)]
            for number, (seen, square) in enumerate(zip(self._look_at(crops), squares, strict=True)):
                results[number] = self._face(seen, square)
            squares = [self.around(found.box) if found else box for found, box in zip(results, squares, strict=True)]
        answer: list[list[Located]] = [[] for _ in images]
        for (index, _), found in zip(places, results, strict=True):
            if found and found.score >= (self.settings.score if minimum is None else minimum):
                answer[index].append(found)
        return [self._distinct(found) for found in answer]

    def x_s(self, image: Image, square: Box) -> Image:
        """The head-shoulder image x_s (side, side, 3) of a square."""
        return crop(image, square, self.settings.crop_side, self.settings.crop_side)

    def _look_at(self, crops: Sequence[Image], batch: int = 32) -> Iterator[Seen]:
        for start in range(0, len(crops), batch):
            yield from self.look(self.lnet_s, np.stack(crops[start : start + batch]))

    def _face(self, seen: Seen, square: Box) -> Located | None:
        found = find_windows(seen.response, self.settings.face)
        if not found:
            return None
        window = max(found, key=lambda window: window.score)
        box = map_to_box(window, self.settings.face.refine, self.settings.face)
        side = self.settings.crop_side
        box = box.scaled(square.width / side, square.height / side)
        return Located(box.shifted(square.x, square.y), seen.score)

    def around(self, face: Box) -> Box:
        """The head-shoulder square that a face box implies, by the convention of `around` and `below`."""
        x, y = face.center
        side = self.settings.around * face.height
        return Box.around(x, y + self.settings.below * face.height, side, side)

    def _distinct(self, found: list[Located]) -> list[Located]:
        settings = self.settings
        boxes, scores = [face.box for face in found], [face.score for face in found]
        kept = suppress_doubles(boxes, scores, settings.double_iou, settings.double_containment)
        return [found[index] for index in kept]
