"""What was found, drawn on the pictures: boxes and tags, and beside them the response maps of both LNets."""

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from facetag.errors import writing
from facetag.geometry import Box
from facetag.images.file_types import DRAWN
from facetag.images.resample import Image, resize
from facetag.localization.center_localizer import AnyLocalizer
from facetag.localization.lnet_localizer import Localizer
from facetag.localization.response_maps import whole_frame
from facetag.method.scale_space import Layer
from facetag.pipeline.loader import Photo
from facetag.results import FaceRecord, ImageRecord

NOT_DRAWN = "could not be drawn"  #: how the remark of a record begins whose drawing failed
SIDE = 640  #: pixels of the longer side of each panel
_COLOURS = ((80, 255, 80), (255, 180, 60), (90, 180, 255), (255, 110, 200), (255, 255, 90))
_FONT, _SCALE, _LINE = cv2.FONT_HERSHEY_SIMPLEX, 0.45, 16
_BEYOND = 8  #: pixels outside a panel at which boxes are cut off, so that no edge of theirs moves into it
_TAG = 150  #: pixels that the longest tag takes

Response = NDArray[np.float32]


class Drawer:
    """Draws one JPEG an image into a folder: boxes and tags; the response of LNet_o to the picture; the response of
    LNet_s to the square around each face. Each panel has its own scale: dark is none, bright its largest response.

    Attributes:
        localizer: whose LNets found the faces; when none did, only boxes and tags are drawn.
    """

    def __init__(self, folder: Path, localizer: AnyLocalizer | None) -> None:
        self._folder = folder
        self._localizer = localizer if isinstance(localizer, Localizer) else None
        with writing(str(folder)):
            folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, photo: Photo, record: ImageRecord) -> None:
        """Write the drawing of one photograph.

        Raises:
            FacetagError: the file cannot be written.
        """
        path = self._folder / file_name(photo.path)
        encoded = cv2.imencode(".jpg", self.picture(photo, record)[..., ::-1])[1]
        with writing(str(path)):
            path.write_bytes(DRAWN + encoded.tobytes()[2:])

    def has(self, path: str) -> bool:
        """Whether a drawing of this path lies in the folder."""
        return (self._folder / file_name(path)).exists()

    def picture(self, photo: Photo, record: ImageRecord) -> Image:
        """The panels side by side, RGB."""
        factor = SIDE / max(photo.width, photo.height)
        width, height = max(round(photo.width * factor), 1), max(round(photo.height * factor), 1)
        small = resize(photo.pixels, width, height)
        panels = [with_faces(small, record, factor)]
        if self._localizer:
            panels.append(heated(small, _whole_response(self._localizer, photo.pixels, width, height)))
            panels.append(heated(small, _face_responses(self._localizer, photo.pixels, record, width, height)))
        return np.hstack(panels)


def file_name(path: str) -> str:
    """A file name for the drawing of `path`, different for different paths, readable where the path is."""
    readable = re.sub(r"[^A-Za-z0-9_.-]+", "_", os.path.basename(path))[:60].strip(".")
    return f"{readable}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}.jpg"


def with_faces(image: Image, record: ImageRecord, factor: float) -> Image:
    """The picture with its boxes, their scores and tags."""
    drawn = image.copy()
    for number, face in enumerate(record.faces):
        _draw_face(drawn, face, face.box.scaled(factor), _COLOURS[number % len(_COLOURS)])
    if not record.faces:
        _text(drawn, record.status.value, 6, _LINE, _COLOURS[0])
    return drawn


def heated(image: Image, response: Response) -> Image:
    """A darkened picture with a response (H, W) >= 0 over it."""
    largest = float(response.max())
    share = response / largest if largest > 0 else response
    heat = cv2.applyColorMap((share * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    return np.asarray(cv2.addWeighted(image, 0.35, np.ascontiguousarray(heat), 0.65, 0.0), np.uint8)


def _draw_face(image: Image, face: FaceRecord, box: Box, colour: tuple[int, int, int]) -> None:
    """The box may be of any size, anywhere: OpenCV takes no coordinates beyond 32 bits."""
    height, width = image.shape[:2]
    box = box.shifted(_BEYOND, _BEYOND).clipped(width + 2 * _BEYOND, height + 2 * _BEYOND).shifted(-_BEYOND, -_BEYOND)
    left, top, right, bottom = (round(side) for side in (box.x, box.y, box.right, box.bottom))
    beside = right + 4 if right + _TAG <= image.shape[1] else left - _TAG
    cv2.rectangle(image, (left, top), (right, bottom), colour, 2)
    _text(image, f"{face.score:.2f}", left, top - 4, colour)
    for line, tag in enumerate(face.tags, 1):
        _text(image, tag, beside, top + line * _LINE, colour)


def _text(image: Image, text: str, x: int, y: int, colour: tuple[int, int, int]) -> None:
    """Inside the picture where it would begin outside; outlined, so that it reads on any ground."""
    place = (max(x, 2), max(y, _LINE - 4))
    for ink, thickness in (((0, 0, 0), 3), (colour, 1)):
        cv2.putText(image, text, place, _FONT, _SCALE, ink, thickness, cv2.LINE_AA)


def _whole_response(localizer: Localizer, image: Image, width: int, height: int) -> Response:
    """LNet_o's response over a panel: the largest of its scales at each pixel."""
    frames = [whole_frame(image.shape[1], image.shape[0], side) for side in localizer.sides(image)]
    (layers,) = localizer.layers(localizer.lnet_o, [image], [frames], localizer.settings.head)
    return _largest(layers, width / image.shape[1], width, height)


def _face_responses(localizer: Localizer, image: Image, record: ImageRecord, width: int, height: int) -> Response:
    """LNet_s's responses over a panel, in the squares around each face."""
    boxes = [face.box.clipped(image.shape[1], image.shape[0]) for face in record.faces]
    frames = [frame for box in boxes if box.area > 0 for frame in localizer.head_frames(box)]
    (layers,) = localizer.layers(localizer.lnet_s, [image], [frames], localizer.settings.face)
    return _largest(layers, width / image.shape[1], width, height)


def _largest(layers: Sequence[Layer], factor: float, width: int, height: int) -> Response:
    panel = np.zeros((height, width), np.float32)
    for layer in layers:
        np.maximum(panel, spread(layer, factor, width, height), out=panel)
    return panel


def spread(layer: Layer, factor: float, width: int, height: int) -> Response:
    """A layer over a panel (height, width) of `factor` pixels a pixel of its picture, 0 beyond the layer's cells."""
    step = layer.step * factor
    # pixel centres lie at half coordinates, and OpenCV counts pixel centres
    matrix = np.array([[step, 0, layer.x * factor - 0.5], [0, step, layer.y * factor - 0.5]])
    response = layer.response.astype(np.float32)
    return np.asarray(cv2.warpAffine(response, matrix, (width, height), flags=cv2.INTER_LINEAR), np.float32)
