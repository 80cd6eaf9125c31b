"""The eight EXIF orientations: from pixels as stored to pixels upright."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facetag.geometry import Box

#: Orientation -> (transpose first?, OpenCV's flip code after it: 0 up-down, 1 left-right, -1 both).
_STEPS: dict[int, tuple[bool, int | None]] = {
    1: (False, None),
    2: (False, 1),
    3: (False, -1),
    4: (False, 0),
    5: (True, None),
    6: (True, 1),
    7: (True, -1),
    8: (True, 0),
}

#: The orientation that undoes each: `upright(upright(p, o), INVERSE[o])` is p.
INVERSE = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}


def is_turned(orientation: int) -> bool:
    """Whether width and height as stored are height and width of the upright image."""
    return _STEPS.get(orientation, (False, None))[0]


def upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn and mirror stored pixels upright.

    OpenCV's transpose and flip, because numpy's strided copy of a 12-megapixel photograph takes five times as long.

    Args:
        pixels: (H, W) or (H, W, C) as stored.
        orientation: EXIF tag 274; anything but 2 to 8 leaves the pixels as they are.

    Returns:
        C-contiguous; (W, H, ...) for 5 to 8. The input itself where there is nothing to do.
    """
    transpose, flip = _STEPS.get(orientation, (False, None))
    if transpose:
        pixels = np.asarray(cv2.transpose(pixels))
        return pixels if flip is None else np.asarray(cv2.flip(pixels, flip, dst=pixels))  # no third copy
    return pixels if flip is None else np.asarray(cv2.flip(pixels, flip))


def stored_box(box: Box, width: float, height: float, orientation: int) -> Box:
    """A box of the upright image, in the image as stored: what `upright` does to pixels, undone for a box.

    Args:
        box: in the unit of width and height.
        width, height: of the upright image.
        orientation: EXIF tag 274, as for `upright`.

    >>> stored_box(Box(0, 0, 1, 2), width=10, height=20, orientation=6)
    Box(x=0, y=9, width=2, height=1)
    """
    transpose, flip = _STEPS.get(orientation, (False, None))
    x = width - box.right if flip in (1, -1) else box.x
    y = height - box.bottom if flip in (0, -1) else box.y
    return Box(y, x, box.height, box.width) if transpose else Box(x, y, box.width, box.height)
