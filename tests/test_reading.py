import threading
from itertools import count, islice

import cv2
import numpy as np
import pytest

from facetag.batch import reading
from facetag.batch.reading import Photo, ReadSettings, batches, read, read_ahead
from facetag.errors import ImageTooLarge, UnreadableImage, UnsupportedImage
from facetag.records import ImageRecord, Status


def photo(path, width=4, height=3):
    return Photo(path, np.zeros((height, width, 3), np.uint8))


def test_a_file_is_read_with_its_warning(tmp_path):
    path = tmp_path / "a.jpg"
    data = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8))[1].tobytes()
    path.write_bytes(data[: len(data) // 2])
    item = read(str(path), ReadSettings())
    assert (item.path, item.width, item.height) == (str(path), 80, 60)
    assert item.warning.startswith("truncated")
    assert read(str(path), ReadSettings(strict=True)).status is Status.UNREADABLE
    assert read(str(path), ReadSettings(max_pixels=80 * 60 - 1)).status is Status.TOO_LARGE


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (UnreadableImage("the file is empty"), Status.UNREADABLE, "the file is empty"),
        (UnsupportedImage("HEIC needs an extra", "get it"), Status.UNSUPPORTED, "HEIC needs an extra; get it"),
        (ImageTooLarge("huge"), Status.TOO_LARGE, "huge"),
        (ZeroDivisionError("what\nnow"), Status.FAILED, "ZeroDivisionError: what now"),
        (MemoryError(), Status.FAILED, "MemoryError: "),
    ],
)
def test_every_error_of_an_image_is_its_record(monkeypatch, error, status, words):
    def fail(path, **_):
        raise error

    monkeypatch.setattr(reading, "read_image", fail)
    assert read("x.jpg", ReadSettings()) == ImageRecord("x.jpg", status, words.strip())


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("batch_pixels", [1, 100])
def test_inputs_keep_their_order_however_long_each_takes(monkeypatch, workers, batch_pixels):
    def slow(path, settings):
        threading.Event().wait(0.002 * (int(path) % 5))
        return photo(path)

    monkeypatch.setattr(reading, "read", slow)
    settings = ReadSettings(workers=workers, batch=3, batch_pixels=batch_pixels)
    assert [item.path for item in read_ahead(map(str, range(40)), settings)] == [str(n) for n in range(40)]


def test_an_endless_list_is_read_two_batches_ahead(monkeypatch):
    monkeypatch.setattr(reading, "read", lambda path, settings: photo(path))
    asked = []

    def endless():
        for number in count():
            asked.append(number)
            yield str(number)

    stream = read_ahead(endless(), ReadSettings(batch=4))
    assert [item.path for item in islice(stream, 3)] == ["0", "1", "2"]
    stream.close()
    assert len(asked) == 3 + 2 * 4


def test_decoding_waits_while_too_many_pixels_lie_unused(monkeypatch):
    decoded = []

    def note(path, settings):
        decoded.append(path)
        return photo(path, 10, 10)

    monkeypatch.setattr(reading, "read", note)
    stream = read_ahead(map(str, range(100)), ReadSettings(workers=1, batch=20, batch_pixels=500))
    next(stream)
    threading.Event().wait(0.1)
    assert 1 <= len(decoded) <= 6  # the one that was taken, and five in the room
    assert [item.path for item in stream] == [str(n) for n in range(1, 100)]


def test_leaving_early_ends_the_threads(monkeypatch):
    monkeypatch.setattr(reading, "read", lambda path, settings: photo(path, 10, 10))
    before = threading.active_count()
    stream = read_ahead(map(str, range(100)), ReadSettings(workers=3, batch=20, batch_pixels=1))
    next(stream)
    stream.close()
    assert threading.active_count() == before


def test_a_batch_is_full_by_number_or_by_pixels():
    failed = ImageRecord("x", Status.FAILED)
    items = [photo("a", 10, 10), photo("b", 10, 10), failed, failed, failed, failed, photo("c", 1000, 1), photo("d")]
    sizes = [len(batch) for batch in batches(items, ReadSettings(batch=3, batch_pixels=200))]
    assert sizes == [2, 3, 2, 1]
    assert list(batches([], ReadSettings())) == []
