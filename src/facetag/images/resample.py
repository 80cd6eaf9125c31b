"""Resizing and cropping of pixels. Images are RGB uint8 (H, W, 3); boxes may be fractional and reach outside."""

import cv2
import numpy as np
from numpy.typing import NDArray

from facetag.geometry import Box

Image = NDArray[np.uint8]


def resize(image: Image, width: int, height: int) -> Image:
    """Area averaging when a side shrinks, bilinear otherwise."""
    if (image.shape[1], image.shape[0]) == (width, height):
        return image
    shrinks = width < image.shape[1] or height < image.shape[0]
    resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(resized, np.uint8)


def crop(image: Image, box: Box, width: int, height: int, turn: float = 0.0) -> Image:
    """The box, turned by `turn` degrees about its middle, resampled once to width x height.

    Outside the image its edge is replicated. When the box shrinks, the image is averaged over areas first, so that
    a small window of a large photograph is not aliased.

    Shape: (H, W, 3) -> (height, width, 3).
    """
    shrink = min(box.width / width, box.height / height)
    if shrink > 1:
        image, box = _around(image, box, shrink)
    scale_x, scale_y = width / box.width, height / box.height
    cosine, sine = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    x, y = box.center
    # pixel centres lie at half coordinates, and OpenCV counts pixel centres
    linear = np.array([[cosine * scale_x, sine * scale_x], [-sine * scale_y, cosine * scale_y]])
    shift = np.array([width / 2 - 0.5, height / 2 - 0.5]) - linear @ np.array([x - 0.5, y - 0.5])
    matrix = np.hstack([linear, shift[:, None]])
    warped = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.uint8)


def _around(image: Image, box: Box, shrink: float) -> tuple[Image, Box]:
    """The part of the image near the box, shrunk by about `shrink`, and the box in it."""
    high, wide = image.shape[:2]
    near = box.enlarged(1.5)
    left, top = int(np.clip(near.x, 0, wide - 1)), int(np.clip(near.y, 0, high - 1))
    right, bottom = int(np.clip(np.ceil(near.right), left + 1, wide)), int(np.clip(np.ceil(near.bottom), top + 1, high))
    part = image[top:bottom, left:right]
    width, height = max(round(part.shape[1] / shrink), 1), max(round(part.shape[0] / shrink), 1)
    moved = box.shifted(-left, -top).scaled(width / part.shape[1], height / part.shape[0])
    return resize(part, width, height), moved
