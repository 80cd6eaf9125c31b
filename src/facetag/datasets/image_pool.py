"""Decoded pictures in one memory-mapped file, so that a composer reads a head in microseconds instead of decoding it.

A pool is built once from image files and read by many processes at the same time, which share its pages.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facetag.errors import DataError
from facetag.images.resample import Image, resize

PIXELS = "pixels.bin"
SHAPES = "shapes.npy"


class ImagePool:
    """Pictures (H, W, 3) uint8 RGB by their number; what is returned must not be written to."""

    def __init__(self, folder: Path) -> None:
        try:
            self.shapes: NDArray[np.int64] = np.load(folder / SHAPES)
        except (OSError, ValueError) as error:
            raise DataError(f"{folder} holds no pool of pictures", "build it again") from error
        ends = np.cumsum(self.shapes.prod(1) * 3)
        self.starts = ends - self.shapes.prod(1) * 3
        self.folder = folder
        self._pixels = np.memmap(folder / PIXELS, np.uint8, mode="r", shape=(int(ends[-1]),))

    def __len__(self) -> int:
        return len(self.shapes)

    def __getitem__(self, index: int) -> Image:
        height, width = (int(length) for length in self.shapes[index])
        start = int(self.starts[index])
        return np.asarray(self._pixels[start : start + height * width * 3]).reshape(height, width, 3)

    def __reduce__(self) -> tuple[type["ImagePool"], tuple[Path]]:
        return ImagePool, (self.folder,)


def build_pool(paths: Sequence[str], folder: Path, read: Callable[[str], Image], longest: int) -> ImagePool:
    """Decode the pictures, shrink those whose longer side has over `longest` pixels, and keep them in `folder`.

    A pool of as many pictures that is there already is used as it is.
    """
    if (folder / SHAPES).is_file() and len(np.load(folder / SHAPES)) == len(paths):
        return ImagePool(folder)
    folder.mkdir(parents=True, exist_ok=True)
    shapes = np.zeros((len(paths), 2), np.int64)
    with (folder / PIXELS).open("wb") as file:
        for index, path in enumerate(paths):
            image = read(path)
            factor = min(longest / max(image.shape[:2]), 1.0)
            image = resize(image, max(round(image.shape[1] * factor), 1), max(round(image.shape[0] * factor), 1))
            shapes[index] = image.shape[:2]
            file.write(np.ascontiguousarray(image).tobytes())
    temporary = folder / f"part-{SHAPES}"
    np.save(temporary, shapes)
    os.replace(temporary, folder / SHAPES)
    return ImagePool(folder)
