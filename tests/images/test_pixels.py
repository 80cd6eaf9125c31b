"""What deep and odd pixels mean, and that a vast image is the same picture in less memory."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image
from test_decode import encoded, far, picture, tiff

from facetag.errors import ImageTooLarge, UnreadableImage, UnsupportedImage
from facetag.images import pixels as pixels_module
from facetag.images.bmp import in_common_layout
from facetag.images.decode import decode

DEEP = np.array([[0, 257 * 128, 65535]], "<u2")


def grey_tiff(values, sample_format=1, photometric=1):
    bits = 8 * values.dtype.itemsize
    data = tiff(width=values.shape[1], bits=(bits,), samples=1, sample_format=sample_format, body=values.tobytes())
    at = data.index(struct.pack("<HHII", 262, 3, 1, 1))
    return data[: at + 8] + struct.pack("<I", photometric) + data[at + 12 :]


@pytest.mark.parametrize(
    ("values", "sample_format", "photometric", "expected"),
    [
        (DEEP, 1, 0, [255, 127, 0]),
        (DEEP, 1, 1, [0, 128, 255]),
        (DEEP.astype("<u4") * 65537, 1, 1, [0, 128, 255]),
        (np.array([[0.0, 0.25, 1.0]], "<f4"), 3, 0, [255, 191, 0]),
        (np.array([[0, 100, 255]], "u1"), 1, 0, [255, 155, 0]),
    ],
)
def test_white_and_signs_are_as_a_tiff_says(values, sample_format, photometric, expected):
    assert decode(grey_tiff(values, sample_format, photometric)).pixels[0, :, 0].tolist() == expected


def big_endian_tiff(values, sample_format, compression):
    """Of one row and one strip; compression 1 (none) or 8 (deflate)."""
    stored = values.astype(values.dtype.newbyteorder(">")).tobytes()
    body = zlib.compress(stored) if compression == 8 else stored
    shorts = {258: 8 * values.dtype.itemsize, 259: compression, 262: 1, 277: 1, 339: sample_format}
    longs = {256: values.shape[1], 257: 1, 273: 8 + 2 + 12 * 10 + 4, 278: 1, 279: len(body)}
    entries = [struct.pack(">HHIHxx", tag, 3, 1, value) for tag, value in shorts.items()]
    entries += [struct.pack(">HHII", tag, 4, 1, value) for tag, value in longs.items()]
    return struct.pack(">2sHIH", b"MM", 42, 8, len(entries)) + b"".join(sorted(entries)) + bytes(4) + body


@pytest.mark.parametrize("compression", [1, 8])
@pytest.mark.parametrize(
    ("values", "sample_format"),
    [
        (DEEP, 1),
        (np.array([[-300, 12546, 25500]], "i2"), 2),
        (np.array([[-300, 12546, 25500]], "i4"), 2),
        (np.array([[0.0, 128 / 255, 1.0]], "f4"), 3),
    ],
)
def test_the_order_of_bytes_changes_no_picture(values, sample_format, compression):
    """Pillow turns what libtiff has turned already, where numbers are signed or floats."""
    expected = decode(grey_tiff(values.astype(values.dtype.newbyteorder("<")), sample_format)).pixels
    found = decode(big_endian_tiff(values, sample_format, compression)).pixels
    assert found[0, :, 0].tolist() == expected[0, :, 0].tolist() == [0, 127 + (values.dtype.kind != "i"), 255]


@pytest.mark.parametrize(
    ("values", "sample_format", "photometric", "words"),
    [
        (np.array([[0, 100, 255]], "u1"), 2, 1, "signed 8-bit"),
        (DEEP, 1, 32803, "colour filter array"),
        (DEEP, 1, 34892, "linear raw"),
        (np.zeros((1, 3), "<f8"), 3, 1, "such pixels"),
        (np.zeros((1, 3), "<i2"), 2, 0, "such pixels"),
    ],
)
def test_what_is_not_understood_is_unsupported(values, sample_format, photometric, words):
    with pytest.raises(UnsupportedImage, match=words):
        decode(grey_tiff(values, sample_format, photometric))


@pytest.mark.parametrize(("values", "photometric"), [(DEEP, 1), (DEEP.astype("u1"), 0)])
def test_reversed_bits_are_unsupported_where_they_are_not_understood(values, photometric):
    data = grey_tiff(values, photometric=photometric)
    rows, order = struct.pack("<HHII", 278, 3, 1, 1), struct.pack("<HHII", 266, 3, 1, 2)
    with pytest.raises(UnsupportedImage, match=r"^TIFF "):
        decode(data.replace(rows, order))


def test_a_palette_of_eight_bits_in_a_tiff():
    """The specification has sixteen."""
    image = Image.fromarray(picture()).quantize(64)
    data = encoded(image, "TIFF")
    with Image.open(io.BytesIO(data)) as opened:
        colours = opened.tag_v2[320]
    packed = struct.pack(f"<{len(colours)}H", *colours)
    assert data.count(packed) == 1
    narrow = struct.pack(f"<{len(colours)}H", *(colour >> 8 for colour in colours))
    for each in (data, data.replace(packed, narrow)):
        assert np.array_equal(decode(each).pixels, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize(
    ("compression", "words"), [(50001, "WebP"), (34712, "JPEG 2000"), (50002, "JPEG XL"), (999, "compression 999")]
)
def test_compressions_that_are_not_read_are_named(compression, words):
    data = grey_tiff(DEEP)
    at = data.index(struct.pack("<HHI", 259, 3, 1))
    with pytest.raises(UnsupportedImage, match=f"TIFF with {words} is not supported"):
        decode(data[: at + 8] + struct.pack("<I", compression) + data[at + 12 :])


def test_a_big_endian_bigtiff_is_named():
    with pytest.raises(UnsupportedImage, match="big-endian BigTIFF"):
        decode(b"MM\0+\0\x08\0\0" + bytes(7) + b"\x10" + bytes(40))


def test_a_tiff_that_does_not_say_what_its_pixels_mean():
    data = grey_tiff(DEEP).replace(struct.pack("<HH", 262, 3), struct.pack("<HH", 261, 3))
    with pytest.raises(UnsupportedImage, match="does not say"):
        decode(data)


def planar_tiff(planes, extra=(), compression=1):
    """Each sample in a plane and strip of its own; compression 1 (none) or 8 (deflate)."""
    bodies = [plane.tobytes() for plane in planes]
    bodies = [zlib.compress(body) for body in bodies] if compression == 8 else bodies
    count, (height, width) = len(planes), planes[0].shape
    head = b"II*\0" + struct.pack("<I", 8)
    entries = {256: [width], 257: [height], 258: [8 * planes[0].dtype.itemsize] * count, 259: [compression]}
    entries |= {262: [2 if count - len(extra) == 3 else 1], 277: [count], 278: [height], 284: [2]}
    entries |= {273: [], 279: [len(body) for body in bodies]} | ({338: list(extra)} if extra else {})
    at = 8 + 2 + 12 * len(entries) + 4
    start = at + 8 * count * 3
    entries[273] = [start + sum(map(len, bodies[:number])) for number in range(count)]
    directory, more = struct.pack("<H", len(entries)), b""
    for tag, values in sorted(entries.items()):
        packed = struct.pack(f"<{len(values)}I", *values)
        kind = 4 if tag in (273, 279) else 3
        packed = packed if kind == 4 else struct.pack(f"<{len(values)}H", *values)
        where = packed.ljust(4, b"\0") if len(packed) <= 4 else struct.pack("<I", at + len(more))
        more += b"" if len(packed) <= 4 else packed
        directory += struct.pack("<HHI", tag, kind, len(values)) + where
    return (head + directory + bytes(4) + more).ljust(start, b"\0") + b"".join(bodies)


@pytest.mark.parametrize("compression", [1, 8])
def test_planes_are_read_or_unsupported_and_never_another_picture(compression):
    """Pillow takes a plane of sixteen bits for one of eight, and does not meet the alpha of grey."""
    planes = list(np.moveaxis(picture(), 2, 0))
    np.testing.assert_array_equal(decode(planar_tiff(planes, compression=compression)).pixels, picture())
    deep = [plane.astype("<u2") * 257 for plane in planes]
    opaque = np.full_like(planes[0], 255)
    for refused, extra in ((deep, ()), ([*deep, deep[0]], (2,)), ([planes[0], opaque], (2,))):
        with pytest.raises(UnsupportedImage, match=r"TIFF (of such planes|with such pixels) is not supported"):
            decode(planar_tiff(refused, extra, compression))


def bitfields(masks, bits, size=56, compression=3):
    """A BMP of a picture in such channels."""
    channels = np.moveaxis(picture().astype(np.uint32), 2, 0)
    stored = np.zeros(channels.shape[1:], np.uint32)
    for channel, mask in zip(channels, masks, strict=False):
        low = mask & -mask
        stored |= np.rint(channel * (mask // low / 255)).astype(np.uint32) * np.uint32(low)
    body = stored.astype(f"<u{bits // 8}").tobytes()
    fields = struct.pack("<IiiHHI20x", size, 80, -48, 1, bits, compression)
    extra = struct.pack("<IIII", *masks, *(0,) * (4 - len(masks)))
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + len(fields + extra)) + fields + extra + body


@pytest.mark.parametrize(
    ("masks", "bits", "tolerance"),
    [
        ((0xFF00, 0xFF0000, 0xFF), 32, 0),
        ((0xFFE00000, 0x1FFC00, 0x3FF), 32, 1),
        ((0x7F, 0x3F80, 0x1FC000), 32, 2),
        ((0xF00, 0xF0, 0xF), 16, 9),
        ((0xF800, 0x7E0, 0x1F), 16, 5),
    ],
)
def test_bmps_of_any_channels(masks, bits, tolerance):
    assert far(decode(bitfields(masks, bits)).pixels, picture()) <= tolerance


def test_an_odd_bmp_of_too_many_pixels():
    """It is told before they are written anew."""
    data = bitfields((0xF00, 0xF0, 0xF), 16)
    with pytest.raises(ImageTooLarge, match="is over 3 pixels"):
        decode(data, max_pixels=3)


def test_a_palette_longer_than_its_indices_reach():
    data = bytearray(encoded(Image.fromarray(picture()).quantize(256), "BMP"))
    expected = decode(bytes(data)).pixels
    data[46:50] = struct.pack("<I", 70_000)
    np.testing.assert_array_equal(decode(bytes(data)).pixels, expected)


@pytest.mark.parametrize("bits", [2, 64])
def test_bmps_that_nobody_reads_are_unsupported(bits):
    data = bytearray(encoded(picture(), "BMP"))
    data[28:30] = struct.pack("<H", bits)
    assert in_common_layout(bytes(data)) == b""
    with pytest.raises(UnsupportedImage, match=rf"^BMP pixel depth \({bits}\)"):
        decode(bytes(data))


def run_length_bmp(runs, height=600):
    """Four pixels wide, of 256 colours."""
    palette = np.repeat(np.arange(256, dtype=np.uint8)[::-1, None], 4, axis=1).tobytes()
    header = struct.pack("<IiiHHI20x", 40, 4, height, 1, 8, 1)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + 40 + len(palette)) + header + palette + runs


ROWS = b"\4\x09\0\0\2\7\2\x08\0\0"


@pytest.mark.parametrize("runs", [ROWS + b"\0\1", ROWS + b"\0\1\0\0", b"\0\2\1\5\2\6\0\1", b"\0\1"])
def test_run_lengths_that_end_early_leave_the_first_colour(runs):
    data = run_length_bmp(runs)
    expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert expected[0, 0].tolist() == [255] * 3
    assert np.array_equal(decode(data).pixels, expected)


def test_run_lengths_without_an_end_are_damage():
    with pytest.raises(UnreadableImage, match="damaged BMP"):
        decode(run_length_bmp(ROWS))


def vast_samples():
    image = Image.fromarray(picture(60, 40))
    alpha = Image.fromarray(np.tile(np.arange(40, dtype=np.uint8) * 6, (60, 1)))
    clear = image.copy()
    clear.putalpha(alpha)
    exif = Image.Exif()
    exif[274] = 6
    for kind, options in (("PNG", {}), ("JPEG", {}), ("JPEG", {"progressive": True}), ("BMP", {}), ("PPM", {})):
        yield kind, encoded(image, kind, **options)
    for mode in ("L", "1", "P", "I;16", "LA"):
        yield mode, encoded(image.convert("L").convert(mode) if mode in ("I;16", "LA") else image.convert(mode), "PNG")
    yield "RGBA", encoded(clear, "PNG")
    yield "turned", encoded(image, "PNG", exif=exif)
    yield "CMYK", encoded(image.convert("CMYK"), "JPEG")
    yield "float", encoded(np.linspace(-3, 9, 2400, dtype=np.float32).reshape(60, 40), "TIFF", compression="tiff_lzw")
    yield "TIFF", encoded(image, "TIFF", tiffinfo={274: 6})
    yield "WEBP", encoded(clear, "WEBP", lossless=True)
    yield "AVIF", encoded(image, "AVIF", speed=10)


@pytest.mark.parametrize(
    ("name", "data"), list(vast_samples()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_vast_image_is_the_same_picture(monkeypatch, name, data):
    expected = decode(data).pixels
    monkeypatch.setattr(pixels_module, "_STRIP_PIXELS", 100)
    strips = decode(data).pixels
    monkeypatch.setattr(pixels_module, "VAST", 100)
    vast = decode(data, max_pixels=10**6).pixels
    for pixels in (strips, vast):
        np.testing.assert_array_equal(pixels, expected)
    assert vast.flags.c_contiguous and vast.flags.writeable


def test_what_takes_more_memory_than_its_pixels_are_allowed_is_too_large(monkeypatch):
    data = encoded(picture(), "WEBP")
    monkeypatch.setattr(pixels_module, "VAST", 1)
    with pytest.raises(ImageTooLarge, match=r"takes .* MB to decode, over 6 bytes a pixel allowed; raise --max-pixels"):
        decode(data, max_pixels=48 * 80)
    claims = []
    decode(data, max_pixels=4 * 48 * 80, claim=claims.append)
    assert claims == [16 * 48 * 80]


def test_sixteen_bits_of_a_pgm_are_its_full_range():
    for most in (65535, 4095):
        body = (DEEP // (65536 // (most + 1))).byteswap().tobytes()
        assert decode(b"P5 3 1 %d\n" % most + body).pixels[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize(("kind", "name"), [("PPM", ""), ("TGA", "a.TGA"), ("ICO", "favicon.jpg")])
def test_kinds_that_are_read_when_they_are_named(kind, name):
    options = {"sizes": [(80, 48)]} if kind == "ICO" else {}
    np.testing.assert_array_equal(decode(encoded(picture(), kind, **options), name=name).pixels, picture())


def test_an_icon_with_a_bomb_in_it():
    done, inner = cv2.imencode(".png", np.zeros((9, 9, 3), np.uint8))
    bomb = bytearray(inner.tobytes())
    bomb[16:24] = struct.pack(">II", 30_000, 30_000)
    with pytest.raises(ImageTooLarge, match="30000x30000"):
        decode(struct.pack("<HHHBBBBHHII", 0, 1, 1, 0, 0, 0, 0, 1, 32, len(bomb), 22) + bomb)
    assert done


def test_a_tga_of_fifteen_bits_is_named():
    header = struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, 4, 3, 15, 0x20)
    with pytest.raises(UnsupportedImage, match="TGA of 15 bits"):
        decode(header + bytes(24), name="a.tga")


def png(values, bits, colour_type, **chunks):
    """Of one row; values are packed already."""

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    samples = {0: 1, 2: 3, 3: 1}[colour_type]
    header = struct.pack(">IIBBBBB", 8 * len(values) // bits // samples, 1, bits, colour_type, 0, 0, 0)
    others = [chunk(name.encode(), body) for name, body in chunks.items()]
    parts = [chunk(b"IHDR", header), *others, chunk(b"IDAT", zlib.compress(b"\0" + values)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("values", "bits", "colour_type", "key", "expected"),
    [
        (b"\x1b", 2, 0, (1,), [0, 255, 170, 255]),
        (b"\x0f\x10", 4, 0, (1,), [0, 255, 255, 0]),
        (b"\x01\0\2\0", 16, 0, (256,), [255, 2]),
        (b"\x80\0" * 3 + b"\x10\0" * 3, 16, 2, (0x1000,) * 3, [128, 255]),
    ],
)
def test_the_transparent_colour_of_a_png_of_any_depth(values, bits, colour_type, key, expected):
    decoded = decode(png(values, bits, colour_type, tRNS=struct.pack(f">{len(key)}H", *key)))
    assert decoded.pixels[0, :, 0].tolist() == expected
    assert decoded.warning == ""


def test_a_png_without_its_palette_is_damaged():
    values = bytes(range(8))
    assert decode(png(values, 8, 3, PLTE=bytes(range(24)))).pixels[0, 1].tolist() == [3, 4, 5]
    with pytest.raises(UnreadableImage, match="damaged PNG file"):
        decode(png(values, 8, 3))
