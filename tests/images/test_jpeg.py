import io

import numpy as np
import pytest
from PIL import Image
from test_decode import encoded, picture

from facetag.errors import UnreadableImage, UnsupportedImage
from facetag.images import jpeg
from facetag.images.decode import decode

NOISE = np.random.default_rng(7)
SMOOTH = np.asarray(Image.fromarray(picture(600, 800)))
GRAIN = np.clip(SMOOTH + NOISE.integers(-20, 20, SMOOTH.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("at", [0.4, 0.7, 0.9])
@pytest.mark.parametrize("seed", range(4))
def test_four_kilobytes_overwritten_leave_what_came_before(progressive, at, seed):
    whole = encoded(GRAIN, "JPEG", quality=90, progressive=progressive)
    data, expected = bytearray(whole), decode(whole).pixels.astype(int)
    start = int(len(data) * at)
    data[start : start + 4096] = np.random.default_rng(seed).bytes(4096)
    decoded = decode(bytes(data))
    assert "damaged" in decoded.warning or "truncated" in decoded.warning
    rows = 600 if progressive else int(600 * (at - 0.15))
    assert np.abs(decoded.pixels[:rows] - expected[:rows]).mean() <= (12 if progressive else 0)
    with pytest.raises(UnreadableImage, match="leave out --strict"):
        decode(bytes(data), strict=True)


def test_damage_that_libjpeg_passes_over_is_said():
    data = bytearray(encoded(GRAIN, "JPEG", quality=90))
    data[-9000:-8998] = b"\xff\x33"
    assert "damaged" in decode(bytes(data)).warning


def test_what_follows_the_end_is_no_damage():
    whole = encoded(GRAIN, "JPEG")
    assert decode(whole + b"\xff\x33" + NOISE.bytes(500)).warning == ""


def test_restarts_and_several_scans_are_no_damage():
    for options in ({"restart_marker_rows": 1}, {"progressive": True}, {"progressive": True, "restart_marker_rows": 1}):
        assert decode(encoded(GRAIN, "JPEG", **options)).warning == ""


def with_scans(count):
    """A progressive JPEG whose last scan comes so often."""
    data = encoded(picture(), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + jpeg.END


def test_thousands_of_scans_are_bounded():
    few, many = decode(with_scans(1)), decode(with_scans(8000))
    assert few.warning == ""
    assert many.warning == jpeg.MANY_SCANS
    assert few.pixels.shape == many.pixels.shape


def frame(marker, bits=8, components=3):
    data = bytearray(encoded(picture(), "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 1], data[at + 4], data[at + 9] = marker, bits, components
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (frame(0xC1, bits=12), "JPEG of 12 bits"),
        (frame(0xC0, bits=16), "JPEG of 16 bits"),
        (frame(0xC3), "lossless JPEG"),
        (frame(0xCB), "lossless JPEG"),
        (frame(0xC5), "hierarchical JPEG"),
        (frame(0xF7), "JPEG-LS"),
        (frame(0xC0, components=2), "JPEG of 2 components"),
    ],
)
def test_what_is_whole_and_not_decoded_says_what_it_is(data, words):
    with pytest.raises(UnsupportedImage, match=f"^{words} is not supported; convert"):
        decode(data)


def test_a_cut_is_made_where_tables_or_scans_begin():
    data = encoded(GRAIN, "JPEG", progressive=True)
    with Image.open(io.BytesIO(data)) as image:
        start = image.fp.tell()
    coded = jpeg.inspect(data, start, 3, True)
    assert (coded.sound, coded.warning) == (len(data), "")
    assert {data[cut + 1] for cut in coded.boundaries} == {0xC4, 0xDA}
    assert [part[-2:] for part, _ in jpeg.sound_parts(data, coded)] == [jpeg.END] * 5
