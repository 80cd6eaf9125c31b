"""Whole images x_o for LNet_o: head-and-shoulder pictures put at random place and scale into scenes without faces.

CelebA's aligned copies show heads that always fill the frame alike; LNet_o must find heads anywhere. A composed
scene carries image-level tags only: its faces' attributes, and "any of them", which is 0 on a bare scene. Where a
head was put is returned for measuring; nothing is trained on it.

A net that is to tell scales apart is shown heads of other sizes as well, and such a head brings no tag: what the tags
then say is "a head of the size that this net looks for has them".
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from facetag.datasets.augment import ColourSettings, Generator, flip, jitter_colour, random_square
from facetag.errors import UsageError
from facetag.geometry import Box
from facetag.images.resample import Image, resize

#: The face in an aligned 178 x 218 CelebA image, by the convention of eyes, nose and mouth.
ALIGNED_FACE = Box(43, 74, 92, 116)


@dataclass(frozen=True)
class SceneSettings:
    """How scenes are composed.

    Attributes:
        input_size: pixels of the square scene.
        heads: chances of 0, 1, 2 ... heads.
        smallest, largest: height of a head-and-shoulder picture as a share of the scene's side.
        others: chance that a head of another size is there too, behind the rest, which brings no tag.
        tiniest, hugest: its height, likewise.
        margin: no such head is less than this factor over `largest` or under `smallest`: what lies between is unsaid.
        rotation: largest turn of a head, degrees.
        distractors: chance that a patch of another scene is pasted like a head, so that a pasted edge alone
            tells nothing.
        colour: applied to the finished scene.

    Raises:
        UsageError: the chances do not add up to 1, or there is no room for heads of other sizes.
    """

    input_size: int = 227
    heads: tuple[float, ...] = (0.25, 0.6, 0.15)
    smallest: float = 0.35
    largest: float = 1.3
    others: float = 0.0
    tiniest: float = 0.1
    hugest: float = 4.0
    margin: float = 1.2
    rotation: float = 20.0
    distractors: float = 0.5
    colour: ColourSettings = field(default_factory=ColourSettings)

    def __post_init__(self) -> None:
        if min(self.heads, default=-1.0) < 0 or not math.isclose(sum(self.heads), 1.0, abs_tol=1e-6):
            raise UsageError(f"the chances of heads, {self.heads}, do not add up to 1", "make them shares")
        apart = self.margin >= 1 and self.tiniest * self.margin <= self.smallest
        if self.others and not (apart and self.largest * self.margin <= self.hugest):
            sizes = f"tiniest = {self.tiniest}, hugest = {self.hugest}, margin = {self.margin}"
            raise UsageError(f"{sizes} leave no room beside the heads with tags", "let them lie further out")


@dataclass(frozen=True)
class Scene:
    """A composed picture. `faces` are where the faces went (scene pixels), for measuring alone."""

    image: Image
    attributes: NDArray[np.float32]
    faces: tuple[Box, ...]


def paste(scene: Image, patch: Image, rng: Generator, height: float, rotation: float) -> NDArray[np.float64]:
    """Put `patch`, scaled to `height` pixels, at a random place and turn into `scene`, with a soft edge, in place.

    Returns the 2 x 3 transform from patch pixels to scene pixels.
    """
    input_size = scene.shape[0]
    small = resize(patch, max(round(patch.shape[1] * height / patch.shape[0]), 2), max(round(height), 2))
    mask = soft_mask(small.shape[0], small.shape[1], rng)
    reach = 0.25 * height  # a head may be cut by the frame, its face rarely
    low, high = (
        min(reach, input_size - reach),
        max(reach, input_size - reach),
    )  # and no less of one far larger than the scene
    x, y = rng.uniform(low, high, 2)
    turn = cv2.getRotationMatrix2D((small.shape[1] / 2, small.shape[0] / 2), rng.uniform(-1, 1) * rotation, 1)
    turn[:, 2] += (x - small.shape[1] / 2, y - small.shape[0] / 2)
    alpha = cv2.warpAffine(mask, turn, (input_size, input_size))[..., None]
    warped = cv2.warpAffine(small, turn, (input_size, input_size), borderMode=cv2.BORDER_REPLICATE)
    scene[:] = (scene * (1 - alpha) + warped * alpha + 0.5).astype(np.uint8)
    # OpenCV counts pixels by their centres, and `small` has whole sides
    linear, shift = turn[:, :2], turn[:, 2] + 0.5 - turn[:, :2].sum(1) / 2
    factors = np.array([small.shape[1] / patch.shape[1], small.shape[0] / patch.shape[0]])
    return np.column_stack([linear * factors, shift]).astype(np.float64)


def head_height(rng: Generator, settings: SceneSettings) -> float:
    """Pixels of a tagged head-and-shoulder picture, evenly drawn in the logarithm."""
    return settings.input_size * log_uniform(rng, settings.smallest, settings.largest)


def other_height(rng: Generator, settings: SceneSettings) -> float:
    """Pixels of one that brings no tag: well under or well over the sizes that do."""
    small = settings.tiniest, settings.smallest / settings.margin
    large = settings.largest * settings.margin, settings.hugest
    return settings.input_size * log_uniform(rng, *(small if rng.random() < 0.5 else large))


def log_uniform(rng: Generator, low: float, high: float) -> float:
    """Drawn from low to high, evenly in the logarithm."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def soft_mask(height: int, width: int, rng: Generator) -> NDArray[np.float32]:
    """An ellipse or a rectangle in [0, 1] with an edge of random softness."""
    mask = np.zeros((height, width), np.float32)
    soft = rng.uniform(0.01, 0.12) * height
    if rng.random() < 0.5:
        axes = (max(round(width / 2 - soft), 1), max(round(height / 2 - soft), 1))
        cv2.ellipse(mask, (width // 2, height // 2), axes, 0, 0, 360, 1.0, -1)
    else:
        inset = max(round(soft), 1)
        mask[inset : height - inset, inset : width - inset] = 1
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), max(soft / 2, 0.3)), np.float32)


def moved_box(box: Box, transform: NDArray[np.float64]) -> Box:
    """An upright box of the same middle and size after a rotation, scaling and shift."""
    x, y = (float(value) for value in transform @ np.array([*box.center, 1.0]))
    across, down = (float(length) for length in np.hypot(transform[0, :2], transform[1, :2]))
    return Box.around(x, y, box.width * across, box.height * down)


@dataclass(frozen=True)
class SceneComposer:
    """Composes the scene of (epoch, index): one head picture is `index`, further ones and the background are drawn.

    Attributes:
        read: path -> RGB image.
        heads: paths of aligned head-and-shoulder pictures.
        attributes: (N, A) 0/1 labels of `heads`.
        backgrounds: groups of paths without faces; a group is drawn first, then a picture of it.
    """

    read: Callable[[str], Image]
    heads: Sequence[str]
    attributes: NDArray[np.int8]
    backgrounds: Sequence[Sequence[str]]
    settings: SceneSettings
    seed: int = 0

    def background(self, rng: Generator) -> Image:
        """A random square of a random picture without faces, side x side."""
        group = self.backgrounds[int(rng.integers(len(self.backgrounds)))]
        head_image = self.read(group[int(rng.integers(len(group)))])
        return flip(random_square(head_image, rng, self.settings.input_size, 0.3), rng)

    def compose(self, epoch: int, index: int) -> Scene:
        """The scene; attributes (A + 1,): present in any of its heads, last "any of them"."""
        rng = np.random.default_rng((self.seed, epoch, index))
        settings = self.settings
        image = self.background(rng)
        if rng.random() < settings.others:
            other = flip(self.read(self.heads[int(rng.integers(len(self.heads)))]), rng)
            paste(image, other, rng, other_height(rng, settings), settings.rotation)
        if rng.random() < settings.distractors:
            paste(image, self.background(rng), rng, head_height(rng, settings), settings.rotation)
        tags = np.zeros(self.attributes.shape[1] + 1, np.float32)
        faces = []
        for number in range(rng.choice(len(settings.heads), p=settings.heads)):
            head = index if number == 0 else int(rng.integers(len(self.heads)))
            head_image = flip(self.read(self.heads[head]), rng)
            placed = paste(image, head_image, rng, head_height(rng, settings), settings.rotation)
            faces.append(moved_box(ALIGNED_FACE, placed))
            tags[:-1] = np.maximum(tags[:-1], self.attributes[head])
            tags[-1] = 1
        return Scene(jitter_colour(image, rng, settings.colour), tags, tuple(faces))
