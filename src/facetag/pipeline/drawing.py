"""What was found, drawn on the pictures: boxes and tags, and beside them the response maps of both LNets."""

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from facetag.errors import writing
from facetag.geometry import Box
from facetag.images.crops import save_whole
from facetag.images.file_types import DRAWN
from facetag.images.resample import Image, resize
from facetag.localization.base import Localizer
from facetag.pipeline.items import LoadedImage
from facetag.results import FaceResult, ImageResult

PANEL_SIZE = 640  #: pixels of the longer side of each panel
_COLOURS = ((80, 255, 80), (255, 180, 60), (90, 180, 255), (255, 110, 200), (255, 255, 90))
_FONT, _SCALE, _LINE = cv2.FONT_HERSHEY_SIMPLEX, 0.45, 16
_BEYOND = 8  #: pixels outside a panel at which boxes are cut off, so that no edge of theirs moves into it
_TAG = 150  #: pixels that the longest tag takes

Response = NDArray[np.float32]


class Drawer:
    """Draws one JPEG an image into a folder: boxes and tags; the response of LNet_o to the picture; the response of
    LNet_s to the square around each face. Each panel has its own scale: dark is none, bright its largest response.

    Args:
        localizer: of whose localizer the response maps stand beside, asked when there is an image to draw; None, or one
            without such maps, has boxes and tags alone drawn.
    """

    def __init__(self, folder: Path, localizer: Callable[[], Localizer | None] = lambda: None) -> None:
        self._folder = folder
        self._localizer_of = localizer
        with writing(str(folder)):
            folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, image: LoadedImage, record: ImageResult) -> None:
        """Write the drawing of one photograph.

        Raises:
            FacetagError: the file cannot be written.
        """
        path = self._folder / file_name(image.path)
        encoded = cv2.imencode(".jpg", self.drawn(image, record)[..., ::-1])[1]
        save_whole(path, DRAWN + encoded.tobytes()[2:])

    def has(self, path: str) -> bool:
        """Whether a drawing of this path lies in the folder."""
        return (self._folder / file_name(path)).exists()

    def drawn(self, image: LoadedImage, record: ImageResult) -> Image:
        """The panels side by side, RGB."""
        factor = PANEL_SIZE / max(image.width, image.height)
        width, height = max(round(image.width * factor), 1), max(round(image.height * factor), 1)
        small = resize(image.pixels, width, height)
        panels = [with_faces(small, record, factor)]
        if localizer := self._localizer_of():
            boxes = [face.box for face in record.faces]
            maps = localizer.responses(image.pixels, boxes, width, height)
            panels += [heated(small, each) for each in maps]
        return np.hstack(panels)


def file_name(path: str) -> str:
    """A file name for the drawing of `path`, different for different paths, readable where the path is."""
    readable = re.sub(r"[^A-Za-z0-9_.-]+", "_", os.path.basename(path))[:60].strip(".")
    return f"{readable}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}.jpg"


def with_faces(image: Image, record: ImageResult, factor: float, size: float = 1.0) -> Image:
    """The picture with its boxes, their scores and tags; lines and letters so many times as large as on a panel."""
    drawn = image.copy()
    for number, face in enumerate(record.faces):
        _draw_face(drawn, face, face.box.scaled(factor), _COLOURS[number % len(_COLOURS)], size)
    if not record.faces:
        _text(drawn, record.status.value, 6, round(_LINE * size), _COLOURS[0], size)
    return drawn


def drawn_at_full_size(pixels: Image, record: ImageResult) -> Image:
    """The whole image (H, W, 3) with boxes and tags, in lines and letters that suit its size."""
    return with_faces(pixels, record, 1.0, max(*pixels.shape[:2], PANEL_SIZE) / PANEL_SIZE)


def heated(image: Image, response: Response) -> Image:
    """A darkened picture with a response (H, W) >= 0 over it."""
    largest = float(response.max())
    fraction = response / largest if largest > 0 else response
    heat = cv2.applyColorMap((fraction * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    return np.asarray(cv2.addWeighted(image, 0.35, np.ascontiguousarray(heat), 0.65, 0.0), np.uint8)


def _draw_face(image: Image, face: FaceResult, box: Box, colour: tuple[int, int, int], size: float) -> None:
    """The box may be of any size, anywhere: OpenCV takes no coordinates beyond 32 bits."""
    height, width = image.shape[:2]
    box = box.shifted(_BEYOND, _BEYOND).clipped(width + 2 * _BEYOND, height + 2 * _BEYOND).shifted(-_BEYOND, -_BEYOND)
    left, top, right, bottom = (round(side) for side in (box.x, box.y, box.right, box.bottom))
    text_x = right + 4 if right + round(_TAG * size) <= image.shape[1] else left - round(_TAG * size)
    cv2.rectangle(image, (left, top), (right, bottom), colour, round(2 * size))
    _text(image, f"{face.score:.2f}", left, top - 4, colour, size)
    for line, tag in enumerate(face.tags, 1):
        _text(image, tag, text_x, top + round(line * _LINE * size), colour, size)


def _text(image: Image, text: str, x: int, y: int, colour: tuple[int, int, int], size: float) -> None:
    """Inside the picture where it would begin outside; outlined, so that it reads on any ground."""
    left, low = max(x, 2), max(y, round(_LINE * size) - 4)
    steps = (-1, 0, 1)
    outline = [((left + right, low + down), (0, 0, 0)) for right in steps for down in steps if right or down]
    for origin, ink in (*outline, ((left, low), colour)):  # a thicker text would be a wider one too
        cv2.putText(image, text, origin, _FONT, _SCALE * size, ink, round(size), cv2.LINE_AA)
