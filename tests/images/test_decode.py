import io
import os
import subprocess
import sys
import threading
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from facetag.errors import ImageError, ImageTooLarge, UnreadableImage, UnsupportedImage
from facetag.images import decode as decode_module
from facetag.images.decode import Decoded, decode, read_image
from facetag.images.file_types import kind_of, kind_of_file

HEIGHT, WIDTH = 48, 80


def picture(height=HEIGHT, width=WIDTH):
    """Smooth, without a symmetry, so that lossy formats stay close and no orientation passes for another."""
    y, x = np.mgrid[0:height, 0:width]
    channels = (255 * x / width, 255 * y / height, 255 * (x + 2 * y) / (width + 2 * height))
    return np.stack(channels, axis=2).astype(np.uint8)


def encoded(image, kind, **options):
    stream = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(stream, kind, **options)
    return stream.getvalue()


def far(a, b):
    return np.abs(a.astype(int) - b.astype(int)).max()


PHOTO = encoded(picture(), "JPEG", quality=95)
PROGRESSIVE = encoded(picture(), "JPEG", quality=95, progressive=True)


@pytest.mark.parametrize(
    ("kind", "options", "tolerance"),
    [
        ("JPEG", {"quality": 95, "subsampling": 0}, 8),
        ("JPEG", {"quality": 95, "subsampling": 0, "progressive": True}, 8),
        ("PNG", {}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("BMP", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("TIFF", {"big_tiff": True}, 0),
        ("AVIF", {"quality": 95, "subsampling": "4:4:4"}, 12),
        ("MPO", {"quality": 95, "subsampling": 0}, 8),
    ],
)
def test_kinds(kind, options, tolerance):
    decoded = decode(encoded(picture(), kind, **options))
    assert decoded.warning == ""
    assert decoded.pixels.shape == (HEIGHT, WIDTH, 3)
    assert decoded.pixels.dtype == np.uint8
    assert decoded.pixels.flags.c_contiguous
    assert decoded.pixels.flags.writeable
    assert far(decoded.pixels, picture()) <= tolerance


def test_first_frame_of_animations():
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "lime", "blue")]
    for kind in ("GIF", "WEBP", "PNG", "TIFF", "AVIF"):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        assert far(decode(data).pixels, np.full((6, 8, 3), (255, 0, 0), np.uint8)) <= 4, kind


def test_heic():
    heif = pytest.importorskip("pillow_heif")
    stream = io.BytesIO()
    heif.from_pillow(Image.fromarray(picture())).save(stream, quality=95)
    assert far(decode(stream.getvalue()).pixels, picture()) < 24


def test_heic_without_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(UnsupportedImage, match=r"facetag\[heic\]"):
        decode(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation(kind, orientation):
    upright = picture()
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1], 5: upright.swapaxes(0, 1),
        6: np.rot90(upright), 7: upright[::-1, ::-1].swapaxes(0, 1), 8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[274] = orientation
    decoded = decode(encoded(np.ascontiguousarray(stored), kind, exif=exif))
    assert decoded.pixels.shape == upright.shape
    assert far(decoded.pixels, upright) < 48


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_orientations_that_do_not_exist(value):
    exif = Image.Exif()
    exif[274] = value
    assert far(decode(encoded(picture(), "JPEG", exif=exif)).pixels, decode(encoded(picture(), "JPEG")).pixels) == 0


def test_damaged_exif_does_not_spoil_the_photograph():
    exif = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\xff" * 40
    assert far(decode(encoded(picture(), "JPEG", exif=exif)).pixels, decode(encoded(picture(), "JPEG")).pixels) == 0


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "BMP"])
def test_grey(kind):
    grey = picture()[:, :, 0]
    pixels = decode(encoded(grey, kind)).pixels
    assert far(pixels, np.repeat(grey[:, :, None], 3, axis=2)) <= 3


def test_black_and_white():
    bits = (picture()[:, :, :1] > 99) * np.uint8(255)
    assert np.array_equal(decode(encoded(Image.fromarray(bits[:, :, 0]).convert("1"), "PNG")).pixels[:, :, :1], bits)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_by_its_full_range(kind):
    grey = np.array([[0, 257, 257 * 128, 65535]], np.uint16)
    assert decode(encoded(grey, kind)).pixels[0, :, 0].tolist() == [0, 1, 128, 255]


def test_twelve_bits_in_a_tiff_by_their_full_range():
    data = tiff(width=2, bits=(12,), samples=1, sample_format=1, body=bytes([0xFF, 0xF8, 0x08]))
    assert decode(data).pixels[0, :, 0].tolist() == [255, 128]


def test_sixteen_bit_colour():
    colours = np.array([[[0, 0, 0], [65535, 257 * 128, 257]]], "<u2")
    data = tiff(width=2, bits=(16, 16, 16), samples=3, sample_format=1, body=colours.tobytes())
    assert decode(data).pixels.tolist() == [[[0, 0, 0], [255, 128, 1]]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.0, 7.0, 255.0], [0, 7, 255]),
        ([-10.0, 0.0, 10.0], [0, 128, 255]),
        ([300.0, 300.0, 300.0], [0, 0, 0]),
        ([0.0, float("nan"), 1.0], [0, 0, 255]),
    ],
)
def test_float_tiff(values, expected):
    assert decode(encoded(np.array([values], np.float32), "TIFF")).pixels[0, :, 0].tolist() == expected


def test_a_tiff_of_colours_in_floats_is_whole_but_not_decoded():
    done, data = cv2.imencode(".tif", np.random.default_rng(0).random((6, 9, 3)).astype(np.float32))
    assert done
    with pytest.raises(UnsupportedImage, match="TIFF with such pixels is not supported; convert it to JPEG or PNG"):
        decode(data.tobytes())


def test_cmyk():
    cmyk = Image.fromarray(picture()).convert("CMYK")
    for kind in ("JPEG", "TIFF"):
        assert far(decode(encoded(cmyk, kind)).pixels, picture()) <= 24


@pytest.mark.parametrize(("mode", "colour"), [("RGBA", (200, 0, 0, 0)), ("LA", (0, 0)), ("RGBA", (0, 0, 0, 0))])
def test_transparency_lies_on_white(mode, colour):
    for kind in ("PNG", "WEBP") if mode == "RGBA" else ("PNG",):
        pixels = decode(encoded(Image.new(mode, (4, 3), colour), kind)).pixels
        assert np.array_equal(pixels, np.full((3, 4, 3), 255, np.uint8))


def test_half_transparent_is_half_white():
    assert decode(encoded(Image.new("RGBA", (1, 1), (0, 0, 0, 128)), "PNG")).pixels.tolist() == [[[127] * 3]]


def test_palettes():
    colours = Image.fromarray(picture()).quantize(16)
    assert np.array_equal(decode(encoded(colours, "PNG")).pixels, np.asarray(colours.convert("RGB")))
    clear = Image.new("P", (3, 2), 0)
    clear.putpalette([10, 20, 30, 40, 50, 60])
    clear.putpixel((0, 0), 1)
    for kind in ("PNG", "GIF"):
        assert decode(encoded(clear, kind, transparency=0)).pixels[0, :2].tolist() == [[40, 50, 60], [255, 255, 255]]


def test_larger_than_one_strip():
    pixels = np.random.default_rng(0).integers(0, 256, (300, 1000, 3), np.uint8)
    assert np.array_equal(decode(encoded(pixels, "PNG", compress_level=1)).pixels, pixels)


def png_header(width, height):
    def chunk(name, body):
        return len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")

    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size + b"\x08\x02\0\0\0") + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def test_a_bomb_is_refused_by_its_header():
    with pytest.raises(ImageTooLarge, match="30000x30000"):
        decode(png_header(30000, 30000))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF"])
def test_max_pixels_is_the_most_that_passes(kind):
    data = encoded(picture(), kind)
    assert decode(data, max_pixels=HEIGHT * WIDTH).pixels.shape == (HEIGHT, WIDTH, 3)
    with pytest.raises(ImageTooLarge, match="--max-pixels"):
        decode(data, max_pixels=HEIGHT * WIDTH - 1)


PIECES = decode_module.MOST_PIECES


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8\xff" + b"\xff" * PIECES,
        b"\xff\xd8" + b"\xff\xe1\0\2" * PIECES,
        png_header(1, 1)[:33] + (bytes(4) + b"teSt" + zlib.crc32(b"teSt").to_bytes(4, "big")) * PIECES,
        b"GIF89a\1\0\1\0\0\0\0" + b"!\xfe\1x\0" * PIECES,
        b"P6\n#" + b"x" * PIECES + b"\n1 1 255\n\0\0\0",
        b"II*\0\x08\0\0\0\1\0\x11\1\4\0" + (PIECES + 1).to_bytes(4, "little") + bytes(4 * PIECES),
    ],
)
def test_millions_of_pieces_are_not_waited_for(data):
    with pytest.raises(UnreadableImage, match="more than 300000 pieces"):
        decode(data)


def test_comments_among_the_digits_of_a_ppm():
    """Pillow copies what is left for each of them."""
    assert decode(b"P3 1 1 255\n1 2 " + b"#x\n" * 1000 + b"3\n").pixels.tolist() == [[[1, 2, 3]]]
    with pytest.raises(UnreadableImage, match="more than 1000 comments"):
        decode(b"P3 1 1 255\n1 2 " + b"#x\n" * 10_000_000 + b"3\n")


def test_pillows_limit_is_left_alone_and_does_not_bind(monkeypatch):
    before = Image.MAX_IMAGE_PIXELS
    decode(PHOTO, max_pixels=10**9)
    assert before == Image.MAX_IMAGE_PIXELS
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ImageTooLarge):
        decode(encoded(picture(), "WEBP"))


@pytest.mark.parametrize("data", [PHOTO, PROGRESSIVE])
def test_truncated_jpeg_is_decoded_as_far_as_it_goes(data):
    whole = decode(data).pixels
    kept = int(len(data) * 0.8)
    decoded = decode(data[:kept])
    assert "truncated" in decoded.warning
    assert decoded.pixels.shape == whole.shape
    assert far(decoded.pixels[:8], whole[:8]) < 32
    with pytest.raises(UnreadableImage):
        decode(data[:kept], strict=True)


@pytest.mark.parametrize("data", [PHOTO, PROGRESSIVE])
def test_every_truncation_after_the_first_scan_header_is_flagged(data):
    scan = data.index(b"\xff\xda")
    for kept in range(len(data)):
        if kept < scan + 10:
            with pytest.raises(UnreadableImage):
                decode(data[:kept])
        elif kept > scan + 40:
            assert "truncated" in decode(data[:kept]).warning, kept


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF"])
def test_other_truncated_files_are_refused_or_whole(kind):
    data = encoded(picture(), kind)
    whole = decode(data).pixels
    refused = 0
    for kept in range(0, len(data), max(1, len(data) // 100)):
        try:
            assert np.array_equal(decode(data[:kept]).pixels, whole), kept
        except ImageError:
            refused += 1
    assert refused > 80


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (b"", UnreadableImage, "empty"),
        (b"hello", UnreadableImage, "not an image"),
        (bytes(1000), UnreadableImage, "not an image"),
        (b"\xff\xd8\xff", UnreadableImage, "damaged JPEG"),
        (b"8BPS\0\1", UnsupportedImage, "Photoshop"),
        (b"II*\0\x10\0\0\0CR\2\0", UnsupportedImage, "camera raw"),
        (b"qoif\0\0\0\1", UnsupportedImage, "QOI"),
        (b"SDPX" + bytes(90), UnsupportedImage, "DPX"),
        (b"\x59\xa6\x6a\x95" + bytes(90), UnsupportedImage, "Sun raster"),
        (b"\x0a\5\1\x08", UnsupportedImage, "PCX"),
        (b"\x01\xda\0\1\0\2", UnsupportedImage, "SGI"),
        (b"DDS |", UnsupportedImage, "DDS"),
        (b"P7\nWIDTH 2\n", UnsupportedImage, "PAM"),
        (b"\xff\x4f\xff\x51\0", UnsupportedImage, "JPEG 2000"),
        (b"%PDF-1.7", UnreadableImage, "not an image"),
        (b"FOVb\0", UnsupportedImage, "camera raw"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", UnsupportedImage, "camera raw"),
    ],
)
def test_refusals_say_why(data, error, words):
    with pytest.raises(error, match=words) as caught:
        decode(data)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("head", [b"qoif\0\0\0\1", b"FLIF", b"\x0a\5\1\x08", b"P6\n1 1 255\n"])
def test_what_only_a_user_names_is_offered_by_no_folder(head):
    assert kind_of_file(head) and not kind_of(head)


@pytest.mark.parametrize("tags", [{254: 1}, {50706: b"\1\4\0\0"}])
def test_a_raw_files_thumbnail_is_not_the_photograph(tags):
    with pytest.raises(UnsupportedImage, match="camera raw"):
        decode(encoded(picture(), "TIFF", tiffinfo=tags))


HEADS = [encoded(picture(6, 9), kind) for kind in ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF")]


@st.composite
def damaged(draw):
    """A real file with bytes replaced, removed or added; or anything."""
    data = bytearray(draw(st.sampled_from(HEADS)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=4))
    return bytes(data)


@settings(max_examples=600, deadline=None)
@given(damaged() | st.binary(max_size=200))
def test_any_bytes_decode_or_raise_an_image_error(data):
    try:
        decoded = decode(data, max_pixels=1_000_000)
    except ImageError as error:
        assert "\n" not in str(error)
        assert " at 0x" not in str(error)
    else:
        assert isinstance(decoded, Decoded)
        assert decoded.pixels.dtype == np.uint8
        assert np.array_equal(decode(data, max_pixels=1_000_000).pixels, decoded.pixels)


def test_threads_get_what_one_gets():
    files = [PHOTO, PROGRESSIVE, PHOTO[:-200], encoded(picture(), "PNG"), encoded(picture(), "TIFF")]
    expected = [decode(data) for data in files]
    wrong = []

    def work():
        for _ in range(20):
            for data, good in zip(files, expected, strict=True):
                got = decode(data)
                if got.warning != good.warning or not np.array_equal(got.pixels, good.pixels):
                    wrong.append(data)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


NOISY = """
import sys
from facetag.errors import ImageError
from facetag.images.decode import read_image
for path in sys.argv[1:]:
    try:
        read_image(path)
    except ImageError:
        pass
"""


@pytest.mark.process
def test_nothing_reaches_the_terminal(tmp_path):
    corrupt = bytearray(PHOTO)
    corrupt[300::40] = bytes(len(corrupt[300::40]))
    lzw = encoded(picture(), "TIFF", compression="tiff_lzw")
    deflate = bytearray(encoded(picture(), "TIFF", compression="tiff_adobe_deflate"))
    deflate[20:60] = bytes(40)
    hostile = [
        bytes(corrupt), PHOTO[:-100], PHOTO + b"tail", lzw[: len(lzw) // 2], lzw[:30] + b"\xff" * 40 + lzw[70:],
        bytes(deflate), encoded(picture(), "PNG")[:-50], png_header(12000, 12000),
        tiff(width=2, bits=(16,) * 9, samples=9, sample_format=3, body=bytes(36)),
        *(data[: len(data) * 2 // 3] for data in HEADS),
        *(data[:40] + b"\xff\0\xfe" + data[43:] for data in HEADS),
    ]  # fmt: skip
    paths = []
    for number, data in enumerate(hostile):
        paths.append(str(tmp_path / str(number)))
        (tmp_path / str(number)).write_bytes(data)
    done = subprocess.run([sys.executable, "-c", NOISY, *paths], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")


@pytest.mark.parametrize(
    "name", [b"plain.jpg", b"a b\nc\r.jpg", "\U0001f600é.png".encode(), b"\xff\xfe-\x80.jpg", b"-"]
)
def test_every_file_name(tmp_path, name):
    path = os.fsencode(tmp_path) + b"/" + name
    with open(path, "wb") as stream:
        stream.write(PHOTO)
    assert np.array_equal(read_image(os.fsdecode(path)).pixels, decode(PHOTO).pixels)


def test_what_cannot_be_read(tmp_path):
    os.mkfifo(tmp_path / "fifo.jpg")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "dangling.jpg").symlink_to("nowhere")
    (tmp_path / "empty.jpg").touch()
    for name in ("fifo.jpg", "folder.jpg", "dangling.jpg", "empty.jpg", "missing.jpg", "nul\0.jpg", "x" * 5000):
        with pytest.raises(UnreadableImage) as caught:
            read_image(str(tmp_path / name))
        assert str(tmp_path) not in str(caught.value)


def test_a_file_that_no_memory_should_hold_is_not_read(tmp_path):
    """It begins as a photograph and goes on for ever: reading it might end the run by the system's hand."""
    (tmp_path / "endless.jpg").write_bytes(PHOTO)
    os.truncate(tmp_path / "endless.jpg", decode_module.MAX_BYTES + 1)
    with pytest.raises(ImageTooLarge, match=r"^2147483649 bytes are over 2147483648; "):
        read_image(str(tmp_path / "endless.jpg"))


def test_a_large_file_that_is_no_image_is_not_read(tmp_path, monkeypatch):
    with open(tmp_path / "video.jpg", "wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(UnreadableImage, match="not an image"):
        read_image(str(tmp_path / "video.jpg"))


def test_memory_that_runs_out_is_too_large(monkeypatch):
    def exhausted(kind, image):
        raise MemoryError

    monkeypatch.setattr(decode_module, "load_rgb", exhausted)
    with pytest.raises(ImageTooLarge, match="memory"):
        decode(PHOTO)


def tiff(*, width, bits, samples, sample_format, body):
    """A little-endian TIFF of one row and one strip, for what Pillow does not write."""
    photometric = 2 if samples == 3 else 1
    lists_at = 8 + 2 + 12 * 10 + 4
    lists = b"".join(value.to_bytes(2, "little") for value in (*bits, *(sample_format,) * samples))
    inline = samples == 1
    entries = [
        (256, 3, 1, width), (257, 3, 1, 1),
        (258, 3, samples, bits[0] if inline else lists_at), (259, 3, 1, 1), (262, 3, 1, photometric),
        (273, 4, 1, lists_at + len(lists)), (277, 3, 1, samples), (278, 3, 1, 1), (279, 4, 1, len(body)),
        (339, 3, samples, sample_format if inline else lists_at + 2 * samples),
    ]  # fmt: skip
    table = b"".join(
        tag.to_bytes(2, "little")
        + kind.to_bytes(2, "little")
        + count.to_bytes(4, "little")
        + value.to_bytes(4, "little")
        for tag, kind, count, value in entries
    )
    return b"II*\0\x08\0\0\0" + len(entries).to_bytes(2, "little") + table + bytes(4) + lists + body
