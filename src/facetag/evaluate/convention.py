"""The one global convention from windows of response maps to boxes (paper, section 3.1), fitted on photographs.

LNets are trained on image-level tags and know no boxes, so where a face's edges lie relative to its region of high
response has to be told once: a size and an offset for LNet_o's head squares, and likewise for LNet_s's faces. Each net
looks once at each photograph; everything is then searched over the small maps that it answered.
"""

from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetag.datasets.webfaces import Photograph
from facetag.errors import DataError
from facetag.evaluate.pictures import Progress, no_progress, read_batches
from facetag.geometry import Box, Window
from facetag.images.resample import Image, resize
from facetag.localizer import Localizer, Located, WindowSettings, find_windows, map_to_box, scaled_shape

RELATIVE = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
REFINE = (1, 2, 4)
STEPS = (0.4, 0.2, 0.1, 0.05, 0.02, 0.01)  #: of the search for size and offset

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Looked:
    """A net's response map (rows, columns) of one input, and the box to come of it, in pixels of that input."""

    owner: int
    response: NDArray[np.float32]
    target: Box


@dataclass(frozen=True, eq=False)
class Pairs:
    """M windows beside the boxes that they should become, in pixels of the net's input.

    Attributes:
        windows: (M, 3) middle x, middle y, and side, sqrt(width x height).
        targets: (M, 4) x y width height.
        owners: (M,) photograph of each, 0 <= owner < photographs.
        photographs: how many; one without a window is a miss.
    """

    windows: Values
    targets: Values
    owners: NDArray[np.int64]
    photographs: int


@dataclass(frozen=True)
class Fitted:
    """Settings and what they reach on the photographs they were fitted on.

    Attributes:
        recall: share of photographs with a box of IoU >= 0.5.
        overlap: mean IoU of each photograph's best box, 0 where there is none.
    """

    settings: WindowSettings
    recall: float
    overlap: float


@dataclass(frozen=True)
class Convention:
    """The fitted convention: LNet_o's windows to head squares, LNet_s's windows to faces (None: not fitted)."""

    photographs: int
    head: Fitted
    face: Fitted | None


def fit_convention(
    localizer: Localizer, photographs: Sequence[Photograph], progress: Progress = no_progress, heads_alone: bool = False
) -> Convention:
    """Fit both, the second on what LNet_s sees in head squares by the first.

    Args:
        localizer: its settings but `head` and `face` hold; these two give the threshold.
        photographs: with one face each, and never any that localisation will be measured on.
        heads_alone: there is no LNet_s yet; it is trained on head squares by this convention.

    Raises:
        DataError: there are none, a picture cannot be read, or a net responds in none.
    """
    if not photographs:
        raise DataError("there is no photograph with a single face to fit on", "check the boxes file")
    assert all(len(photograph.boxes) == 1 for photograph in photographs)
    head = fit_heads(localizer, photographs, progress)
    face = None if heads_alone else fit_faces(with_settings(localizer, head=head.settings), photographs, progress)
    return Convention(len(photographs), head, face)


def fit_heads(localizer: Localizer, photographs: Sequence[Photograph], progress: Progress = no_progress) -> Fitted:
    """LNet_o's windows to the squares `Localizer.around` the true faces; needs no LNet_s.

    A photograph counts by the best of its heads, because LNet_s looks at all of them.
    """
    looked = list(_head_maps(localizer, photographs, progress))
    start = replace(localizer.settings.head, ratio=1.0)
    return search(looked, len(photographs), start, localizer.settings.heads)


def fit_faces(localizer: Localizer, photographs: Sequence[Photograph], progress: Progress = no_progress) -> Fitted:
    """LNet_s's strongest windows to the true faces, in the head square that holds each face best.

    With several passes the convention of the earlier ones decides what the last one sees, so it is fitted pass by pass.
    """
    ratio = float(np.median([photograph.boxes[0].width / photograph.boxes[0].height for photograph in photographs]))
    fitted = Fitted(replace(localizer.settings.face, ratio=ratio), float("nan"), float("nan"))
    for passes in range(1, localizer.settings.passes + 1):
        current = with_settings(localizer, face=fitted.settings, passes=passes)
        fitted = search(list(_face_maps(current, photographs, progress)), len(photographs), fitted.settings, most=1)
    return fitted


def with_settings(localizer: Localizer, **changes: Any) -> Localizer:
    """The same nets under settings that differ in these fields."""
    changed = copy(localizer)
    changed.settings = replace(localizer.settings, **changes)
    return changed


def search(looked: Sequence[Looked], photographs: int, start: WindowSettings, most: int) -> Fitted:
    """The best settings over the grid of REFINE and RELATIVE, each with the best size and offset; ties: the first.

    Args:
        most: windows of a photograph that count, the strongest first.

    Raises:
        DataError: no map responds anywhere near its face.
    """
    found: list[Fitted] = []
    for refine, relative in product(REFINE, RELATIVE):
        pairs = pair(looked, photographs, replace(start, refine=refine, relative=relative), most)
        if near(pairs).any():
            found.append(fit_box(pairs, replace(start, refine=refine, relative=relative)))
    if not found:
        raise DataError("the net responds near none of the faces", "train it longer")
    return max(found, key=_rank)


def pair(looked: Iterable[Looked], photographs: int, settings: WindowSettings, most: int) -> Pairs:
    """The strongest windows of each photograph's maps beside their targets."""
    windows: dict[int, list[tuple[Window, Box]]] = {}
    for one in looked:
        windows.setdefault(one.owner, []).extend((found, one.target) for found in find_windows(one.response, settings))
    plain = replace(settings, size=1.0, ratio=1.0, right=0.0, down=0.0)
    rows = []
    for owner, candidates in windows.items():
        for window, target in sorted(candidates, key=lambda candidate: -candidate[0].score)[:most]:
            square = map_to_box(window, settings.refine, plain)
            rows.append((*square.center, square.width, target.x, target.y, target.width, target.height, owner))
    table = np.array(rows, np.float64).reshape(-1, 8)
    return Pairs(table[:, :3], table[:, 3:7], table[:, 7].astype(np.int64), photographs)


def fit_box(pairs: Pairs, settings: WindowSettings) -> Fitted:
    """Size and offset: medians over the windows near their faces, then climbing to the largest recall.

    The medians hold as long as most of those windows belong to the face; from there, size and both offsets move by
    ever smaller STEPS while recall at IoU 0.5, or at equal recall the mean IoU, grows. The ratio is not sought: the
    true boxes have it.
    """
    best = _rated(pairs, medians(pairs, settings))
    for step in STEPS:
        best = _climb(pairs, best, step)
    return best


def medians(pairs: Pairs, settings: WindowSettings) -> WindowSettings:
    """The settings of median log size and median offsets over the windows near their faces."""
    chosen = near(pairs)
    (x, y, side), target = pairs.windows[chosen].T, pairs.targets[chosen]
    size = float(np.exp(np.median(np.log(target[:, 3] / side))))
    tall = size * side
    return replace(
        settings,
        size=size,
        right=float(np.median((target[:, 0] + target[:, 2] / 2 - x) / tall)),
        down=float(np.median((target[:, 1] + target[:, 3] / 2 - y) / tall)),
    )


def near(pairs: Pairs) -> NDArray[np.bool_]:
    """(M,) whether a window's middle lies in its target, enlarged twice about its middle."""
    middle = pairs.targets[:, :2] + pairs.targets[:, 2:] / 2
    return np.asarray((np.abs(pairs.windows[:, :2] - middle) <= pairs.targets[:, 2:]).all(axis=1), np.bool_)


def best_overlaps(pairs: Pairs, settings: WindowSettings) -> Values:
    """(photographs,) largest IoU of a window's box, by these settings, with its target; 0 without a window."""
    (x, y, side), target = pairs.windows.T, pairs.targets
    height = settings.size * side
    width = height * settings.ratio
    left = x + settings.right * height - width / 2
    top = y + settings.down * height - height / 2
    across = np.minimum(left + width, target[:, 0] + target[:, 2]) - np.maximum(left, target[:, 0])
    down = np.minimum(top + height, target[:, 1] + target[:, 3]) - np.maximum(top, target[:, 1])
    common = across.clip(0) * down.clip(0)
    best = np.zeros(pairs.photographs)
    np.maximum.at(best, pairs.owners, common / (width * height + target[:, 2] * target[:, 3] - common))
    return best


def _rated(pairs: Pairs, settings: WindowSettings) -> Fitted:
    overlaps = best_overlaps(pairs, settings)
    return Fitted(settings, float((overlaps >= 0.5).mean()), float(overlaps.mean()))


def _climb(pairs: Pairs, best: Fitted, step: float) -> Fitted:
    while True:
        better = max((_rated(pairs, settings) for settings in _around(best.settings, step)), key=_rank)
        if _rank(better) <= _rank(best):
            return best
        best = better


def _rank(fitted: Fitted) -> tuple[float, float]:
    return fitted.recall, fitted.overlap


def _around(settings: WindowSettings, step: float) -> Iterator[WindowSettings]:
    for sign in (-1, 1):
        yield replace(settings, size=settings.size * (1 + step) ** sign)
        yield replace(settings, right=settings.right + sign * step)
        yield replace(settings, down=settings.down + sign * step)


def _batches(photographs: Sequence[Photograph], progress: Progress) -> Iterator[tuple[int, list[Image], list[Box]]]:
    """Index of the first photograph, images, and true faces."""
    first = 0
    for images in read_batches([photograph.path for photograph in photographs], progress):
        yield first, images, [photograph.boxes[0] for photograph in photographs[first : first + len(images)]]
        first += len(images)


def _head_maps(localizer: Localizer, photographs: Sequence[Photograph], progress: Progress) -> Iterator[Looked]:
    for first, images, truths in _batches(photographs, progress):
        for index, (image, truth) in enumerate(zip(images, truths, strict=True)):
            for side in localizer.sides(image):
                width, height = scaled_shape(image, side)
                (seen,) = localizer.look(localizer.lnet_o, resize(image, width, height)[None])
                target = localizer.around(truth).scaled(width / image.shape[1], height / image.shape[0])
                yield Looked(first + index, seen.response, target)


def _face_maps(localizer: Localizer, photographs: Sequence[Photograph], progress: Progress) -> Iterator[Looked]:
    for first, images, truths in _batches(photographs, progress):
        squares = _squares(localizer, images, truths)
        for index, square in squares.items():
            (seen,) = localizer.look(localizer.lnet_s, localizer.x_s(images[index], square)[None])
            side = localizer.settings.crop_side
            target = truths[index].shifted(-square.x, -square.y).scaled(side / square.width, side / square.height)
            yield Looked(first + index, seen.response, target)


def _squares(localizer: Localizer, images: list[Image], truths: list[Box]) -> dict[int, Box]:
    """What the last pass of LNet_s looks at: of each image's heads the one that holds the face best, or around the face
    that the earlier passes found from there."""
    heads: list[list[Located]] = []
    for found, truth in zip(localizer.heads(images), truths, strict=True):
        square = localizer.around(truth)
        heads.append(sorted(found, key=lambda head: -head.box.iou(square))[:1])
    squares = {index: found[0].box for index, found in enumerate(heads) if found}
    if localizer.settings.passes > 1:
        earlier = with_settings(localizer, passes=localizer.settings.passes - 1)
        for index, found in enumerate(earlier.faces(images, heads, minimum=0.0)):
            if found:
                squares[index] = localizer.around(found[0].box)
    return squares
