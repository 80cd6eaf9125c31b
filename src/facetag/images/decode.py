"""Image bytes to upright RGB pixels; with discover, the only place that opens image files.

Pillow's readers are called by kind, not through `Image.open`: it guesses among fifty formats, and it warns of large
images by a process-wide limit. OpenCV decodes a JPEG some 25 % faster, but its libjpeg writes to standard error.
"""

import contextlib
import ctypes
import io
import logging
import os
import stat
import struct
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
    _imaging,
)

from facetag.errors import ImageError, ImageTooLarge, UnreadableImage, UnsupportedImage
from facetag.images.file_types import AVIF, BMP, GIF, HEAD_BYTES, HEIC, JPEG, PNG, TIFF, WEBP, kind_of
from facetag.images.orient import is_turned, upright

DECODER_VERSION = 1
CHANGED: frozenset[str] = frozenset()
MAX_PIXELS = 200_000_000
MAX_BYTES = 1 << 31  #: of a file; MAX_PIXELS of 16 bits, uncompressed, have little over half as many

Opener = Callable[[io.BytesIO], ImageFile.ImageFile]

_OPENERS: dict[str, Opener] = {
    JPEG: JpegImagePlugin.JpegImageFile,
    PNG: PngImagePlugin.PngImageFile,
    WEBP: WebPImagePlugin.WebPImageFile,
    BMP: BmpImagePlugin.BmpImageFile,
    TIFF: TiffImagePlugin.TiffImageFile,
    GIF: GifImagePlugin.GifImageFile,
    AVIF: AvifImagePlugin.AvifImageFile,
}

#: What Pillow's readers let through on hostile bytes.
_DAMAGE = (
    OSError, EOFError, SyntaxError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError,
    RuntimeError, AssertionError, BufferError, struct.error, zlib.error,
)  # fmt: skip

_ORIENTATION, _BITS_PER_SAMPLE, _SUBFILE_TYPE, _DNG_VERSION = 274, 258, 254, 50706
_JPEG_END = b"\xff\xd9"
_STRIP_PIXELS = 1 << 16
_DEEP_GREY = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
_SHALLOW = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV")


def _silence_readers() -> None:
    """What Pillow and libtiff remark about odd files reaches neither the user's terminal nor a decision here.

    Pillow has no words for libtiff's handlers, so they are set in the copy that Pillow has loaded.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    library = ctypes.CDLL(_imaging.__file__)
    for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
        if hasattr(library, name):
            library[name](None)


_silence_readers()  # once, at import: a switch thrown for each image would be seen by other threads


@dataclass(frozen=True, eq=False)
class Decoded:
    """An image in memory.

    Attributes:
        pixels: (H, W, 3) uint8 RGB, upright, C-contiguous, writable.
        width, height: of the whole image, upright; `pixels` has these unless it was decoded smaller.
        warning: one line; empty unless something was amiss that did not keep the pixels from being used.
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int
    warning: str = ""


@dataclass(frozen=True, eq=False)
class File:
    """A file's bytes.

    Attributes:
        data: all of them, or the first HEAD_BYTES of a file that is not `whole`: those are no image's.
        size, mtime_ns: of the file, as the system said before they were read.
    """

    data: bytes
    whole: bool
    size: int
    mtime_ns: int


def read_image(path: str, *, max_pixels: int = MAX_PIXELS, strict: bool = False) -> Decoded:
    """Read a file and decode it; see `read_file` and `decode`, which say what is raised."""
    return decode(read_file(path).data, max_pixels=max_pixels, strict=strict)


def read_file(path: str) -> File:
    """Read a file.

    The path goes through Python alone, so every name that the system allows works. The rest of a file is read only
    when its first bytes say image that is decoded here; FIFOs, devices and folders are never opened.

    Raises:
        UnreadableImage: no such file, no permission, not a regular file, or a disk that does not give it.
        ImageTooLarge: more than MAX_BYTES, or than memory holds.
    """
    try:
        _refuse_what_is_no_file(path)
        with open(path, "rb") as stream:
            status = os.fstat(stream.fileno())
            data = stream.read(HEAD_BYTES)
            whole = _is_decodable(data)
            if whole and status.st_size > MAX_BYTES:
                raise ImageTooLarge(f"{status.st_size} bytes are over {MAX_BYTES}", "make it smaller")
            if whole:
                stream.seek(0)
                data = stream.read()
            return File(data, whole, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise UnreadableImage(error.strerror or "cannot be read") from error
    except ValueError as error:
        raise UnreadableImage("no file can have this name") from error
    except MemoryError as error:
        raise ImageTooLarge("not enough memory to read the file") from error


def _is_decodable(head: bytes) -> bool:
    try:
        _opener_for(head)
    except ImageError:
        return False
    return True


def _refuse_what_is_no_file(path: str) -> None:
    """A folder gets here when it cannot be listed: the system then says why."""
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        os.scandir(path).close()
    if not stat.S_ISREG(mode):
        raise UnreadableImage("not a regular file")


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS, strict: bool = False, side: int = 0) -> Decoded:
    """Decode an image file's bytes to upright RGB.

    EXIF orientation is applied. Transparent pixels are laid on white. Greyscale, palette and CMYK become RGB; 16-bit
    becomes 8-bit by its full range; floats and 32-bit integers are taken as [0, 1] or [0, 255] when they lie
    inside, else stretched from their least to their largest. Of several frames the first counts. The pixels are a
    function of the bytes alone, and any number of threads may decode at once.

    Args:
        max_pixels: images of more are refused by their header, before their pixels are allocated.
        strict: refuse a truncated JPEG instead of decoding it as far as it goes.
        side: a JPEG is decoded at a half, a quarter or an eighth of its size when its longer side still has so many
            pixels then, which takes a fraction of the time; 0 = whole.

    Raises:
        UnreadableImage: empty, not an image, or damaged.
        UnsupportedImage: an image of a kind that is not decoded here.
        ImageTooLarge: more than max_pixels, or more than memory holds.
    """
    kind, opener = _opener_for(data[:HEAD_BYTES])
    try:
        if kind != JPEG:
            return _decoded(data, opener, max_pixels)
        return _decode_jpeg(data, opener, max_pixels, strict, side)
    except MemoryError as error:
        raise ImageTooLarge("not enough memory to decode the image") from error
    except Image.DecompressionBombError as error:
        raise ImageTooLarge("more pixels than Pillow decodes at once") from error
    except _DAMAGE as error:
        if kind == TIFF and "unknown pixel mode" in str(error):  # colours in floats, say
            raise UnsupportedImage("TIFF with such pixels is not supported", "convert it to JPEG or PNG") from error
        raise UnreadableImage(f"damaged {kind} file") from error


def _opener_for(head: bytes) -> tuple[str, Opener]:
    """The kind that a file begins as, and what opens it."""
    kind = kind_of(head)
    if kind in _OPENERS:
        return kind, _OPENERS[kind]
    if kind == HEIC:
        return kind, _heic_opener()
    if kind:
        raise UnsupportedImage(f"{kind} is not supported", "convert it to JPEG or PNG")
    raise UnreadableImage("not an image" if head else "the file is empty")


def _heic_opener() -> Opener:
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        raise UnsupportedImage("HEIC needs an extra", "pip install 'facetag[heic]'") from error
    opener: Opener = HeifImageFile
    return opener


def _decode_jpeg(data: bytes, opener: Opener, max_pixels: int, strict: bool, side: int) -> Decoded:
    """A JPEG that ends early gets an end marker: libjpeg then gives what it has, of progressive files as well.

    Pillow's own switch for this is process-wide, and gives nothing of a progressive file.
    """
    try:
        return _decoded(data, opener, max_pixels, side)
    except OSError:
        if strict:
            raise
    for kept in (data, data[: _last_segment(data)]):
        with contextlib.suppress(OSError):
            decoded = _decoded(kept + _JPEG_END, opener, max_pixels, side)
            return replace(decoded, warning="truncated JPEG, decoded as far as it goes")
    raise UnreadableImage("damaged JPEG file")


def _last_segment(data: bytes) -> int:
    """Where the last Huffman table or scan header begins: a file cut inside one is used up to there."""
    return max(data.rfind(b"\xff\xc4"), data.rfind(b"\xff\xda"), 0)


def _decoded(data: bytes, opener: Opener, max_pixels: int, side: int = 0) -> Decoded:
    with opener(io.BytesIO(data)) as image:
        width, height = image.size
        if width * height > max_pixels:
            raise ImageTooLarge(f"{width}x{height} is over {max_pixels} pixels", "raise --max-pixels")
        _refuse_camera_raw(image)
        if side:
            _shrink(image, side)
        image.load()
        orientation = _orientation(image)
        pixels = upright(_rgb(image), orientation)
        return Decoded(pixels, *((height, width) if is_turned(orientation) else (width, height)))


def _shrink(image: ImageFile.ImageFile, side: int) -> None:
    """Have a JPEG decoded smaller: its blocks of 8 x 8 can come as 4 x 4, 2 x 2 or 1."""
    factor = next((each for each in (8, 4, 2) if max(image.size) >= each * side), 1)
    if factor > 1:
        image.draft(image.mode, (max(image.width // factor, 1), max(image.height // factor, 1)))


def _refuse_camera_raw(image: ImageFile.ImageFile) -> None:
    """NEF, ARW and DNG files are TIFFs whose first image is a thumbnail; tagging that would pass for the photograph."""
    if isinstance(image, TiffImagePlugin.TiffImageFile) and (
        image.tag_v2.get(_SUBFILE_TYPE) == 1 or _DNG_VERSION in image.tag_v2
    ):
        raise UnsupportedImage("camera raw is not supported", "convert it to JPEG or PNG")


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 where it is absent or its block is damaged: that alone spoils no photograph."""
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except _DAMAGE:
        return 1


def _rgb(image: Image.Image) -> NDArray[np.uint8]:
    """(H, W, 3) as stored, whatever Pillow's mode."""
    if image.mode in _DEEP_GREY:
        return np.repeat(_eight_bits(image)[:, :, None], 3, axis=2)
    if image.mode not in _SHALLOW:
        raise UnsupportedImage(f"{image.mode} pixels are not supported", "convert it to JPEG or PNG")
    return _rgb_by_strips(image)


def _rgb_by_strips(image: Image.Image) -> NDArray[np.uint8]:
    """A few rows at a time: Pillow hands over pieces that fit a cache four times as fast as a whole photograph."""
    width, height = image.size
    pixels = np.empty((height, width, 3), np.uint8)
    rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, rows):
        strip = _on_white(image.crop((0, top, width, min(top + rows, height))))
        pixels[top : top + rows] = np.asarray(strip)
    return pixels


def _on_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    layer = image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(layer, mask=layer)
    return white


def _eight_bits(image: Image.Image) -> NDArray[np.uint8]:
    """Grey of more than eight bits, (H, W)."""
    values = np.nan_to_num(np.asarray(image).astype(np.float32))
    low, high = _range(image, values)
    scaled = (values - low) * (255.0 / (high - low))
    clipped: NDArray[np.uint8] = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return clipped


def _range(image: Image.Image, values: NDArray[np.float32]) -> tuple[float, float]:
    """What black and white are."""
    if image.mode.startswith("I;16"):
        bits = image.tag_v2.get(_BITS_PER_SAMPLE, (16,))[0] if isinstance(image, TiffImagePlugin.TiffImageFile) else 16
        return 0.0, 2.0**bits - 1
    least, most = float(values.min()), float(values.max())
    if least >= 0 and most <= 255:
        return 0.0, 1.0 if most <= 1 else 255.0
    return least, most if most > least else least + 1
