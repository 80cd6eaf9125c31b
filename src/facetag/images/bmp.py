"""BMP layouts that Pillow does not know, written anew in one that it does."""

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

_RLE8, _RLE4, _BITFIELDS, _ALPHA_BITFIELDS = 1, 2, 3, 6
_END_OF_RUNS, _DOWN = b"\0\1", b"\0\2\0\xff"  #: the latter passes over 255 rows
_DEPTHS = (0, 1, 2, 4, 8, 16, 24, 32, 64)  #: bits a pixel that some BMP has; 0 of one that holds a JPEG or a PNG
_BGRA = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)


def unsupported(data: bytes, reason: str) -> str:
    """What is not decoded of a BMP (or the one in an ICO) that Pillow refused for this reason; "" of a damaged one."""
    phrase = "Unsupported BMP"
    if not reason.startswith(phrase):
        return ""
    planes_and_bits = data[26:30] if data[14:15] != b"\x0c" else data[22:26]
    is_sound = data[:2] != b"BM" or any(planes_and_bits == struct.pack("<HH", 1, bits) for bits in _DEPTHS)
    return reason.removeprefix("Unsupported ") if is_sound else ""


def size_of(data: bytes) -> tuple[int, int]:
    """Width and height of a BMP whose header is sound; 0 and 0 of another."""
    try:
        size, width, height, planes, bits = struct.unpack_from("<IiiHH", data, 14)
    except struct.error:
        return 0, 0
    return (abs(width), abs(height)) if size >= 40 and planes == 1 and bits in _DEPTHS else (0, 0)


def in_common_layout(data: bytes) -> bytes:
    """The same picture with eight bits a channel, a palette no longer than its indices reach, or run lengths for
    every pixel.

    Returns:
        Nothing of a file that is in such a layout already, or in another that is not known here.
    """
    try:
        size, width, height, _, bits, compression = struct.unpack_from("<IiiHHI", data, 14)
        if size < 40:
            return b""
        if compression in (_RLE8, _RLE4):
            return _filled(data, abs(height))
        if bits <= 8:
            return _with_shorter_palette(data, bits)
        if bits not in (16, 32) or compression not in (_RLE8, _RLE4, _BITFIELDS, _ALPHA_BITFIELDS):
            return b""
        masks = struct.unpack_from("<IIII", data, 54)
        has_alpha = size >= 56 or compression == _ALPHA_BITFIELDS
        stored = _stored(data, width, abs(height), bits)
    except (struct.error, ValueError):
        return b""
    is_opaque = not (has_alpha and masks[3])
    pixels = np.zeros((*stored.shape, 4), np.uint8)
    for row, values in zip(pixels, stored, strict=True):
        for channel, mask in zip((2, 1, 0) if is_opaque else (2, 1, 0, 3), masks, strict=False):
            row[:, channel] = _channel(values, mask)
    header = struct.pack("<IiiHHI20x", 56, width, height, 1, 32, _BITFIELDS)
    header += struct.pack("<IIII", *_BGRA[:3], 0 if is_opaque else _BGRA[3])
    return b"".join((b"BM", struct.pack("<IHHI", 0, 0, 0, 14 + len(header)), header, pixels.data))


def _filled(data: bytes, height: int) -> bytes:
    """Run lengths that end before the last row leave the rest in the palette's first colour; Pillow wants it said."""
    (offset,) = struct.unpack_from("<I", data, 10)
    coded = data[offset:].rstrip(b"\0")  # padding
    is_ended = coded.endswith(_END_OF_RUNS)
    return data[:offset] + coded[:-2] + _DOWN * (height // 255 + 1) if is_ended else b""


def _with_shorter_palette(data: bytes, bits: int) -> bytes:
    (colours,) = struct.unpack_from("<I", data, 46)
    return data[:46] + struct.pack("<I", 1 << bits) + data[50:] if colours > 1 << bits else b""


def _stored(data: bytes, width: int, height: int, bits: int) -> NDArray[Any]:
    """(height, width) in the order of the file."""
    (offset,) = struct.unpack_from("<I", data, 10)
    wide = (width * bits + 31) // 32 * 32 // bits
    stored = np.frombuffer(data, f"<u{bits // 8}", wide * height, offset)
    return stored.reshape(height, wide)[:, :width]


def _channel(stored: NDArray[Any], mask: int) -> NDArray[np.uint8]:
    """The bits of a mask, scaled to eight."""
    if not mask:
        return np.zeros(stored.shape, np.uint8)
    lowest = mask & -mask
    values = (stored.astype(np.uint32) & np.uint32(mask)) // np.uint32(lowest)
    scaled: NDArray[np.uint8] = np.rint(values * (255 / (mask // lowest))).astype(np.uint8)
    return scaled
