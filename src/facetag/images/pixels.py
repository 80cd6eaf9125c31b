"""From a reader's image to (H, W, 3) uint8 RGB, in little more memory than one of the two takes.

Pillow keeps colours in four bytes a pixel. Of a vast image it decodes into memory that is ours, and the three bytes a
pixel that are wanted are written over the four that they come from.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, TiffImagePlugin

from facetag.errors import UnsupportedImage
from facetag.images import tiff
from facetag.images.file_types import AVIF, GIF, HEIC, ICO, JPEG, PNG, PNM, TIFF, WEBP

VAST = 16_000_000  #: pixels; more are decoded into memory of our own
AGAIN = 50_000_000  #: pixels; of larger JPEGs that are decoded smaller, room is kept for decoding them whole
#: Bytes a pixel that an image may take while it is decoded, for each pixel of --max-pixels.
MOST_BYTES = 6

_STRIP_PIXELS = 1 << 16
_ONE_BYTE, _FOUR_BYTES = ("1", "L", "P"), ("LA", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV")
_SHALLOW = (*_ONE_BYTE, *_FOUR_BYTES)
_SIXTEEN_BITS, _DEEP = ("I;16", "I;16L", "I;16B", "I;16N"), ("I", "F")
#: Bytes a pixel that these readers hold beside what Pillow does: whole canvases, planes, and copies of them.
_EXTRA_BYTES = {WEBP: 12, AVIF: 8, HEIC: 8}


def budget(max_pixels: int) -> int:
    """Bytes that may be taken by images at a time: MOST_BYTES for each of so many pixels, and always enough for one
    that is not vast."""
    return MOST_BYTES * max(max_pixels, VAST)


def bytes_to_decode(kind: str, image: ImageFile.ImageFile, width: int, height: int) -> int:
    """The most memory that an opened image takes until its pixels are RGB and upright.

    Args:
        width, height: as the file says; a JPEG that is decoded smaller has others by now.
    """
    pixels, per_pixel = image.width * image.height, 7
    if width * height > AGAIN:
        pixels = width * height
    if image.mode in _ONE_BYTE:
        per_pixel = 4
    elif image.mode in _SIXTEEN_BITS:
        per_pixel = 5
    elif _is_mapped(kind, image):
        per_pixel = 4
    taken = pixels * (per_pixel + _EXTRA_BYTES.get(kind, 0))
    if kind == JPEG:
        taken += round(width * height * _coefficient_bytes(image))
    if kind == TIFF:
        taken += _strip_bytes(image)
    return max(taken, pixels * MOST_BYTES)  # as much as turning it upright takes


def _coefficient_bytes(image: ImageFile.ImageFile) -> float:
    """Bytes a pixel that libjpeg holds of a JPEG whose scans are several."""
    layers: list[tuple[int, int, int, int]] = getattr(image, "layer", [])
    if not image.info.get("progressive") or not layers:
        return 0.0
    most = max(vertical for _, vertical, _, _ in layers) * max(horizontal for _, _, horizontal, _ in layers)
    return 2.0 * sum(vertical * horizontal for _, vertical, horizontal, _ in layers) / max(most, 1)


def _strip_bytes(image: ImageFile.ImageFile) -> int:
    """What libtiff unpacks at once of a compressed TIFF."""
    assert isinstance(image, TiffImagePlugin.TiffImageFile)
    tags, (width, height) = image.tag_v2, image.size
    if tags.get(tiff.COMPRESSION, 1) == 1:
        return 0
    bits = tags.get(tiff.BITS, (1,))
    rows = min(int(tags.get(tiff.TILE_HEIGHT, tags.get(tiff.ROWS, height))), max(width, height))
    turned = 4 * width * height if _is_turned_tiff(image) else 0
    return turned + rows * width * sum(bits) // 8


def _is_turned_tiff(image: ImageFile.ImageFile) -> bool:
    """Whether Pillow turns it upright itself."""
    return isinstance(image, TiffImagePlugin.TiffImageFile) and image.tag_v2.get(tiff.ORIENTATION, 1) != 1


def _is_mapped(kind: str, image: ImageFile.ImageFile) -> bool:
    """Whether it is decoded into memory of our own: vast, four bytes a pixel, and by Pillow's common way."""
    return (
        image.width * image.height > VAST
        and kind not in (GIF, HEIC, ICO)
        and image.mode in (*_FOUR_BYTES, *_DEEP)
        and not _is_turned_tiff(image)
    )


def load_rgb(kind: str, image: ImageFile.ImageFile) -> NDArray[np.uint8]:
    """Decode an opened image: (H, W, 3) as stored, whatever Pillow's mode, C-contiguous and writable.

    Transparent pixels are laid on white. Grey of 16 bits is taken by its full range; floats and 32-bit integers as
    [0, 1] or [0, 255] when they lie inside, else from their least to their largest.

    Raises:
        UnsupportedImage: of pixels that are not understood.
    """
    if kind == PNG:
        _heed_png(image)
    if not _is_mapped(kind, image):
        return rgb_of(image, kind)
    memory = _map(image)
    _load(image)
    _convert(kind, image, memory)
    image.im = None  # type: ignore[assignment]  # it lies in the memory that is cut off here
    memory.resize(3 * image.width * image.height, refcheck=False)
    return memory.reshape(image.height, image.width, 3)


def _heed_png(image: ImageFile.ImageFile) -> None:
    """Of a PNG that is not decoded yet: Pillow takes no palette for a black one, and does not scale the transparent
    colour as it does the pixels."""
    if image.mode == "P" and image.palette is None:
        raise ValueError("no palette")
    layout, colour = image.tile[0].args if image.tile else "", image.info.get("transparency")
    if colour is None:
        return
    if layout in ("L;2", "L;4"):
        image.info["transparency"] = colour * (85 if layout == "L;2" else 17)
    elif layout == "RGB;16B":
        image.info["transparency"] = tuple(value >> 8 for value in colour)


def rgb_of(image: Image.Image, kind: str = "") -> NDArray[np.uint8]:
    """As `load_rgb`, and the image stays as it is.

    Raises:
        UnsupportedImage: of pixels that are not understood.
    """
    _load(image)
    pixels = np.empty(3 * image.width * image.height, np.uint8)
    _convert(kind, image, pixels)
    return pixels.reshape(image.height, image.width, 3)


def _load(image: Image.Image) -> None:
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        tiff.expect_native_order(image)
        tiff.expect_narrow_palette(image)
    image.load()
    if image.mode not in (*_SHALLOW, *_SIXTEEN_BITS, *_DEEP):
        raise UnsupportedImage(f"{image.mode} pixels are not supported", "convert it to JPEG or PNG")
    _refuse_what_is_not_understood(image)


def _map(image: ImageFile.ImageFile) -> NDArray[np.uint8]:
    """Memory of our own under an image that is not decoded yet."""
    memory = np.empty(4 * image.width * image.height, np.uint8)
    core: Any = Image.core  # type: ignore[attr-defined]  # as `Image.frombuffer` does it, which knows fewer modes
    image.im = core.map_buffer(memory, image.size, "raw", 0, (image.mode, 0, 1))
    return memory


def _refuse_what_is_not_understood(image: Image.Image) -> None:
    if isinstance(image, TiffImagePlugin.TiffImageFile) and (what := tiff.refused_pixels(image.tag_v2, image.mode)):
        raise UnsupportedImage(f"{what} is not supported", "convert it to JPEG or PNG")


def _convert(kind: str, image: Image.Image, pixels: NDArray[np.uint8]) -> None:
    """Into `pixels` (3 H W or longer), a few rows at a time: Pillow hands over pieces that fit a cache four times as
    fast as a whole photograph, and what a piece is written over has been read by then."""
    width, height = image.size
    is_deep = image.mode not in _SHALLOW
    low, high = _range(kind, image) if is_deep else (0.0, 255.0)
    rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(top + rows, height)))
        part = pixels[3 * width * top :][: 3 * width * strip.height].reshape(strip.height, width, 3)
        if is_deep:
            values = _values(image, strip)
            part[...] = _eight_bits(values, low, high)[:, :, None]
            if kind == PNG and "transparency" in image.info:
                part[values == image.info["transparency"]] = 255
        else:
            part[...] = np.asarray(_on_white(strip))


def _on_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    layer = image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(layer, mask=layer)
    return white


def _values(image: Image.Image, strip: Image.Image) -> NDArray[np.float32]:
    """Of a strip of deep grey, as its file means them."""
    values = np.asarray(strip)
    if _is(image, tiff.SAMPLE_FORMAT, tiff.UNSIGNED) and strip.mode == "I":
        values = values.view(np.uint32)
    return np.nan_to_num(values.astype(np.float32))


def _is(image: Image.Image, tag: int, value: int) -> bool:
    """Whether a TIFF's tag has this value; sample formats are a tuple, and unsigned where they are not given."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return False
    given = image.tag_v2.get(tag, tiff.UNSIGNED if tag == tiff.SAMPLE_FORMAT else None)
    return bool((given[0] if isinstance(given, tuple) else given) == value)


def _eight_bits(values: NDArray[np.float32], low: float, high: float) -> NDArray[np.uint8]:
    """Grey of more than eight bits, (H, W)."""
    scaled = (values - low) * (255.0 / (high - low))
    clipped: NDArray[np.uint8] = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return clipped


def _range(kind: str, image: Image.Image) -> tuple[float, float]:
    """What black and white are, in this order: white is the least where a TIFF says so."""
    low, high = _dark_and_light(kind, image)
    return (high, low) if _is(image, tiff.PHOTOMETRIC, tiff.WHITE_IS_ZERO) else (low, high)


def _dark_and_light(kind: str, image: Image.Image) -> tuple[float, float]:
    if image.mode in _SIXTEEN_BITS:
        bits = image.tag_v2.get(tiff.BITS, (16,))[0] if isinstance(image, TiffImagePlugin.TiffImageFile) else 16
        return 0.0, 2.0**bits - 1
    if kind == PNM and image.mode == "I":
        return 0.0, 65535.0
    least, most = _extremes(image)
    if least >= 0 and most <= 255:
        return 0.0, 1.0 if most <= 1 else 255.0
    return least, most if most > least else least + 1


def _extremes(image: Image.Image) -> tuple[float, float]:
    least, most, (width, height) = np.inf, -np.inf, image.size
    rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, rows):
        values = _values(image, image.crop((0, top, width, min(top + rows, height))))
        least, most = min(least, float(values.min())), max(most, float(values.max()))
    return least, most
