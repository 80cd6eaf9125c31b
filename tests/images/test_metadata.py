"""Sound pixels are used whatever lies beside them, with a warning; which way is up, and colours, stay known."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from test_decode import encoded, picture

from facetag.errors import UnreadableImage
from facetag.images.decode import decode

EXIF = Image.Exif()
EXIF[274] = 6
LARGE = b"x" * 3_000_000
PNG, JPEG = encoded(picture(), "PNG"), encoded(picture(), "JPEG", quality=95)
TURNED = {"PNG": encoded(picture(), "PNG", exif=EXIF), "JPEG": encoded(picture(), "JPEG", quality=95, exif=EXIF)}
CMYK = encoded(Image.fromarray(picture()).convert("CMYK"), "JPEG", quality=95)
WEBP = encoded(picture(), "WEBP", lossless=True, exif=EXIF.tobytes(), xmp=b"<x/>" * 40, icc_profile=b"i" * 998)
GIF = encoded(picture(), "GIF")


def chunk(name, body, crc=None):
    crc = zlib.crc32(name + body) if crc is None else crc
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", crc)


def png(*chunks, base=PNG):
    return base[:33] + b"".join(chunks) + base[33:]


def segment(marker, body, base=JPEG):
    return base[:2] + bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body + base[2:]


def gif(extension):
    at = 13 + (3 << (GIF[10] & 7) + 1)
    return GIF[:at] + extension + GIF[at:]


def resized(chunk_name, size):
    at = WEBP.index(chunk_name) + 4
    return WEBP[:at] + struct.pack("<I", size) + WEBP[at + 4 :]


BAD = {
    "zTXt": (png(chunk(b"zTXt", b"prompt\0\0" + zlib.compress(LARGE))), PNG),
    "iTXt": (png(chunk(b"iTXt", b"prompt\0\1\0\0\0" + zlib.compress(LARGE))), PNG),
    "XMP": (png(chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(LARGE))), PNG),
    "ICC": (png(chunk(b"iCCP", b"p\0\0" + zlib.compress(LARGE))), PNG),
    "text behind the pixels": (PNG[:-12] + chunk(b"zTXt", b"a\0\0" + zlib.compress(LARGE)) + PNG[-12:], PNG),
    "gAMA": (png(chunk(b"gAMA", b"")), PNG),
    "pHYs": (png(chunk(b"pHYs", b"\0")), PNG),
    "cHRM": (png(chunk(b"cHRM", b"\0")), PNG),
    "tRNS": (png(chunk(b"tRNS", b"\0")), PNG),
    "acTL": (png(chunk(b"acTL", b"\0")), PNG),
    **{f"checksum of {n}": (png(chunk(n.encode(), bytes(30), 7)), PNG) for n in ("tEXt", "tIME", "eXIf", "bKGD")},
    "turned PNG": (png(chunk(b"gAMA", b""), base=TURNED["PNG"]), TURNED["PNG"]),
    "APP2": (segment(0xE2, b"ICC_PROFILE\0"), JPEG),
    "APP13": (segment(0xED, b"Photoshop 3.0\x008BIM\x03\xed"), JPEG),
    "APP0": (segment(0xE0, b"JFIF"), JPEG),
    "APP14": (segment(0xEE, b"Adobe"), JPEG),
    "turned JPEG": (segment(0xE2, b"ICC_PROFILE\0", TURNED["JPEG"]), TURNED["JPEG"]),
    "CMYK": (segment(0xE2, b"ICC_PROFILE\0", CMYK), CMYK),
    "size of XMP": (resized(b"XMP ", 10**6), WEBP),
    "size of ICC": (resized(b"ICCP", 10**8), encoded(picture(), "WEBP", lossless=True, exif=EXIF.tobytes())),
    "control": (gif(b"!\xf9\1\0\0"), GIF),
    "no blocks": (gif(b"!\xf9\0"), GIF),
    "application": (gif(b"!\xff\x0bNETSCAPE2.0\0"), GIF),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_metadata_is_left_out(name):
    data, sound = BAD[name]
    decoded, expected = decode(data), decode(sound)
    np.testing.assert_array_equal(decoded.pixels, expected.pixels)
    assert "metadata" in decoded.warning and expected.warning == ""
    with pytest.raises(UnreadableImage, match="metadata"):
        decode(data, strict=True)


def test_metadata_and_an_early_end_at_once():
    decoded = decode(segment(0xE2, b"ICC_PROFILE\0", TURNED["JPEG"])[:-200])
    assert "metadata" in decoded.warning and "truncated" in decoded.warning
    assert decoded.pixels.shape == (80, 48, 3)


def test_a_tiffs_other_tags_are_no_pixels():
    data = encoded(picture(), "TIFF", tiffinfo={296: 3, 282: 72.0, 283: 72.0})
    at = data.index(struct.pack("<HH", 282, 5))
    broken = data[: at + 2] + struct.pack("<H", 2) + data[at + 4 :]  # a resolution that is a text
    np.testing.assert_array_equal(decode(broken).pixels, picture())
