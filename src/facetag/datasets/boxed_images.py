"""Photographs whose faces' boxes somebody drew, from a CSV file that a user brings, for a centre network to learn.

A photograph is shown as squares of it: at a random scale, around one of its faces or anywhere, mirrored or not, or four
squares as a mosaic. A face of which a square holds too little, or that is too small there, is an ignore region; so is a
box whose score is too low, where a detector's answers are what there is to learn from.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from facetag.datasets.augment import Generator, jitter_colour
from facetag.datasets.boxes import load_boxes_csv, load_scores_csv
from facetag.datasets.detection_scenes import DetectionScene, DetectionSceneSettings, resize
from facetag.datasets.image_pool import ImagePool
from facetag.datasets.scenes import log_uniform
from facetag.errors import DataError, ImageError
from facetag.geometry import Box
from facetag.images.decode import read_image
from facetag.images.resample import Image

MOSAIC = 0.2  #: chance that a scene is four squares
ANYWHERE = 0.2  #: chance that a square is not laid around a face
LARGEST_ENLARGEMENT = 1.6
INSIDE = 0.5  #: fraction of a face from which on a square has it


@dataclass(frozen=True)
class BoxedFiles:
    """Photographs, the boxes of each and those that may be a face, as fractions of its width and height; SHA-256 of the
    boxes file."""

    paths: list[str]
    boxes: list[tuple[Box, ...]]
    unsure: list[tuple[Box, ...]]
    digest: str

    def record(self) -> dict[str, Any]:
        """What a run and a model say of them."""
        return {"sha256": self.digest, "photographs": len(self.paths), "faces": sum(map(len, self.boxes))}


def load_boxed_files(file: Path, confidence: float = 0.0) -> BoxedFiles:
    """What a boxes file names (`facetag.datasets.boxes`); names are seen from the current folder, or else from its own.

    Args:
        confidence: a box whose score (column `score`, where there is one) is lower may be a face.

    Raises:
        DataError: the file is malformed or has no confident box, a photograph is missing or unreadable, or a box lies
            outside of its photograph.
    """
    try:
        data = file.read_bytes()  # once: it may be a pipe
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}", "check the path and its permissions") from error
    boxed = BoxedFiles([], [], [], hashlib.sha256(data).hexdigest())
    scores = load_scores_csv(file, data)
    for name, boxes in load_boxes_csv(file, data).items():
        path = _found(name, file)
        width, height = _size(path, file)
        if any(box.clipped(width, height).area <= 0 for box in boxes):
            remedy = "boxes are pixels of the upright image"
            raise DataError(f"{file}: a box of {name} lies outside of its {width} x {height} pixels", remedy)
        boxed.paths.append(path)
        fractions = [
            (box.scaled(1 / width, 1 / height), score >= confidence)
            for box, score in zip(boxes, scores[name], strict=True)
        ]
        boxed.boxes.append(tuple(box for box, is_face in fractions if is_face))
        boxed.unsure.append(tuple(box for box, is_face in fractions if not is_face))
    if not any(boxed.boxes):
        raise DataError(f"{file} has no box", "at least one image needs a face to learn from")
    return boxed


def _found(name: str, file: Path) -> str:
    for path in (name, os.path.join(file.parent, name)):
        if os.path.isfile(path):
            return path
    raise DataError(f"{file}: there is no {name}", "its names are seen from the current folder, or else from its own")


def _size(path: str, file: Path) -> tuple[int, int]:
    try:
        image = read_image(path)
    except (OSError, ImageError) as error:
        raise DataError(f"{file}: {path} cannot be read: {error}", "mend the image, or leave its rows out") from error
    return image.width, image.height


@dataclass(frozen=True)
class BoxedImages:
    """Composes a scene of (epoch, index) from photographs with boxes, as `DetectionSceneComposer` does from heads."""

    images: ImagePool
    boxes: Sequence[tuple[Box, ...]]
    unsure: Sequence[tuple[Box, ...]]
    settings: DetectionSceneSettings
    seed: int = 0

    def compose(self, epoch: int, index: int) -> DetectionScene:
        """A scene; which one follows from the seed, the epoch and the index alone."""
        rng, size = np.random.default_rng((self.seed, epoch, index, 6)), self.settings.input_size
        if rng.random() < MOSAIC:
            half = size // 2
            squares = [_shifted(self._square(rng, half), half * x, half * y) for y in (0, 1) for x in (0, 1)]
            rows = [np.hstack([squares[i].image, squares[i + 1].image]) for i in (0, 2)]
            image = np.vstack(rows)
            faces, ignored = (
                tuple(box for square in squares for box in getattr(square, part)) for part in ("faces", "ignored")
            )
        else:
            square = self._square(rng, size)
            image, faces, ignored = square.image, square.faces, square.ignored
        return DetectionScene(jitter_colour(image, rng, self.settings.colour), faces, ignored)

    def _square(self, rng: Generator, size: int) -> DetectionScene:
        """A square of a photograph, size x size."""
        index = int(rng.integers(len(self.images)))
        image = self.images[index]
        height, width = image.shape[:2]
        boxes, unsure = ([box.scaled(width, height) for box in found[index]] for found in (self.boxes, self.unsure))
        square = self._around_a_face(rng, boxes, size) if boxes and rng.random() >= ANYWHERE else _anywhere(rng, image)
        left, top, side = (round(value) for value in (square.x, square.y, square.width))
        shown = resize(_cut(image, left, top, side, rng), size, size)
        scale = size / side
        moved = [box.shifted(-left, -top).scaled(scale) for box in (*boxes, *unsure)]
        if rng.random() < 0.5:
            shown = np.asarray(cv2.flip(shown, 1), np.uint8)
            moved = [Box(size - box.right, box.y, box.width, box.height) for box in moved]
        return self._split(shown, moved[: len(boxes)], moved[len(boxes) :])

    def _around_a_face(self, rng: Generator, boxes: Sequence[Box], size: int) -> Box:
        """A square in which one of the faces has a random height and lies anywhere, whole or nearly."""
        settings, face = self.settings, boxes[int(rng.integers(len(boxes)))]
        largest = min(settings.largest * size, max(LARGEST_ENLARGEMENT * face.height, settings.smallest))
        side = size * face.height / log_uniform(rng, settings.smallest, max(largest, settings.smallest * 1.01))
        x, y = rng.uniform(0.12, 0.88, 2) if side > 1.5 * face.height else rng.normal(0.5, 0.06, 2)
        center_x, center_y = face.center
        return Box(center_x - float(x) * side, center_y - float(y) * side, side, side)

    def _split(self, image: Image, boxes: Sequence[Box], unsure: Sequence[Box]) -> DetectionScene:
        size, least = image.shape[0], 0.8 * self.settings.smallest
        faces: list[Box] = []
        ignored = list(unsure)
        for box in boxes:
            whole = box.clipped(size, size).area >= INSIDE * box.area and box.height >= least
            (faces if whole else ignored).append(box)
        cut = [box.clipped(size, size) for box in ignored]
        return DetectionScene(image, tuple(faces), tuple(box for box in cut if box.area > 0))


def _anywhere(rng: Generator, image: Image) -> Box:
    height, width = image.shape[:2]
    side = max(min(height, width) * rng.uniform(0.4, 1.0), 8)
    return Box(rng.uniform(0, width - side), rng.uniform(0, height - side), side, side)


def _cut(image: Image, left: int, top: int, side: int, rng: Generator) -> Image:
    """A square of an image; beyond it its edge goes on, or one colour."""
    height, width = image.shape[:2]
    inner = image[max(top, 0) : min(top + side, height), max(left, 0) : min(left + side, width)]
    above, before = max(-top, 0), max(-left, 0)
    around = (above, side - inner.shape[0] - above, before, side - inner.shape[1] - before)
    if not any(around):
        return np.ascontiguousarray(inner)
    if rng.random() < 0.5:
        return np.asarray(cv2.copyMakeBorder(inner, *around, cv2.BORDER_REPLICATE), np.uint8)
    colour = [float(value) for value in rng.integers(0, 256, 3)]
    return np.asarray(cv2.copyMakeBorder(inner, *around, cv2.BORDER_CONSTANT, value=colour), np.uint8)


def _shifted(scene: DetectionScene, x: int, y: int) -> DetectionScene:
    faces, ignored = (tuple(box.shifted(x, y) for box in boxes) for boxes in (scene.faces, scene.ignored))
    return DetectionScene(scene.image, faces, ignored)
