"""Photographs that the tests and benchmarks make: smooth random colours, each file of other bytes."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

_DISTINCT = 64


def smooth_image(seed: int, height: int = 90, width: int = 120) -> NDArray[np.uint8]:
    """(H, W, 3) of smooth random colours, in which a random model finds something."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def make_photographs(folder: Path, count: int, size: Sequence[int] = (120, 90)) -> Path:
    """A folder of `count` JPEGs of (width, height). A few pictures take turns, but no two files have the same bytes."""
    folder.mkdir()
    width, height = size
    encoded = [
        cv2.imencode(".jpg", smooth_image(seed, height, width))[1].tobytes() for seed in range(min(count, _DISTINCT))
    ]
    for number in range(count):
        after_the_end = number.to_bytes(8, "big")
        (folder / f"{number:06}.jpg").write_bytes(encoded[number % len(encoded)] + after_the_end)
    return folder


def picture(seed=0, height=90, width=120):
    """(H, W, 3), coarser than `smooth_image`."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def save(path, pixels, **options):
    """Write pixels as Pillow does; the format follows the name where none is given."""
    Image.fromarray(pixels).save(path, **options)


def png(path, seed=0, **size):
    """Write `picture` as a PNG, whatever the name."""
    save(path, picture(seed, **size), format="PNG")
