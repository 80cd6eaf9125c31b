"""Things that are drawn and no face, for a centre network to pass by: letters, emblems, clocks and wheels.

Round outlines with something in them are what a small net takes for faces. Drawn in any colours, they cost no picture.
"""

from collections.abc import Callable, Sequence
from math import cos, pi, sin

import cv2
import numpy as np

from facetag.datasets.augment import Generator
from facetag.geometry import Box
from facetag.images.resample import Image

SIZE = 96  #: pixels of the square drawings
CENTER = SIZE // 2
#: Where in a drawing a net may see a face, as fractions of its sides.
DRAWN_BOX = Box(0.2, 0.14, 0.6, 0.72)

Colour = tuple[int, int, int]
FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
)  # fmt: skip
LETTERS = "OOQCDGBSPRAHMWUVXEKNTZJYL0069835&@%?"


def draw_lookalike(rng: Generator) -> Image:
    """A drawing of any kind on a ground of one colour or two. Shape: (96, 96, 3)."""
    canvas = np.empty((SIZE, SIZE, 3), np.uint8)
    canvas[:] = _colour(rng)
    if rng.random() < 0.3:
        canvas[int(rng.integers(SIZE)) :] = _colour(rng)
    KINDS[int(rng.integers(len(KINDS)))](canvas, rng)
    return canvas


def letters(canvas: Image, rng: Generator) -> None:
    """One to three characters, upright or leaning, inside a ring or not."""
    if rng.random() < 0.35:
        _disc(canvas, rng, rng.uniform(36, 46))
    count = int(rng.choice(4, p=[0.0, 0.6, 0.25, 0.15]))
    text = "".join(LETTERS[int(rng.integers(len(LETTERS)))] for _ in range(count))
    font, thick = FONTS[int(rng.integers(len(FONTS)))], int(rng.integers(2, 12))
    (width, height), _ = cv2.getTextSize(text, font, 1.0, thick)
    scale = 0.68 * SIZE / max(width, height)
    (width, height), _ = cv2.getTextSize(text, font, scale, thick)
    origin = (CENTER - width // 2, CENTER + height // 2)
    cv2.putText(canvas, text, origin, font, scale, _colour(rng), thick, cv2.LINE_AA)


def emblem(canvas: Image, rng: Generator) -> None:
    """Rings inside each other around a star or a polygon, with a few dots."""
    radius = _disc(canvas, rng, rng.uniform(34, 46))
    for _ in range(int(rng.integers(0, 3))):
        radius = _disc(canvas, rng, radius * rng.uniform(0.65, 0.92))
    corners, inward = int(rng.integers(3, 9)), rng.uniform(0.35, 1.0)
    turn = rng.uniform(0, pi)
    reach = [radius * rng.uniform(0.75, 0.9) * (inward if i % 2 else 1.0) for i in range(2 * corners)]
    points = [_at(length, turn + i * pi / corners) for i, length in enumerate(reach)]
    cv2.fillPoly(canvas, [np.array(points, np.int32)], _colour(rng), cv2.LINE_AA)
    for _ in range(int(rng.integers(0, 5))):
        position = _at(rng.uniform(0, radius), rng.uniform(0, 2 * pi))
        cv2.circle(canvas, position, int(rng.integers(2, 7)), _colour(rng), -1, cv2.LINE_AA)


def clock(canvas: Image, rng: Generator) -> None:
    """A round dial with ticks or numbers and one to three hands."""
    radius = _disc(canvas, rng, rng.uniform(34, 46))
    ink, marks = _colour(rng), int(rng.choice([4, 8, 12, 12, 24]))
    numbered = marks == 12 and rng.random() < 0.5
    for i in range(marks):
        angle = 2 * pi * i / marks - pi / 2
        if numbered:
            x, y = _at(0.78 * radius, angle)
            cv2.putText(canvas, str(i or 12), (x - 5, y + 4), FONTS[0], 0.32, ink, 1, cv2.LINE_AA)
        else:
            cv2.line(canvas, _at(0.8 * radius, angle), _at(0.92 * radius, angle), ink, 2, cv2.LINE_AA)
    for _ in range(int(rng.integers(1, 4))):
        end = _at(rng.uniform(0.4, 0.85) * radius, rng.uniform(0, 2 * pi))
        cv2.line(canvas, (CENTER, CENTER), end, ink, int(rng.integers(1, 5)), cv2.LINE_AA)


def wheel(canvas: Image, rng: Generator) -> None:
    """A tyre, a rim, a hub and spokes."""
    radius = _disc(canvas, rng, rng.uniform(36, 47))
    inside = _disc(canvas, rng, radius * rng.uniform(0.6, 0.9))
    spokes, thick, ink = int(rng.integers(3, 17)), int(rng.integers(1, 8)), _colour(rng)
    turn = rng.uniform(0, pi)
    for i in range(spokes):
        end = _at(inside, turn + 2 * pi * i / spokes)
        cv2.line(canvas, (CENTER, CENTER), end, ink, thick, cv2.LINE_AA)
    _disc(canvas, rng, inside * rng.uniform(0.1, 0.4))


def globe(canvas: Image, rng: Generator) -> None:
    """A shaded ball, plain, with meridians or with patches; a lamp when it is bright."""
    radius, (dx, dy) = rng.uniform(34, 46), rng.uniform(-0.5, 0.5, 2)
    base = np.array(_colour(rng), float)
    v, u = (np.mgrid[:SIZE, :SIZE] - CENTER) / radius
    light = np.clip(1.15 - 0.75 * np.hypot(u - dx, v - dy), 0.1, 1.2)
    inside = np.hypot(u, v) < 1
    canvas[inside] = np.clip(base * light[..., None], 0, 255)[inside].astype(np.uint8)
    ink = _colour(rng)
    for i in range(int(rng.integers(0, 6))):
        if rng.random() < 0.5:
            cv2.ellipse(canvas, (CENTER, CENTER), (int(radius * i / 6), int(radius)), 0, 0, 360, ink, 1, cv2.LINE_AA)
        else:
            size = (int(rng.integers(3, 14)), int(rng.integers(3, 14)))
            cv2.ellipse(canvas, _at(rng.uniform(0, 0.7) * radius, rng.uniform(0, 2 * pi)), size, 0, 0, 360, ink, -1)


KINDS: Sequence[Callable[[Image, Generator], None]] = (letters, letters, emblem, clock, wheel, globe)


def _colour(rng: Generator) -> Colour:
    """Any colour, or, more often than chance has it, a grey one or one of skin."""
    kind = rng.random()
    if kind < 0.3:
        grey = int(rng.integers(256))
        return grey, grey, grey
    values = np.array([230, 180, 150]) * rng.uniform(0.3, 1.05) if kind < 0.45 else rng.integers(0, 256, 3)
    red, green, blue = (int(value) for value in np.clip(values, 0, 255))
    return red, green, blue


def _disc(canvas: Image, rng: Generator, radius: float) -> float:
    """Fill a disc in the middle, now and then with a rim, or draw a ring; returns its radius."""
    thick = -1 if rng.random() < 0.75 else int(rng.integers(2, 8))
    cv2.circle(canvas, (CENTER, CENTER), int(radius), _colour(rng), thick, cv2.LINE_AA)
    if rng.random() < 0.3:
        cv2.circle(canvas, (CENTER, CENTER), int(radius), _colour(rng), int(rng.integers(1, 5)), cv2.LINE_AA)
    return radius


def _at(length: float, angle: float) -> tuple[int, int]:
    """A point so far from the middle."""
    return round(CENTER + length * cos(angle)), round(CENTER + length * sin(angle))
