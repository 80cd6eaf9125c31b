"""Faces cut out of images: for a folder of crops, and as thumbnails."""

import hashlib
import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from facetag.errors import FacetagError, writing
from facetag.geometry import Box
from facetag.images.decode import read_image
from facetag.images.file_types import DRAWN
from facetag.images.resample import Image, resize
from facetag.results import ImageResult

MARGIN = 1.3  #: how much larger than its box a face is cut out
_QUALITY = 92


def crop(pixels: Image, box: Box, margin: float = MARGIN) -> Image:
    """The part of an image (H, W, 3) around a box, cut at the frame; at least one pixel."""
    height, width = pixels.shape[:2]
    inside = box.enlarged(margin).clipped(width, height)
    left, top = min(int(inside.x), width - 1), min(int(inside.y), height - 1)
    right, bottom = max(round(inside.right), left + 1), max(round(inside.bottom), top + 1)
    return pixels[top:bottom, left:right]


def jpeg(pixels: Image, quality: int = _QUALITY) -> bytes:
    """RGB pixels as a JPEG that says nothing but its pixels."""
    encoded = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return bytes(encoded.tobytes())


def thumbnail(pixels: Image, side: int) -> Image:
    """An image shrunk to at most `side` pixels; smaller ones stay as they are."""
    factor = side / max(pixels.shape[:2])
    if factor >= 1:
        return pixels
    return resize(np.ascontiguousarray(pixels), *(max(round(length * factor), 1) for length in pixels.shape[1::-1]))


def crop_name(path: str, face: int) -> str:
    """A file name for a face of an image: different for different paths, in no other folder, readable where it can be.

    It ends as the names of drawings do, so that no later run takes it for a photo.

    >>> crop_name("../a b.jpg", 1)
    'a_b.jpg-face1-e5a2a7a0a436168c.jpg'
    """
    readable = re.sub(r"[^A-Za-z0-9_.-]+", "_", os.path.basename(path))[:60].strip(".")
    return f"{readable}-face{face}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}.jpg"


def save_whole(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all, and never through a link.

    Raises:
        FacetagError: it cannot be written.
    """
    # always the same name, so that what a killed run left goes with the next one
    temporary = path.with_name(f".{path.name}.tmp")
    with writing(path):
        with suppress(FileNotFoundError):
            temporary.unlink()
        with temporary.open("xb") as stream:
            stream.write(data)
        temporary.replace(path)


class Crops:
    """Saves the faces of each image that it is told of; what goes wrong is said of that image, and the run goes on.

    Attributes:
        written: crops that lie in the folder.
        refused: images whose faces could not be saved.
    """

    noun = "crops"

    def __init__(self, folder: Path, open_as: Callable[[str], str], warn: Callable[[str], None]) -> None:
        """`open_as` says where the image of a record's path lies.

        Raises:
            FacetagError: the folder cannot be made.
        """
        self.written = self.refused = 0
        self._folder, self._open_as, self._warn = folder, open_as, warn
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, record: ImageResult) -> None:
        """Save the faces of one image."""
        if not record.faces:
            return
        try:
            path, size = self._open_as(record.path), record.width * record.height
            pixels = read_image(path, max_pixels=size, raw="preview").pixels  # it has faces, so it was looked at so
            for number, face in enumerate(record.faces, 1):
                save_whole(self._folder / crop_name(record.path, number), DRAWN + jpeg(crop(pixels, face.box))[2:])
                self.written += 1
        except FacetagError as error:
            self.refused += 1
            self._warn(f"no crops of {record.path}: {error}")
