import base64
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


@pytest.mark.parametrize("options", [{}, {"optimize": True}, {"subsampling": 0}, {"restart_marker_blocks": 20}])
@pytest.mark.parametrize("filling", [bytes(4096), np.random.default_rng(7).bytes(4096).replace(b"\xff", b"\0")])
@pytest.mark.parametrize("at", [0.1, 0.4, 0.8])
def test_damage_that_may_stand_in_coded_data_is_said(options, filling, at):
    whole = encoded(GRAIN, "JPEG", quality=90, **options)
    start = int(len(whole) * at)
    data = whole[:start] + filling + whole[start + 4096 :]
    for min_size in (0, 200):
        assert decode(data, min_size=min_size).warning == jpeg.ODD
        assert decode(whole, min_size=min_size).warning == ""
    with pytest.raises(UnreadableImage, match="leave out --strict"):
        decode(data, strict=True)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("size", [1, 7, 8, 17, 64, 300])
def test_whole_files_of_any_size_are_sound(mode, size):
    for quality in (1, 75, 100):
        image = Image.fromarray(GRAIN[:size, : size + 3]).convert(mode)
        decoded = decode(encoded(image, "JPEG", quality=quality))
        assert decoded.warning == ""
        with Image.open(io.BytesIO(encoded(image, "JPEG", quality=quality))) as expected:
            assert np.array_equal(decoded.pixels, np.asarray(expected.convert("RGB")))


def test_a_file_whose_second_half_never_came_is_damaged():
    """Some programs write the whole length first."""
    whole = encoded(GRAIN, "JPEG", quality=90)
    half = len(whole) // 2
    assert decode(whole[:half] + bytes(8 * half)).warning == jpeg.ODD


def test_a_few_bytes_too_many_before_the_end_are_no_damage():
    whole = encoded(GRAIN, "JPEG")
    decoded = decode(whole[:-2] + bytes(10) + jpeg.END)
    assert decoded.warning == ""
    assert np.array_equal(decoded.pixels, decode(whole).pixels)


#: Grey of 32 x 32, by `cjpeg -arithmetic`; Pillow writes none.
ARITHMETIC = base64.b85decode(
    "|JeWF01!$>Nk#wx0RR9200961|JwjV01yid4h#wq4h;?x5fBp?C>j_R78o%jB^@X_Gd(;xGdMRuNL)@pL{~*OI8bd-S6^ahXlFi6ad~iL"
    "cwA*?WB<tj3kU!p03ZPY5di<p00saM5C#9*00;pA002J#{{V9PA-#<1=}ulikk>I}gXt2@bAx5teBJ{w(3nAutb=D6MOD9YAEQR^p~baz"
    "RZA(pV`EfS4URXrPb*!jxh|Jj@t+kJVhkF3h<Wuc)X3x1%#0wur(CDcB$NGuG~Xa1A?FKE<x}cRNoX%a&P3Ik5rxm=NKxFGO-pH-xOERZ"
    "gG4^K|Je"
)


def test_arithmetic_coding_of_any_length():
    """libjpeg wants all of it at once, and Pillow reads 65,536 bytes at a time."""
    comment = b"\xff\xfe" + (65536 - 2 - 150).to_bytes(2, "big")
    longer = ARITHMETIC[:2] + comment.ljust(65536 - 150, b" ") + ARITHMETIC[2:]
    decoded = decode(longer)
    assert decoded.warning == ""
    assert np.array_equal(decoded.pixels, decode(ARITHMETIC).pixels)


def test_what_follows_the_end_is_no_damage():
    whole = encoded(GRAIN, "JPEG")
    assert decode(whole + b"\xff\x33" + NOISE.bytes(500)).warning == ""


def test_restarts_and_several_scans_are_no_damage():
    for options in ({"restart_marker_rows": 1}, {"progressive": True}, {"progressive": True, "restart_marker_rows": 1}):
        assert decode(encoded(GRAIN, "JPEG", **options)).warning == ""


def with_scans(count, before=b""):
    """A progressive JPEG whose last scan comes so often."""
    data = encoded(picture(), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + before + data[last:-2] * count + jpeg.END


@pytest.mark.parametrize("before", [b"", b"\xff\xe5\0\2", b"\xff\1", b"\xff\xe5\0\4\xff\xd9"])
def test_thousands_of_scans_are_bounded(before):
    few, many = decode(with_scans(1)), decode(with_scans(8000, before))
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
