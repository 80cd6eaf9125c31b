"""Detection scenes: composed pictures of faces whose places are known by construction, for a centre network to learn.

Head-and-shoulder pictures, tight face pictures and things that are no face are blended into scenes without people. A
face's box is where it was put; how much of it can be seen is counted on points of its ellipse, by the masks of what
lies in front of it, so that a face half behind another one, behind a hand or cut by the frame still counts as one.
No box that a human drew is used.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from facetag.datasets.augment import ColourSettings, Generator, jitter_colour
from facetag.datasets.drawn import DRAWN_BOX, draw_lookalike
from facetag.datasets.image_pool import ImagePool
from facetag.datasets.scenes import log_uniform
from facetag.geometry import Box
from facetag.images.resample import Image

Matrix = NDArray[np.float64]  #: 2 x 3, from (x, y) of one frame to another's
Mask = NDArray[np.float32]  #: (H, W) in [0, 1]
Rectangle = tuple[int, int, int, int]  #: left, top, right, bottom in whole pixels

#: The face in a head picture, as fractions of its width and height (of 178 x 218: x 43, y 74, 92 x 116).
HEAD_FACE = Box(43 / 178, 74 / 218, 92 / 178, 116 / 218)
#: The face in UTKFace's aligned square pictures, which it exceeds: eyes and mouth lie as in `HEAD_FACE`.
TIGHT_FACE = Box(0.035, -0.08, 0.94, 1.16)


def resize(image: Image, width: int, height: int) -> Image:
    """Averaged over areas where a side shrinks to well under its size, which is slow, and bilinear otherwise."""
    shrinks = min(width / image.shape[1], height / image.shape[0]) < 0.65
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=interpolation), np.uint8)


@dataclass(frozen=True)
class DetectionSceneSettings:
    """How detection scenes are composed; each chance is that of one scene or one head.

    Attributes:
        input_size: pixels of the square scene.
        heads: chances of 0, 1, 2 ... heads in a scene that is neither tight nor a collage.
        smallest: height of the smallest face, in pixels.
        largest: height of the largest face, in sides of the scene.
        tight, collage: chances that one face fills the scene, and that it is a grid of pictures.
        empty: chance that a tight scene is filled by no face.
        coarse: chance that a scene has fewer pixels than it is large, as if enlarged.
        groups: chance that several heads stand next to each other.
        hard_heads: chance that a head is one that a net did not find before.
        rotation: standard deviation of a head's turn, in degrees; one in twelve is turned by up to five times as much.
        seen, ignored: fractions of a face's ellipse from which on it is a face, and may be one.
        distractors: chance of each of up to three things without a face, blended as heads are.
        lookalikes: chance that such a thing, or a picture that fills a tight scene or a collage's cell, looks like a
            face: a hard negative, or something drawn.
        drawn: fraction of the look-alikes that is drawn (letters, emblems, clocks, wheels); without hard negatives all.
        occluded: chance that something covers a part of a face.
        border: chance that the scene is surrounded by a border.
        colour: applied to the finished scene.
    """

    input_size: int = 256
    heads: tuple[float, ...] = (0.13, 0.3, 0.2, 0.14, 0.1, 0.07, 0.06)
    smallest: float = 10.0
    largest: float = 1.3
    tight: float = 0.12
    collage: float = 0.08
    empty: float = 0.12
    coarse: float = 0.15
    groups: float = 0.55
    hard_heads: float = 0.0
    rotation: float = 12.0
    seen: float = 0.42
    ignored: float = 0.12
    distractors: float = 0.35
    lookalikes: float = 0.0
    drawn: float = 0.3
    occluded: float = 0.28
    border: float = 0.2
    colour: ColourSettings = field(
        default_factory=lambda: ColourSettings(jitter=0.25, grey=0.2, blur=0.15, jpeg=0.4, light=0.12, noise=0.1)
    )


@dataclass(frozen=True)
class DetectionScene:
    """A picture, its faces, and ignore regions, where nobody says whether there is a face; boxes in its pixels."""

    image: Image
    faces: tuple[Box, ...]
    ignored: tuple[Box, ...] = ()


@dataclass(frozen=True)
class TightImages:
    """Pictures that one face fills, and its box in each as fractions of width and height."""

    images: ImagePool
    boxes: Sequence[Box]


@dataclass(frozen=True)
class Patch:
    """A picture to be blended in, and the face in it as fractions of its sides, if any."""

    image: Image
    face: Box | None
    cut: bool = False  #: it ends where the face does, so that it has no outline of its own

    @property
    def box(self) -> Box:
        """The face in pixels."""
        assert self.face is not None
        (high, wide), face = self.image.shape[:2], self.face
        return Box(face.x * wide, face.y * high, face.width * wide, face.height * high)


def _ellipse_points() -> NDArray[np.float64]:
    """(P, 2) points spread evenly over the ellipse that fills a box, as fractions of its sides."""
    v, u = np.mgrid[0.5:12, 0.5:12] / 12
    inside = (u - 0.5) ** 2 + (v - 0.5) ** 2 < 0.25
    return np.stack([u[inside], v[inside]], 1)


POINTS = _ellipse_points()


@dataclass
class PlacedFace:
    """A face on the canvas: the transform from fractions of its box to pixels, and which of its points can be seen."""

    transform: Matrix
    box: Box
    points: NDArray[np.float64]
    seen: NDArray[np.bool_]

    @classmethod
    def at(cls, transform: Matrix) -> "PlacedFace":
        x, y = (float(value) for value in transform @ np.array([0.5, 0.5, 1.0]))
        width, height = (float(length) for length in np.hypot(transform[0, :2], transform[1, :2]))
        points = POINTS @ transform[:, :2].T + transform[:, 2]
        return cls(transform, Box.around(x, y, width, height), points, np.ones(len(points), np.bool_))


class Canvas:
    """A scene under construction: what is blended in later lies in front."""

    def __init__(self, image: Image) -> None:
        self.image = image
        self.faces: list[PlacedFace] = []
        self.ignored: list[Box] = []

    @property
    def input_size(self) -> int:
        return int(self.image.shape[0])

    def blend(self, patch: Image, mask: Mask, transform: Matrix) -> None:
        """Put the patch where `transform` takes its pixels; only the rectangle that it reaches is touched."""
        high, wide = patch.shape[:2]
        corners = np.array([[0, 0], [wide, 0], [0, high], [wide, high]]) @ transform[:, :2].T + transform[:, 2]
        left, top = np.maximum(np.floor(corners.min(0)), 0).astype(int)
        right, bottom = np.minimum(np.ceil(corners.max(0)), self.input_size).astype(int)
        if right <= left or bottom <= top:
            return
        moved = transform.copy()
        moved[:, 2] += 0.5 * transform[:, :2].sum(1) - 0.5 - (left, top)  # OpenCV counts pixels by their centres
        size = (int(right - left), int(bottom - top))
        alpha = cv2.warpAffine(mask, moved, size)
        warped = cv2.warpAffine(patch, moved, size, borderMode=cv2.BORDER_REPLICATE)
        self._mix(np.asarray(warped, np.uint8), np.asarray(alpha, np.float32), int(left), int(top))

    def paint(self, polygon: NDArray[np.float64], fill: Image | NDArray[np.float64], soft: float) -> None:
        """Fill a polygon (N, 2) with one colour (3,) or with a picture stretched over its rectangle."""
        pad = 2 * soft + 1
        left, top = np.maximum(np.floor(polygon.min(0) - pad), 0).astype(int)
        right, bottom = np.minimum(np.ceil(polygon.max(0) + pad), self.input_size).astype(int)
        if right <= left or bottom <= top:
            return
        size = (int(right - left), int(bottom - top))
        mask = np.zeros((size[1], size[0]), np.uint8)
        cv2.fillPoly(mask, [np.rint((polygon - (left, top)) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
        alpha = np.asarray(mask, np.float32) * np.float32(1 / 255)
        if soft > 0.3:
            alpha = np.asarray(cv2.GaussianBlur(alpha, (0, 0), soft), np.float32)
        if fill.ndim == 1:
            image = np.broadcast_to(fill.astype(np.uint8), (size[1], size[0], 3))
        else:
            image = resize(np.asarray(fill, np.uint8), *size)
        self._mix(image, alpha, int(left), int(top))

    def _mix(self, image: Image, alpha: Mask, left: int, top: int) -> None:
        high, wide = alpha.shape
        below = self.image[top : top + high, left : left + wide]
        mixed = below + (image.astype(np.float32) - below) * alpha[..., None]
        below[:] = (mixed + 0.5).astype(np.uint8)
        for face in self.faces:
            x, y = (face.points - (left, top)).astype(int).T
            inside = (x >= 0) & (y >= 0) & (x < wide) & (y < high)
            face.seen[inside] &= alpha[y[inside], x[inside]] < 0.5

    def surround(self, left: int, top: int, right: int, bottom: int, rng: Generator) -> None:
        """Replace all outside these columns and rows by a border of some kind."""
        inner = self.image[top:bottom, left:right].copy()
        around = (top, self.input_size - bottom, left, self.input_size - right)
        kind = rng.integers(8)
        if kind < 3:
            colour = [0.0, 0.0, 0.0] if kind == 0 else [128.0] * 3 if kind == 1 else [255.0] * 3
            filled = cv2.copyMakeBorder(inner, *around, cv2.BORDER_CONSTANT, value=colour)
        elif kind < 5:
            colour = [float(value) for value in rng.integers(0, 256, 3)]
            filled = cv2.copyMakeBorder(inner, *around, cv2.BORDER_CONSTANT, value=colour)
        elif kind < 7:
            filled = cv2.copyMakeBorder(inner, *around, cv2.BORDER_REPLICATE)
        else:
            filled = np.full_like(self.image, 0)
            filled[:] = cv2.blur(resize(inner, self.input_size, self.input_size), (31, 31))
            filled[top:bottom, left:right] = inner
        self.image[:] = filled
        for face in self.faces:
            x, y = face.points.T
            face.seen &= (x >= left) & (x < right) & (y >= top) & (y < bottom)


def _affine(rng: Generator, scale: float, turn: float, center: tuple[float, float], to: tuple[float, float]) -> Matrix:
    """Scaling by `scale` with a little stretch, turning by `turn` degrees, moving `center` to `to`."""
    stretch = float(np.exp(rng.normal(0, 0.05)))
    angle = np.radians(turn)
    rotate = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = rotate @ np.diag([scale * stretch, scale / stretch])
    return np.column_stack([linear, np.array(to) - linear @ np.array(center)])


@dataclass(frozen=True)
class DetectionSceneComposer:
    """Composes the detection scene of (epoch, index).

    Attributes:
        heads: head-and-shoulder pictures in the aligned frame.
        tight: kinds of pictures that one face fills; without any, cuts of heads take their place.
        scenes: pictures without people, and the numbers of each group's pictures; a group is drawn by its weight.
        groups: (first number, count, weight) of each group of `scenes`.
        negatives: pieces of pictures without people around a place that a net took for a face, and that place.
        hard: numbers of the heads that a net did not find.
    """

    heads: ImagePool
    tight: Sequence[TightImages]
    scenes: ImagePool
    groups: Sequence[tuple[int, int, float]]
    settings: DetectionSceneSettings
    seed: int = 0
    negatives: TightImages | None = None
    hard: Sequence[int] = ()

    def compose(self, epoch: int, index: int) -> DetectionScene:
        """A scene; which one follows from the seed, the epoch and the index alone."""
        rng = np.random.default_rng((self.seed, epoch, index, 5))
        settings, draw = self.settings, rng.random()
        if draw < settings.tight:
            canvas = self._tight_scene(rng)
        elif draw < settings.tight + settings.collage:
            canvas = self._collage(rng)
        else:
            canvas = self._open_scene(rng)
        image = _degraded(canvas.image, settings.coarse, rng)
        faces, ignored = self._split(canvas)
        return DetectionScene(jitter_colour(image, rng, settings.colour), faces, ignored)

    def _split(self, canvas: Canvas) -> tuple[tuple[Box, ...], tuple[Box, ...]]:
        settings, input_size = self.settings, canvas.input_size
        faces, ignored = [], list(canvas.ignored)
        for face in canvas.faces:
            x, y = face.points.T
            seen = float((face.seen & (x >= 0) & (y >= 0) & (x < input_size) & (y < input_size)).mean())
            inside = face.box.clipped(input_size, input_size).area >= 0.5 * face.box.area
            if seen >= settings.seen and inside and face.box.height >= 0.8 * settings.smallest:
                faces.append(face.box)
            elif seen >= settings.ignored:
                ignored.append(face.box)
        return tuple(faces), tuple(ignored)

    # pictures to blend

    def background(self, rng: Generator, input_size: int, smallest: float = 0.35) -> Image:
        """A random square of a random scene, side x side."""
        image = self._scene(rng)
        height, width = image.shape[:2]
        size = max(int(min(height, width) * rng.uniform(smallest, 1.0)), 8)
        top, left = int(rng.integers(height - size + 1)), int(rng.integers(width - size + 1))
        square = resize(image[top : top + size, left : left + size], input_size, input_size)
        return np.asarray(cv2.flip(square, 1), np.uint8) if rng.random() < 0.5 else square

    def _scene(self, rng: Generator) -> Image:
        weights = np.array([group[2] for group in self.groups])
        first, count, _ = self.groups[int(rng.choice(len(weights), p=weights / weights.sum()))]
        return self.scenes[first + int(rng.integers(count))]

    def _head(self, rng: Generator) -> Patch:
        if self.hard and rng.random() < self.settings.hard_heads:
            return Patch(self.heads[self.hard[int(rng.integers(len(self.hard)))]], HEAD_FACE)
        return Patch(self.heads[int(rng.integers(len(self.heads)))], HEAD_FACE)

    def _tight(self, rng: Generator) -> Patch:
        if not self.tight:
            return self._head(rng)
        kind = self.tight[int(rng.integers(len(self.tight)))]
        index = int(rng.integers(len(kind.images)))
        return Patch(kind.images[index], kind.boxes[index], cut=True)

    def _lookalike(self, rng: Generator) -> Patch:
        """What looks like a face and is none; the patch's face is the place that does."""
        if self.negatives is None or rng.random() < self.settings.drawn:
            return Patch(draw_lookalike(rng), DRAWN_BOX)
        index = int(rng.integers(len(self.negatives.images)))
        return Patch(self.negatives.images[index], self.negatives.boxes[index])

    def _is_lookalike(self, rng: Generator) -> bool:
        """Whether what comes next looks like a face; asks nothing of chance where nothing does."""
        return self.settings.lookalikes > 0 and rng.random() < self.settings.lookalikes

    # kinds of scenes

    def _open_scene(self, rng: Generator) -> Canvas:
        settings = self.settings
        canvas = Canvas(self.background(rng, settings.input_size))
        for _ in range(3):
            if rng.random() < settings.distractors:
                self._add_distractor(canvas, rng)
        positions = self._positions(rng)
        for x, y, height in positions:
            if canvas.faces and rng.random() < 0.12:  # what lies behind is out of focus
                sigma = rng.uniform(0.6, max(0.012 * settings.input_size, 0.6))
                canvas.image[:] = cv2.GaussianBlur(canvas.image, (0, 0), sigma)
            self._add_head(canvas, rng, (x, y), height)
        if rng.random() < 0.5 * settings.distractors:
            self._add_distractor(canvas, rng)
        self._occlude(canvas, rng)
        if rng.random() < settings.border:
            canvas.surround(*_inner(rng, settings.input_size, 0.35), rng)
        return canvas

    def _positions(self, rng: Generator) -> list[tuple[float, float, float]]:
        """(x, y, height) of the faces' centres, those behind first."""
        settings, input_size = self.settings, self.settings.input_size
        number = int(rng.choice(len(settings.heads), p=settings.heads))
        largest = settings.largest * input_size
        if number >= 2 and rng.random() < settings.groups:
            positions = self._group(rng, number)
        else:
            positions = [(0.0, 0.0, log_uniform(rng, settings.smallest, largest)) for _ in range(number)]
            positions = [(*self._anywhere(rng, height), height) for _, _, height in positions]
        order = sorted(positions, key=lambda order: order[2], reverse=rng.random() < 0.2)
        return order if rng.random() < 0.8 else [order[i] for i in rng.permutation(number)]

    def _anywhere(self, rng: Generator, height: float) -> tuple[float, float]:
        input_size, reach = self.settings.input_size, 0.5 * height
        if rng.random() < 0.3 or height > 0.9 * input_size:
            x, y = rng.uniform(0, input_size, 2)
        else:
            x, y = rng.uniform(min(reach, 0.5 * input_size), max(input_size - reach, 0.5 * input_size), 2)
        return float(x), float(y)

    def _group(self, rng: Generator, number: int) -> list[tuple[float, float, float]]:
        """Heads of like size next to each other, from overlapping to a face's width apart, in one row or two."""
        input_size = self.settings.input_size
        most = 1.5 * input_size / min(number, 3)
        height = log_uniform(rng, self.settings.smallest, most)
        step = 0.8 * height * rng.uniform(0.7, 2.0)
        rows = 2 if number >= 3 and rng.random() < 0.3 else 1
        per_row = -(-number // rows)
        x0 = rng.uniform(0, max(input_size - step * (per_row - 1), 0.3 * input_size))
        y0 = rng.uniform(0.1, 0.9) * input_size
        positions = []
        for i in range(number):
            row, column = divmod(i, per_row)
            size = height * float(np.exp(rng.normal(0, 0.13)))
            x = x0 + (column + 0.5 * row) * step + rng.normal(0, 0.08) * height
            y = y0 - row * height * rng.uniform(0.7, 1.3) + rng.normal(0, 0.15) * height
            positions.append((float(x), float(y), max(size, self.settings.smallest)))
        return positions

    def _turn(self, rng: Generator) -> float:
        sigma = self.settings.rotation
        return float(rng.uniform(-5, 5) * sigma if rng.random() < 1 / 12 else rng.normal(0, sigma))

    def _add_head(self, canvas: Canvas, rng: Generator, to: tuple[float, float], height: float) -> None:
        patch = self._head(rng) if rng.random() < 0.8 else self._tight(rng)
        canvas.faces.append(PlacedFace.at(self._blend(canvas, rng, patch, to, height)))

    def _blend(self, canvas: Canvas, rng: Generator, patch: Patch, to: tuple[float, float], height: float) -> Matrix:
        """Blend a patch in, its face's centre at `to` and so high; returns the transform of the face's fractions."""
        assert patch.face is not None
        whole = patch.image.shape[0]
        # averaged over areas first, so that nothing is aliased, and so that all that follows costs little
        factor = min(1.2 * height / (patch.face.height * whole), 1.0)
        patch = _varied(_shrunk(patch, factor) if factor < 0.9 else patch, rng)
        image, box = patch.image, patch.box
        mask = _head_mask(image.shape[0], image.shape[1], box, patch.cut, rng)
        if rng.random() < 0.3:
            image = _matched(image, canvas.image, to, height, rng)
        if height > 12 and rng.random() < 0.15:
            image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.02, 0.06) * box.height), np.uint8)
        scale = height / box.height
        transform = _affine(rng, scale, self._turn(rng), box.center, to)
        canvas.blend(image, mask, transform)
        return _within(transform, box)

    def _add_distractor(self, canvas: Canvas, rng: Generator) -> None:
        """A piece of another scene, blended as heads are, so that an outline alone is no sign of a face."""
        input_size = self.settings.input_size
        size = log_uniform(rng, 14, 1.1 * input_size)
        if self._is_lookalike(rng):
            to = tuple(float(value) for value in rng.uniform(0, input_size, 2))
            self._blend(canvas, rng, self._lookalike(rng), (to[0], to[1]), 0.7 * size)
            return
        pixels = int(np.clip(size * 1.1, 16, 220))
        piece = self.background(rng, pixels, 0.2)
        box = Box(pixels * 0.24, pixels * 0.34, pixels * 0.52, pixels * 0.53)
        mask = _head_mask(pixels, pixels, box, rng.random() < 0.3, rng)
        to = tuple(float(value) for value in rng.uniform(0, input_size, 2))
        transform = _affine(rng, size / pixels, self._turn(rng), (pixels / 2, pixels / 2), (to[0], to[1]))
        canvas.blend(piece, mask, transform)

    def _tight_scene(self, rng: Generator) -> Canvas:
        """One picture that a face fills, inside a border or without one."""
        input_size = self.settings.input_size
        canvas = Canvas(np.zeros((input_size, input_size, 3), np.uint8))
        none = rng.random()
        inner = (0, 0, input_size, input_size) if none < 0.35 else _inner(rng, input_size, 0.35 if none < 0.9 else 0.8)
        inner = self._fill(canvas, rng, inner, self.settings.empty)
        self._occlude(canvas, rng)
        if inner != (0, 0, input_size, input_size):
            canvas.surround(*inner, rng)
        return canvas

    def _collage(self, rng: Generator) -> Canvas:
        """A grid of pictures, with or without gaps; a third of them are no faces."""
        input_size = self.settings.input_size
        canvas = Canvas(self.background(rng, input_size))
        if rng.random() < 0.6:
            canvas.image[:] = rng.integers(0, 256, 3) if rng.random() < 0.5 else rng.choice([0, 255])
        rows, columns, gap = int(rng.integers(1, 6)), int(rng.integers(2, 6)), int(rng.integers(0, 6))
        for row in range(rows):
            for column in range(columns):
                left, top = input_size * column // columns + gap, input_size * row // rows + gap
                right, bottom = input_size * (column + 1) // columns, input_size * (row + 1) // rows
                if rng.random() < 0.9:
                    self._fill(canvas, rng, (left, top, right, bottom), empty=0.3)
        self._occlude(canvas, rng)
        return canvas

    def _fill(self, canvas: Canvas, rng: Generator, inner: Rectangle, empty: float) -> Rectangle:
        """Fill a rectangle with a cut of a face's picture, or with a scene; returns the part that was filled."""
        if rng.random() < empty:
            if self._is_lookalike(rng):
                return self._fill_with(canvas, rng, inner, self._lookalike(rng))[0]
            left, top, right, bottom = inner
            scene = self.background(rng, max(right - left, bottom - top))
            canvas.image[top:bottom, left:right] = scene[: bottom - top, : right - left]
            return inner
        patch = self._head(rng) if rng.random() < 0.5 else self._tight(rng)
        filled, placed = self._fill_with(canvas, rng, inner, patch)
        canvas.faces.append(placed)
        return filled

    def _fill_with(
        self, canvas: Canvas, rng: Generator, inner: Rectangle, patch: Patch
    ) -> tuple[Rectangle, PlacedFace]:
        """The same with a cut around the face of this patch, which is returned too."""
        patch = _varied(patch, rng)
        height, width = patch.image.shape[:2]
        box = patch.box
        cut = _cut(rng, box, width, height, (inner[2] - inner[0]) / (inner[3] - inner[1]))
        x, y = round(cut.x), round(cut.y)
        part = patch.image[y : max(round(cut.bottom), y + 2), x : max(round(cut.right), x + 2)]
        left, top, right, bottom = _fitted(inner, part.shape[1] / part.shape[0] * float(np.exp(rng.normal(0, 0.08))))
        wide, high = right - left, bottom - top
        canvas.image[top:bottom, left:right] = resize(part, wide, high)
        scale = np.array([wide / part.shape[1], high / part.shape[0]])
        transform = np.column_stack([np.diag(scale), np.array([left, top]) - scale * np.array([x, y])])
        placed = PlacedFace.at(_within(transform, box))
        px, py = placed.points.T
        placed.seen &= (px >= left) & (px < right) & (py >= top) & (py < bottom)
        return (left, top, right, bottom), placed

    # what covers faces

    def _occlude(self, canvas: Canvas, rng: Generator) -> None:
        for face in canvas.faces:
            if face.box.height >= 14 and rng.random() < self.settings.occluded:
                part = OCCLUDERS[int(rng.integers(len(OCCLUDERS)))](rng)
                polygon = part @ face.transform[:, :2].T + face.transform[:, 2]
                canvas.paint(polygon, self._cloth(rng), float(rng.uniform(0, 0.02) * face.box.height))

    def _cloth(self, rng: Generator) -> Image | NDArray[np.float64]:
        kind = rng.random()
        if kind < 0.4:
            return self.background(rng, 64, 0.15)
        if kind < 0.6:  # skin, for hands and arms
            return np.array([230, 180, 150]) * rng.uniform(0.25, 1.05) * rng.uniform(0.93, 1.07, 3)
        if kind < 0.8:
            return np.full(3, rng.choice([8, 25, 60, 235, 250])) + rng.uniform(-8, 5, 3)
        return rng.uniform(0, 255, 3)


def _within(transform: Matrix, box: Box) -> Matrix:
    """From fractions of the box to where `transform` takes its pixels."""
    linear = transform[:, :2] * np.array([box.width, box.height])
    return np.column_stack([linear, transform @ np.array([box.x, box.y, 1.0])])


def _shrunk(patch: Patch, factor: float) -> Patch:
    height, width = patch.image.shape[:2]
    size = max(round(width * factor), 3), max(round(height * factor), 3)
    return Patch(
        np.asarray(cv2.resize(patch.image, size, interpolation=cv2.INTER_AREA), np.uint8), patch.face, patch.cut
    )


def _varied(patch: Patch, rng: Generator) -> Patch:
    """Mirrored half of the time, and with a light of its own."""
    image, face = patch.image, patch.face
    if rng.random() < 0.5 and face is not None:
        image, face = np.asarray(cv2.flip(image, 1), np.uint8), Box(1 - face.right, face.y, face.width, face.height)
    if rng.random() < 0.5:
        gamma, gain, lift = np.exp(rng.normal(0, 0.3)), rng.uniform(0.7, 1.2), rng.uniform(-15, 25)
        levels = 255 * np.linspace(0, 1, 256) ** gamma * gain + lift
        image = np.asarray(cv2.LUT(image, np.clip(levels, 0, 255).astype(np.uint8)), np.uint8)
    return Patch(image, face, patch.cut)


def _matched(image: Image, scene: Image, to: tuple[float, float], height: float, rng: Generator) -> Image:
    """With a mean colour nearer to that of where it will lie."""
    x, y, reach = int(to[0]), int(to[1]), max(int(height / 2), 2)
    near = scene[max(y - reach, 0) : y + reach, max(x - reach, 0) : x + reach]
    if near.size == 0:
        return image
    shift = (np.array(cv2.mean(near)) - cv2.mean(image)) * rng.uniform(0.2, 0.7)
    return np.asarray(cv2.add(image, shift), np.uint8)


def _head_mask(high: int, wide: int, face: Box, cut: bool, rng: Generator) -> Mask:
    """An ellipse around the face, with or without shoulders, or the whole picture, its edge more or less soft."""
    mask = np.zeros((high, wide), np.uint8)
    kind, (x, y) = rng.random(), face.center
    soft = log_uniform(rng, 0.004, 0.09) * face.height
    if kind < (0.5 if cut else 0.25):
        inset = min(max(round(soft), 0), min(high, wide) // 4)
        mask[inset : high - inset, inset : wide - inset] = 255
    else:
        grown = rng.uniform(0.46, 0.54) if cut else rng.uniform(0.56, 0.85)
        axes = face.width * grown * rng.uniform(0.92, 1.05), face.height * grown * rng.uniform(0.95, 1.05)
        center = (round(16 * x), round(16 * (y - (0.0 if cut else 0.06) * face.height)))
        cv2.ellipse(mask, center, (round(16 * axes[0]), round(16 * axes[1])), 0, 0, 360, 255, -1, cv2.LINE_8, 4)
        if kind < 0.65 and not cut:
            shoulders = rng.uniform(0.7, 1.2) * face.width, rng.uniform(0.35, 0.6) * face.height
            center = (round(x), round(face.bottom + rng.uniform(0.3, 0.45) * face.height))
            cv2.ellipse(mask, center, (round(shoulders[0]), round(shoulders[1])), 0, 0, 360, 255, -1)
    blurred = cv2.GaussianBlur(mask, (0, 0), soft) if soft > 0.5 else mask
    return np.asarray(blurred, np.float32) * np.float32(1 / 255)


def _fitted(inner: Rectangle, ratio: float) -> Rectangle:
    """The largest rectangle of this ratio of width to height in the middle of another."""
    left, top, right, bottom = inner
    wide, high = right - left, bottom - top
    width, height = max(min(wide, round(high * ratio)), 2), max(min(high, round(wide / ratio)), 2)
    left, top = left + (wide - width) // 2, top + (high - height) // 2
    return left, top, left + width, top + height


def _inner(rng: Generator, input_size: int, most: float) -> Rectangle:
    """(left, top, right, bottom) that a border leaves: alike on all sides, on two, or on any."""
    kind = rng.integers(4)
    left, top, right, bottom = (rng.uniform(0.0, most) * input_size for _ in range(4))
    if kind == 0:
        top = right = bottom = left
    elif kind == 1:
        left, right, bottom = 0.0, 0.0, top
    elif kind == 2:
        top, bottom, right = 0.0, 0.0, left
    right, bottom = input_size - right, input_size - bottom
    center = input_size / 2
    return (
        int(min(left, center - 8)),
        int(min(top, center - 8)),
        int(max(right, center + 8)),
        int(max(bottom, center + 8)),
    )


def _cut(rng: Generator, face: Box, width: int, height: int, ratio: float) -> Box:
    """A part of a picture of this size around the face, of about this ratio of width to height."""
    size = rng.uniform(0.8, 1.7) * face.height
    high, wide = size, size * np.clip(ratio, 0.7, 1.3)
    x = face.center[0] + rng.normal(0, 0.07) * face.width
    y = face.center[1] + rng.normal(-0.03, 0.08) * face.height
    return Box.around(x, y, float(wide), float(high)).clipped(width, height)


def _degraded(image: Image, chance: float, rng: Generator) -> Image:
    """With this chance with fewer pixels than it has, as if enlarged."""
    if rng.random() > chance:
        return image
    input_size = image.shape[0]
    small = max(round(input_size * rng.uniform(0.25, 0.8)), 16)
    kind = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_NEAREST)[int(rng.choice(3, p=[0.5, 0.35, 0.15]))]
    return np.asarray(cv2.resize(resize(image, small, small), (input_size, input_size), interpolation=kind), np.uint8)


def _round(x: float, y: float, width: float, height: float, turn: float = 0.0) -> NDArray[np.float64]:
    """An ellipse's outline around (x, y) with these half axes, in fractions of a face's box."""
    angle = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    px, py = width * np.cos(angle), height * np.sin(angle)
    cosine, sine = np.cos(turn), np.sin(turn)
    return np.stack([x + cosine * px - sine * py, y + sine * px + cosine * py], 1)


def _band(top: float, bottom: float, left: float = -0.08, right: float = 1.08) -> NDArray[np.float64]:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])


def glasses(rng: Generator) -> NDArray[np.float64]:
    """A bar over the eyes."""
    return _band(rng.uniform(0.16, 0.24), rng.uniform(0.38, 0.5))


def face_mask(rng: Generator) -> NDArray[np.float64]:
    """From the nose down to the chin."""
    top, low = rng.uniform(0.45, 0.66), rng.uniform(0.95, 1.12)
    return np.array(
        [[-0.05, top + 0.02], [0.5, top - 0.06], [1.05, top + 0.02], [0.98, 0.8], [0.7, low], [0.3, low], [0.02, 0.8]]
    )


def hat(rng: Generator) -> NDArray[np.float64]:
    """Over hair and forehead."""
    low = rng.uniform(0.02, 0.22)
    return np.array(
        [[-0.3, low], [-0.15, low - 0.25], [0.1, low - 0.5], [0.9, low - 0.5], [1.15, low - 0.25], [1.3, low]]
    )


def hand(rng: Generator) -> NDArray[np.float64]:
    """An ellipse over some part."""
    x, y = rng.uniform(-0.1, 1.1), rng.uniform(0.1, 1.1)
    return _round(x, y, rng.uniform(0.12, 0.45), rng.uniform(0.12, 0.45), rng.uniform(0, 3))


def edge_cover(rng: Generator) -> NDArray[np.float64]:
    """One side, or the lower end, straight."""
    reach = rng.uniform(0.2, 0.55)
    boxes = ((-0.2, -0.3, reach, 1.3), (1 - reach, -0.3, 1.2, 1.3), (-0.3, 1 - reach, 1.3, 1.4))
    left, top, right, bottom = boxes[int(rng.integers(3))]
    return _band(top, bottom, left, right)


def microphone(rng: Generator) -> NDArray[np.float64]:
    """A round end before mouth or chin on a stick that comes from below."""
    x, y, size = rng.uniform(0.2, 0.8), rng.uniform(0.65, 1.05), rng.uniform(0.07, 0.18)
    foot = x + rng.uniform(-0.6, 0.6)
    head = _round(x, y, size, size)[:11][::-1] if rng.random() < 0.5 else _round(x, y, size, size)
    return np.concatenate([head, [[foot + size * 0.6, y + 1.0], [foot - size * 0.6, y + 1.0]]])


def bars(rng: Generator) -> NDArray[np.float64]:
    """A narrow pole or rail across the face."""
    at, thick, lean = rng.uniform(0, 1), rng.uniform(0.03, 0.12), rng.uniform(-0.4, 0.4)
    ends = np.array([[at, -0.5], [at + thick, -0.5], [at + thick + lean, 1.5], [at + lean, 1.5]])
    return ends if rng.random() < 0.6 else ends[:, ::-1]


OCCLUDERS: Sequence[Callable[[Generator], NDArray[np.float64]]] = (
    glasses, face_mask, face_mask, hat, hat, hand, hand, edge_cover, microphone, bars,
)  # fmt: skip
