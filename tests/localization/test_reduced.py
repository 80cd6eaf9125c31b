"""JPEGs that are decoded smaller than they are: in pixels, in boxes and in answers."""

import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from facetag.attributes import ATTRIBUTES
from facetag.errors import ImageTooLarge, UsageError
from facetag.geometry import Box
from facetag.images import decode as decode_module
from facetag.images.decode import decode
from facetag.images.orient import INVERSE, upright
from facetag.images.resample import Image, resize
from facetag.localization.center_localizer import CenterLocalizer, CenterLocalizerSettings, localizer_of
from facetag.model import Model, load_model
from facetag.pipeline import items
from facetag.pipeline.face_sources import located_by
from facetag.pipeline.items import LoadedImage, pixels_of
from facetag.pipeline.loader import ReadSettings, read
from facetag.pipeline.stages import Cascade, Tagging, answers
from facetag.tagger import SHARP, Tagger

PHOTOS = Path(__file__).parents[2] / "examples" / "photos"


def smooth(width: int, height: int) -> Image:
    y, x = np.mgrid[0:height, 0:width]
    channels = (255 * x / width, 255 * y / height, 255 * (x + 2 * y) / (width + 2 * height))
    return np.stack(channels, axis=2).astype(np.uint8)


def jpeg(image: Image, **options: object) -> bytes:
    stream = io.BytesIO()
    PIL.Image.fromarray(image).save(stream, "JPEG", **{"quality": 95, **options})  # type: ignore[arg-type]
    return stream.getvalue()


@pytest.mark.parametrize(
    ("width", "height", "side", "size"),
    [
        (800, 600, 800, (800, 600)),
        (800, 600, 401, (800, 600)),
        (800, 600, 400, (400, 300)),
        (800, 600, 200, (200, 150)),
        (600, 800, 100, (75, 100)),
        (800, 600, 1, (100, 75)),
        (803, 599, 200, (201, 150)),
        (900, 1, 200, (900, 1)),
    ],
)
def test_the_longer_side_keeps_as_many_pixels_as_are_asked_for(
    width: int, height: int, side: int, size: tuple[int, int]
) -> None:
    image = smooth(width, height)
    decoded = decode(jpeg(image), min_size=side)
    assert (decoded.width, decoded.height) == (width, height)
    assert decoded.pixels.shape == (size[1], size[0], 3)
    assert np.abs(decoded.pixels.astype(int) - resize(image, *size)).mean() < 3


def test_whole_pictures_are_what_they_were() -> None:
    data = jpeg(smooth(160, 120))
    assert np.array_equal(decode(data, min_size=100).pixels, decode(data).pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_pictures_have_their_upright_size(orientation: int) -> None:
    image = smooth(320, 240)
    exif = PIL.Image.Exif()
    exif[274] = orientation
    stored = np.ascontiguousarray(upright(image, INVERSE[orientation]))
    decoded = decode(jpeg(stored, exif=exif), min_size=80)
    assert (decoded.width, decoded.height, decoded.pixels.shape) == (320, 240, (60, 80, 3))
    assert np.abs(decoded.pixels.astype(int) - resize(image, 80, 60)).mean() < 4


def test_only_jpegs_are_decoded_smaller() -> None:
    stream = io.BytesIO()
    PIL.Image.fromarray(smooth(320, 240)).save(stream, "PNG")
    assert decode(stream.getvalue(), min_size=80).pixels.shape == (240, 320, 3)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_every_kind_of_jpeg_is(mode: str) -> None:
    stream = io.BytesIO()
    PIL.Image.fromarray(smooth(320, 240)).convert(mode).save(stream, "JPEG")
    assert decode(stream.getvalue(), min_size=80).pixels.shape == (60, 80, 3)


def test_a_truncated_one_is_flagged_as_ever() -> None:
    data = jpeg(smooth(320, 240))
    decoded = decode(data[: len(data) // 2], min_size=80)
    assert "truncated" in decoded.warning and decoded.pixels.shape == (60, 80, 3)


def test_the_limit_is_of_the_whole_picture() -> None:
    with pytest.raises(ImageTooLarge, match="320x240 is over 10000 pixels"):
        decode(jpeg(smooth(320, 240)), min_size=80, max_pixels=10_000)


def photo(path: Path, image: Image, side: int) -> LoadedImage:
    path.write_bytes(jpeg(image))
    item = read(str(path), ReadSettings(min_size=side))
    assert isinstance(item, LoadedImage)
    return item


def test_a_photograph_has_the_size_of_its_file_and_gives_more_pixels_when_asked(tmp_path: Path) -> None:
    item = photo(tmp_path / "a.jpg", smooth(800, 600), 100)
    assert (item.width, item.height, item.pixels.shape) == (800, 600, (75, 100, 3))
    assert item.whole and pixels_of(item) == (3 * 100 * 75 + len(item.whole.data)) // 3  # the file's bytes count too
    assert item.at(100) is item.pixels
    assert [item.at(side).shape[1] for side in (100.5, 200, 201, 800, 5000)] == [200, 200, 400, 800, 800]
    assert item.at(5000) is item.at(300)  # what was decoded again is kept for who asks next


def test_only_few_pixels_are_kept_of_what_was_decoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items, "CACHED_PIXELS", 400 * 300)
    item = photo(tmp_path / "a.jpg", smooth(800, 600), 100)
    assert item.at(300) is item.at(400)
    assert item.at(800) is not item.at(800) and item.at(400).shape[1] == 400


def test_vast_ones_are_decoded_again_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    together, most = threading.Semaphore(1), []

    def decoding(*words: object, **more: object) -> object:
        most.append(together.acquire(blocking=False))
        time.sleep(0.05)
        together.release()
        return decode(*words, **more)  # type: ignore[arg-type]

    photos = [photo(tmp_path / f"{number}.jpg", smooth(800, 600), 100) for number in range(3)]
    monkeypatch.setattr(items, "VAST", 1000)
    monkeypatch.setattr(items, "decode", decoding)
    with ThreadPoolExecutor(3) as pool:
        sizes = [pixels.shape[1] for pixels in pool.map(lambda item: item.at(800), photos)]
    assert sizes == [800] * 3 and most == [True] * 3


def test_memory_that_does_not_suffice_to_decode_again_is_said_to_be_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = photo(tmp_path / "a.jpg", smooth(800, 600), 100)

    def exhausted(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(decode_module, "load_rgb", exhausted)
    with pytest.raises(MemoryError):
        item.at(800)


def test_one_that_is_small_keeps_nothing_to_decode_again(tmp_path: Path) -> None:
    item = photo(tmp_path / "a.jpg", smooth(150, 100), 100)
    assert item.whole is None and item.at(5000) is item.pixels


def test_a_reading_side_is_none_or_enough_for_the_network() -> None:
    CenterLocalizerSettings(input_size=256, read_size=256)
    with pytest.raises(UsageError, match="read_size = 255"):
        CenterLocalizerSettings(input_size=256, read_size=255)


@pytest.fixture(scope="module")
def fast() -> Model:
    return load_model("fast")


@pytest.fixture(scope="module")
def cascade(fast: Model) -> Cascade:
    """Without finer passes, so that it is ANet alone that asks for more pixels."""
    settings = replace(CenterLocalizer(fast).settings, finer_sizes=(), triggers=())
    return Cascade(
        located_by(CenterLocalizer(fast, settings=settings)),
        Tagging(Tagger(fast), range(len(ATTRIBUTES)), fast.thresholds),
    )


def large_picture(path: Path, share: float) -> Path:
    """The astronaut's face in a picture of 4096 x 3072, so high a share of it."""
    astronaut = np.asarray(PIL.Image.open(PHOTOS / "astronaut.jpg").convert("RGB"))
    head = astronaut[20:320, 100:360]
    height = int(3072 * share)
    canvas = np.full((3072, 4096, 3), 127, np.uint8)
    pasted = resize(head, int(height * 260 / 300), height)
    canvas[768 : 768 + height, 1152 : 1152 + pasted.shape[1]] = pasted
    path.write_bytes(jpeg(canvas))
    return path


@pytest.mark.parametrize("share", [0.1, 0.74])
def test_answers_are_those_to_the_whole_picture(
    cascade: Cascade, tmp_path: Path, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides: list[int] = []
    decoding = decode_module._shrink
    monkeypatch.setattr(decode_module, "_shrink", lambda image, side: (sides.append(side), decoding(image, side))[1])
    path = large_picture(tmp_path / "a.jpg", share)
    (whole,), (smaller,) = (
        [a.record for a in answers([str(path)], cascade, ReadSettings(min_size=s))] for s in (0, 512)
    )
    assert (smaller.width, smaller.height) == (4096, 3072)
    (expected,), (found,) = whole.faces, smaller.faces
    # a small picture of a head, much enlarged; in photographs boxes agree by 0.99, probabilities by 0.004 (study.md)
    assert found.box.iou(expected.box) > 0.85
    differences = [abs(found.probabilities[name] - expected.probabilities[name]) for name in ATTRIBUTES]
    assert np.mean(differences) < 0.04
    # a face of 74 % has pixels enough at an eighth, one of 10 % is looked at again
    assert len(sides) == (1 if share == 0.74 else 2)


def test_a_face_is_shown_with_more_pixels_than_anet_sees(fast: Model) -> None:
    for scales, smallest in (((1.0,), 1.0), ((0.9, 1.1), 0.9)):
        tagger = Tagger(replace(fast, tagger={**fast.tagger, "scales": scales}))
        window = Box(0, 0, 100, 200).enlarged(tagger.settings.context * smallest)
        assert tagger.fraction(Box(0, 0, 100, 200)) == pytest.approx(SHARP * fast.anet.frame.height / window.height)
    assert tagger.fraction(Box(0, 0, 10, 20)) == pytest.approx(10 * tagger.fraction(Box(0, 0, 100, 200)))


def test_the_command_reads_as_the_model_says(fast: Model) -> None:

    settings = replace(localizer_of(fast).settings, read_size=600)  # type: ignore[type-var]
    assert isinstance(settings, CenterLocalizerSettings)
    assert CenterLocalizer(fast, settings=settings).read_size == 600
    assert localizer_of(load_model("faithful")).read_size == 0
