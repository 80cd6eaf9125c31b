"""Images that a program holds already, as PIL images or arrays, to upright RGB pixels, and pixels to a PIL image."""

from math import ceil
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facetag.errors import ImageTooLarge, UnsupportedImage
from facetag.images.decode import MAX_PIXELS, upright_rgb

_ARRAYS = "give RGB (H, W, 3), RGBA (H, W, 4) or grey (H, W) with values from 0 to 255"


def rgb_pixels(image: Any, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """The pixels (H, W, 3) upright RGB uint8 of a PIL image, whose EXIF orientation is applied, or of an array.

    Grey becomes RGB, transparent pixels are laid on white. Arrays are taken as RGB, never as BGR.

    >>> rgb_pixels(np.zeros((2, 3), np.uint8)).shape
    (2, 3, 3)

    Raises:
        UnsupportedImage: an array of another shape or type, or what is no image.
        UnreadableImage: a PIL image whose file is damaged.
        ImageTooLarge: more than max_pixels.
    """
    if isinstance(image, Image.Image):
        _refuse_too_large(*image.size, max_pixels)
        return upright_rgb(image)
    if not isinstance(image, np.ndarray):
        raise UnsupportedImage(f"a {type(image).__name__} is no image", "give a path, bytes, a PIL image or an array")
    if image.dtype != np.uint8:
        raise UnsupportedImage(f"an array of {image.dtype} is not supported", "scale it to 0..255 and .astype('uint8')")
    channels = image.shape[2] if image.ndim == 3 else 1
    if image.ndim not in (2, 3) or channels not in (1, 3, 4) or 0 in image.shape:
        shape = " x ".join(map(str, image.shape))
        raise UnsupportedImage(f"an array of {shape} is no image", _ARRAYS)
    _refuse_too_large(image.shape[1], image.shape[0], max_pixels)
    if image.ndim == 2 or channels == 1:
        return np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2)
    return upright_rgb(Image.fromarray(image)) if channels == 4 else np.ascontiguousarray(image)


def reduced(pixels: NDArray[np.uint8], side: float) -> NDArray[np.uint8]:
    """An eighth, a quarter or a half of the size when the longer side still has so many pixels then, else the pixels
    themselves: what `decode` makes of a JPEG, whose blocks it averages likewise.

    >>> reduced(np.zeros((30, 100, 3), np.uint8), 50).shape
    (15, 50, 3)
    """
    height, width = pixels.shape[:2]
    factor = next((each for each in (8, 4, 2) if max(height, width) >= each * ceil(side)), 1)
    if factor == 1:
        return pixels
    filled = np.pad(pixels, ((0, -height % factor), (0, -width % factor), (0, 0)), mode="edge")
    size = filled.shape[1] // factor, filled.shape[0] // factor
    return np.asarray(cv2.resize(filled, size, interpolation=cv2.INTER_AREA), np.uint8)


def pil_image(pixels: NDArray[np.uint8]) -> Image.Image:
    """A PIL image of pixels (H, W, 3)."""
    return Image.fromarray(pixels)


def _refuse_too_large(width: int, height: int, most: int) -> None:
    if width * height > most:
        raise ImageTooLarge(f"{width}x{height} is over {most} pixels", "raise max_pixels")
