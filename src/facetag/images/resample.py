"""Resizing and cropping of pixels. Images are RGB uint8 (H, W, 3); boxes may be fractional and reach outside."""

import cv2
import numpy as np
from numpy.typing import NDArray

from facetag.geometry import Box

Image = NDArray[np.uint8]


def resize(image: Image, width: int, height: int) -> Image:
    """Area averaging along a side that shrinks, then bilinear along one that grows.

    One after the other, because OpenCV averages over areas only when no side grows, and else leaves out pixels.
    """
    smaller = min(image.shape[1], width), min(image.shape[0], height)
    for size, interpolation in ((smaller, cv2.INTER_AREA), ((width, height), cv2.INTER_LINEAR)):
        if (image.shape[1], image.shape[0]) != size:
            image = np.asarray(cv2.resize(image, size, interpolation=interpolation), np.uint8)
    return image


def crop(image: Image, box: Box, width: int, height: int, turn: float = 0.0) -> Image:
    """The box, turned clockwise by `turn` degrees about its middle, resampled to width x height.

    Outside the image its edge is replicated. When the box shrinks, the image is averaged over areas first, so that
    a small window of a large photograph is not aliased.

    Shape: (H, W, 3) -> (height, width, 3).
    """
    image, box = _around(image, box, width, height, turn)
    scale_x, scale_y = width / box.width, height / box.height
    cosine, sine = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    x, y = box.center
    # pixel centres lie at half coordinates, and OpenCV counts pixel centres
    linear = np.array([[cosine * scale_x, sine * scale_x], [-sine * scale_y, cosine * scale_y]])
    shift = np.array([width / 2 - 0.5, height / 2 - 0.5]) - linear @ np.array([x - 0.5, y - 0.5])
    matrix = np.hstack([linear, shift[:, None]])
    warped = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, np.uint8)


def _around(image: Image, box: Box, width: int, height: int, turn: float) -> tuple[Image, Box]:
    """The part of the image that the turned box needs, shrunk where the box will shrink, and the box in it.

    Cut even where nothing shrinks: OpenCV 4's warpAffine takes no image with a side over 32,767.
    """
    shrink_x, shrink_y = max(box.width / width, 1.0), max(box.height / height, 1.0)
    if turn:
        shrink_x = shrink_y = min(shrink_x, shrink_y)
    cosine, sine = abs(np.cos(np.radians(turn))), abs(np.sin(np.radians(turn)))
    reach_x = box.width * cosine + box.height * sine + 4 * shrink_x
    reach_y = box.width * sine + box.height * cosine + 4 * shrink_y
    near = Box.around(*box.center, reach_x, reach_y)
    high, wide = image.shape[:2]
    left, top = int(np.clip(near.x, 0, wide - 1)), int(np.clip(near.y, 0, high - 1))
    right, bottom = int(np.clip(np.ceil(near.right), left + 1, wide)), int(np.clip(np.ceil(near.bottom), top + 1, high))
    part = image[top:bottom, left:right]
    small = resize(part, max(round(part.shape[1] / shrink_x), 1), max(round(part.shape[0] / shrink_y), 1))
    factor_x, factor_y = small.shape[1] / part.shape[1], small.shape[0] / part.shape[0]
    return small, box.shifted(-left, -top).scaled(factor_x, factor_y)
