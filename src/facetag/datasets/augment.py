"""Augmentation of pictures, on OpenCV. Images are RGB uint8 (H, W, 3); chance comes from a numpy Generator.

A dataset makes one Generator an example from (seed, epoch, index), so that an interrupted training continues with
the very pictures that it would have seen.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from facetag.images.resample import Image, resize

Generator = np.random.Generator


@dataclass(frozen=True)
class ColourSettings:
    """How far colours and sharpness wander; each chance is that of one change to one picture.

    Attributes:
        jitter: largest relative change of contrast and saturation, and of brightness as a share of 255.
        grey, blur, jpeg: chances of a grey picture, of a Gaussian blur and of JPEG compression.
        light, noise: chances of a light far too low, pale or harsh, and of a sensor's noise.
        shrunk: chance of fewer pixels: shrunk to between a quarter and all of its size, then enlarged again.
    """

    jitter: float = 0.0
    grey: float = 0.0
    blur: float = 0.0
    jpeg: float = 0.0
    light: float = 0.0
    noise: float = 0.0
    shrunk: float = 0.0


def flip(image: Image, rng: Generator) -> Image:
    """Mirrored left to right half of the time: none of the forty attributes names a side."""
    return np.ascontiguousarray(image[:, ::-1]) if rng.random() < 0.5 else image


def jitter_colour(image: Image, rng: Generator, settings: ColourSettings) -> Image:
    """Light, contrast, brightness, saturation, greyness, blur, noise and compression as the settings allow."""
    if settings.light and rng.random() < settings.light:  # who never changes light draws the same pictures as before
        image = relit(image, rng)
    if settings.jitter > 0:
        contrast, saturation = 1 + rng.uniform(-settings.jitter, settings.jitter, 2)
        brightness = rng.uniform(-settings.jitter, settings.jitter) * 255
        levels = np.clip(np.rint(np.arange(256) * contrast + brightness), 0, 255).astype(np.uint8)
        image = _uint8(cv2.LUT(image, levels))
        image = _uint8(cv2.addWeighted(image, saturation, grey(image), 1 - saturation, 0))
    if rng.random() < settings.grey:
        image = grey(image)
    if rng.random() < settings.blur:
        image = _uint8(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 0.012 * min(image.shape[:2]) + 0.6)))
    if settings.shrunk and rng.random() < settings.shrunk:
        image = coarser(image, rng)
    if settings.noise and rng.random() < settings.noise:
        image = noisy(image, rng)
    if rng.random() < settings.jpeg:
        image = compressed(image, int(rng.integers(25, 90)))
    return image


def relit(image: Image, rng: Generator) -> Image:
    """In the dark, in haze, or with what is bright burnt out; and darker or lighter in the middle tones."""
    kind, gamma = rng.integers(3), np.exp(rng.uniform(-0.8, 0.8))
    black, white = ((0.0, rng.uniform(0.1, 0.6)), (rng.uniform(0.2, 0.7), 1.0), (0.0, rng.uniform(1.2, 2.5)))[kind]
    levels = black + (white - black) * np.linspace(0, 1, 256) ** gamma
    return _uint8(cv2.LUT(image, np.clip(np.rint(255 * levels), 0, 255).astype(np.uint8)))


def coarser(image: Image, rng: Generator) -> Image:
    """As if it had been small: shrunk, and enlarged again."""
    height, width = image.shape[:2]
    factor = rng.uniform(0.25, 1.0)
    small = resize(image, max(round(width * factor), 1), max(round(height * factor), 1))
    return resize(small, width, height)


def noisy(image: Image, rng: Generator) -> Image:
    """With normal noise of its own in every pixel, the same in all colours or not."""
    shape = image.shape if rng.random() < 0.5 else (*image.shape[:2], 1)
    noise = rng.standard_normal(shape, np.float32) * np.float32(rng.uniform(4, 45))
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def grey(image: Image) -> Image:
    """The same picture without colour, still (H, W, 3)."""
    return _uint8(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB))


def compressed(image: Image, quality: int) -> Image:
    """The picture after JPEG compression of this quality (0 to 100)."""
    data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.ascontiguousarray(_uint8(cv2.imdecode(data, cv2.IMREAD_COLOR))[..., ::-1])


def _uint8(array: object) -> Image:
    return np.asarray(array, np.uint8)


def random_square(image: Image, rng: Generator, side: int, smallest: float = 0.4) -> Image:
    """A random square crop with between `smallest` and all of the shorter side, resized to side x side."""
    height, width = image.shape[:2]
    size = max(int(min(height, width) * rng.uniform(smallest, 1.0)), 1)
    top, left = rng.integers(height - size + 1), rng.integers(width - size + 1)
    return resize(image[top : top + size, left : left + size], side, side)


def center_square(image: Image, side: int) -> Image:
    """The largest central square, resized to side x side."""
    height, width = image.shape[:2]
    size = min(height, width)
    top, left = (height - size) // 2, (width - size) // 2
    return resize(image[top : top + size, left : left + size], side, side)


def one_of_ten_crops(image: Image, rng: Generator, side: int, margin: float = 0.875) -> Image:
    """One of the paper's ten patches (section 4): centre or a corner, mirrored or not."""
    square = center_square(image, round(side / margin))
    free = square.shape[0] - side
    top, left = ((0, 0), (0, free), (free, 0), (free, free), (free // 2, free // 2))[rng.integers(5)]
    return flip(square[top : top + side, left : left + side], rng)
