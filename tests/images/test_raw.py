import io
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from test_decode import encoded, picture

from facetag.errors import UnreadableImage, UnsupportedImage
from facetag.geometry import Box
from facetag.images.crops import Crops
from facetag.images.decode import decode, read_file
from facetag.images.header import stored_orientation
from facetag.results import FaceResult, ImageResult, Status

PREVIEW = encoded(picture(), "JPEG", quality=95)
RAWS = (b"FUJIFILMCCD-RAW 0201" + bytes(90), encoded(picture(9, 9), "TIFF", tiffinfo={254: 1}))


class NoThumbnail(Exception):
    pass


def reader(preview, flip=0, jpeg=True):
    """rawpy, as far as it is used."""

    class Raw:
        sizes = SimpleNamespace(flip=flip)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def extract_thumb(self):
            if preview is None:
                raise NoThumbnail
            return SimpleNamespace(format="JPEG" if jpeg else "BITMAP", data=preview)

    return SimpleNamespace(
        imread=lambda stream: Raw() if isinstance(stream, io.BytesIO) else None,
        LibRawError=NoThumbnail, LibRawNoThumbnailError=NoThumbnail, LibRawUnsupportedThumbnailError=NoThumbnail,
        ThumbFormat=SimpleNamespace(JPEG="JPEG"),
    )  # fmt: skip


@pytest.mark.parametrize("data", RAWS)
def test_camera_raw_is_refused_unless_its_preview_is_asked_for(monkeypatch, data):
    monkeypatch.setitem(sys.modules, "rawpy", reader(PREVIEW))
    with pytest.raises(UnsupportedImage, match="camera raw is not supported"):
        decode(data)
    decoded = decode(data, raw="preview", strict=True)
    np.testing.assert_array_equal(decoded.pixels, decode(PREVIEW).pixels)
    assert "preview" in decoded.warning


@pytest.mark.parametrize(("flip", "turns"), [(0, 0), (3, 2), (5, 1), (6, -1)])
def test_a_preview_is_turned_as_the_raw_image_unless_it_says_its_own(monkeypatch, flip, turns):
    monkeypatch.setitem(sys.modules, "rawpy", reader(PREVIEW, flip))
    np.testing.assert_array_equal(decode(RAWS[0], raw="preview").pixels, np.rot90(decode(PREVIEW).pixels, turns))
    exif = Image.Exif()
    exif[274] = 3
    own = encoded(picture(), "JPEG", quality=95, exif=exif)
    monkeypatch.setitem(sys.modules, "rawpy", reader(own, flip))
    np.testing.assert_array_equal(decode(RAWS[0], raw="preview").pixels, decode(own).pixels)


def test_without_the_extra_or_a_preview(monkeypatch):
    for rawpy, words in ((None, r"facetag\[raw\]"), (reader(None), "without a"), (reader(PREVIEW, jpeg=False), "JPEG")):
        monkeypatch.setitem(sys.modules, "rawpy", rawpy)
        with pytest.raises(UnsupportedImage, match=words):
            decode(RAWS[0], raw="preview")
    monkeypatch.setitem(sys.modules, "rawpy", reader(PREVIEW[:50]))
    with pytest.raises(UnreadableImage, match="damaged preview"):
        decode(RAWS[0], raw="preview")


@pytest.mark.parametrize("flip", [0, 6])
def test_a_damaged_preview_is_used_as_far_as_it_goes_and_no_strict_run_takes_it(monkeypatch, flip):
    cut = PREVIEW[: len(PREVIEW) * 3 // 4]
    monkeypatch.setitem(sys.modules, "rawpy", reader(cut, flip))
    decoded = decode(RAWS[0], raw="preview")
    np.testing.assert_array_equal(decoded.pixels, np.rot90(decode(cut).pixels, -(flip // 6)))
    assert "preview" in decoded.warning and "truncated" in decoded.warning
    with pytest.raises(UnreadableImage, match="leave out --strict"):
        decode(RAWS[0], raw="preview", strict=True)


def test_a_raw_file_is_read_whole_for_its_preview_alone(tmp_path):
    (tmp_path / "a.raf").write_bytes(RAWS[0])
    assert [read_file(str(tmp_path / "a.raf"), raw=raw).whole for raw in ("refuse", "preview")] == [False, True]


def test_libraw_refuses_what_is_none():
    pytest.importorskip("rawpy")
    with pytest.raises(UnreadableImage, match="damaged camera raw file"):
        decode(RAWS[0], raw="preview")


def test_what_is_written_for_a_photo_is_written_for_camera_raw_too(monkeypatch, tmp_path):
    said = []
    for number, data in enumerate(RAWS):
        file = tmp_path / f"{number}.nef"
        file.write_bytes(data)
        monkeypatch.setitem(sys.modules, "rawpy", reader(PREVIEW, flip=6))
        assert stored_orientation(str(file)) == 6
        exif = Image.Exif()
        exif[274] = 3
        monkeypatch.setitem(sys.modules, "rawpy", reader(encoded(picture(), "JPEG", exif=exif)))
        assert stored_orientation(str(file)) == 3
        height, width = decode(data, raw="preview").pixels.shape[:2]
        crops = Crops(tmp_path / "crops", str, said.append)
        crops(ImageResult(str(file), Status.OK, "", width, height, (FaceResult(Box(1, 1, 9, 9), 0.9),)))
        assert (crops.written, crops.refused, said) == (1, 0, [])
        monkeypatch.setitem(sys.modules, "rawpy", reader(b"no JPEG"))
        with pytest.raises(UnreadableImage):
            stored_orientation(str(file))


def test_a_file_that_is_known_by_its_name_has_an_orientation(tmp_path):
    Image.fromarray(picture(9, 9)).save(tmp_path / "x.tga")
    assert stored_orientation(str(tmp_path / "x.tga")) == 1
