"""Pictures of faces in known places, which the student learns from: composed ones, and crops of photographs.

In a composed scene a face lies where it was put, so that no human ever drew its box. A photograph has the boxes that
the LNets found, sure ones and doubtful ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facetag.datasets.augment import Generator, flip, jitter_colour
from facetag.datasets.scenes import ALIGNED_FACE, SceneComposer, head_height, log_uniform, moved_box, paste
from facetag.geometry import Box
from facetag.images.resample import Image, crop

ALIGNED_PICTURE = Box(0, 0, 178, 218)
COVERED = 0.3  #: a face of which one picture covers more, or more is beyond the frame, is doubtful
ENLARGED = 2.5  #: photographs are enlarged no more than this
BEYOND = 1.5  #: nor is more of one shown than this many times its longer side


@dataclass(frozen=True)
class Crowd:
    """A picture, the faces in it, and places of which nobody knows whether there is one; boxes in its pixels."""

    image: Image
    faces: tuple[Box, ...]
    doubtful: tuple[Box, ...] = ()


def compose_crowd(composer: SceneComposer, epoch: int, index: int) -> Crowd:
    """The scene of (epoch, index): head picture `index` and further ones on a background, the larger ones behind."""
    rng = np.random.default_rng((composer.seed, epoch, index, 2))
    settings = composer.settings
    image = composer.background(rng)
    if rng.random() < settings.distractors:
        paste(image, composer.background(rng), rng, head_height(rng, settings), settings.rotation)
    number = int(rng.choice(len(settings.heads), p=settings.heads))
    faces: list[Box] = []
    doubtful: list[Box] = []
    for place, height in enumerate(sorted((head_height(rng, settings) for _ in range(number)), reverse=True)):
        head = index if place == 0 else int(rng.integers(len(composer.heads)))
        placed = paste(image, flip(composer.read(composer.heads[head]), rng), rng, height, settings.rotation)
        picture = moved_box(ALIGNED_PICTURE, placed)
        doubtful += [face for face in faces if face.intersection(picture) > COVERED * face.area]
        faces = [face for face in faces if face.intersection(picture) <= COVERED * face.area]
        faces.append(moved_box(ALIGNED_FACE, placed))
    seen, cut = _in_frame(faces, settings.side)
    hide_parts(image, seen, rng, settings.hidden)
    return Crowd(jitter_colour(image, rng, settings.colour), tuple(seen), (*doubtful, *cut))


def hide_parts(image: Image, faces: Sequence[Box], rng: Generator, chance: float) -> None:
    """Cover, in place, a band across some of the faces, eyes or mouth, or one side: by one colour, as glasses and masks
    are, or by what lies elsewhere in the picture."""
    if not chance:  # nothing is drawn, so that the pictures are those of before
        return
    for face in faces:
        if rng.random() < chance:
            _cover(image, _part(face, rng), rng)


def _part(face: Box, rng: Generator) -> Box:
    share, place = rng.uniform(0.12, 0.4), rng.uniform(0, 1)
    if rng.random() < 0.7:
        top = face.y + place * (1 - share) * face.height
        return Box(face.x - 0.1 * face.width, top, 1.2 * face.width, share * face.height)
    left = face.x if place < 0.5 else face.right - share * face.width
    return Box(left, face.y, share * face.width, face.height)


def _cover(image: Image, part: Box, rng: Generator) -> None:
    high, wide = image.shape[:2]
    left, top = max(round(part.x), 0), max(round(part.y), 0)
    covered = image[top : max(round(part.bottom), 0), left : max(round(part.right), 0)]
    height, width = covered.shape[:2]
    if rng.random() < 0.6:
        covered[:] = rng.integers(0, 256, 3) * rng.uniform(0, 1)
    else:
        y, x = int(rng.integers(high - height + 1)), int(rng.integers(wide - width + 1))
        covered[:] = image[y : y + height, x : x + width].copy()


def crop_crowd(
    image: Image, faces: Sequence[Box], doubtful: Sequence[Box], rng: Generator, side: int, heights: tuple[float, float]
) -> Crowd:
    """A random square of a photograph, side x side, around one of its faces, which becomes `heights` pixels high."""
    high, wide = image.shape[:2]
    height = log_uniform(rng, *heights)
    if faces:
        face = faces[int(rng.integers(len(faces)))]
        size = face.height * side / height
    else:
        face, size = Box.around(wide / 2, high / 2, 1, 1), max(high, wide) * rng.uniform(0.4, 1.2)
    size = float(np.clip(size, side / ENLARGED, BEYOND * max(high, wide)))
    reach = max(size / 2 - 0.6 * face.height, 0.0)
    x, y = (float(middle + rng.uniform(-reach, reach)) for middle in face.center)
    square = Box.around(x, y, size, size)
    picture = crop(image, square, side, side)
    mirrored = rng.random() < 0.5
    picture = np.ascontiguousarray(picture[:, ::-1]) if mirrored else picture
    moved, unclear = ([_moved(box, square, side, mirrored) for box in boxes] for boxes in (faces, doubtful))
    seen, cut = _in_frame(moved, side)
    return Crowd(picture, tuple(seen), (*unclear, *cut))


def _moved(box: Box, square: Box, side: int, mirrored: bool) -> Box:
    inside = box.shifted(-square.x, -square.y).scaled(side / square.width)
    return Box(side - inside.right, inside.y, inside.width, inside.height) if mirrored else inside


def _in_frame(faces: Sequence[Box], side: int) -> tuple[list[Box], list[Box]]:
    """Those that a frame of this side shows, and those that it cuts too much of."""
    shares: NDArray[np.float64] = np.array([face.clipped(side, side).area / max(face.area, 1e-9) for face in faces])
    seen = [face for face, share in zip(faces, shares, strict=True) if share >= 1 - COVERED]
    cut = [face for face, share in zip(faces, shares, strict=True) if 0 < share < 1 - COVERED]
    return seen, cut
