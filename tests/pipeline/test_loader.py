import threading
import time
from itertools import count, islice

import cv2
import numpy as np
import pytest

from facetag.errors import DataError, ImageTooLarge, UnreadableImage, UnsupportedImage
from facetag.pipeline import loader as reading
from facetag.pipeline.batch_size import BatchSize
from facetag.pipeline.failures import OUT_OF_MEMORY
from facetag.pipeline.items import Answer, LoadedImage
from facetag.pipeline.loader import ReadSettings, batches, read, read_ahead
from facetag.pipeline.timing import Stage, Stopwatch
from facetag.results import ImageResult, Status


def photo(path, width=4, height=3):
    return LoadedImage(path, np.zeros((height, width, 3), np.uint8))


def at_once(path, settings):
    return photo(path, 10, 10)


def eventually(condition, seconds=5.0):
    """Whether it comes true; threads take a moment."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def test_a_file_is_read_with_its_warning(tmp_path):
    path = tmp_path / "a.jpg"
    data = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8))[1].tobytes()
    path.write_bytes(data[: len(data) // 2])
    item = read(str(path), ReadSettings())
    assert (item.path, item.width, item.height) == (str(path), 80, 60)
    assert item.warning.startswith("truncated")
    assert read(str(path), ReadSettings(strict=True)).record.status is Status.UNREADABLE
    assert read(str(path), ReadSettings(max_pixels=80 * 60 - 1)).record.status is Status.TOO_LARGE


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (UnreadableImage("the file is empty"), Status.UNREADABLE, "the file is empty"),
        (UnsupportedImage("HEIC needs an extra", "get it"), Status.UNSUPPORTED, "HEIC needs an extra; get it"),
        (ImageTooLarge("huge"), Status.TOO_LARGE, "huge"),
        (ZeroDivisionError("what\nnow"), Status.FAILED, "ZeroDivisionError: what now"),
        (MemoryError(), Status.FAILED, OUT_OF_MEMORY),
    ],
)
def test_every_error_of_an_image_is_its_record(monkeypatch, error, status, words):
    def fail(path, **_):
        raise error

    monkeypatch.setattr(reading, "read_file", fail)
    assert read("x.jpg", ReadSettings()).record == ImageResult("x.jpg", status, words.strip())


def ahead(paths, settings, reader=at_once):
    """`read_ahead` less its signs that nothing came for a while."""
    items = read_ahead(paths, settings, BatchSize(settings.batch), Stopwatch(), reader)
    return (item for item in items if item is not None)


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("batch_pixels", [1, 100])
def test_inputs_keep_their_order_however_long_each_takes(workers, batch_pixels):
    def slow(path, settings):
        threading.Event().wait(0.002 * (int(path) % 5))
        return photo(path)

    settings = ReadSettings(workers=workers, batch=3, batch_pixels=batch_pixels)
    assert [item.path for item in ahead(map(str, range(40)), settings, slow)] == [str(n) for n in range(40)]


def test_an_endless_list_is_read_a_little_ahead():
    asked = []

    def endless():
        for number in count():
            asked.append(number)
            yield str(number)

    stream = read_ahead(endless(), ReadSettings(batch=4), BatchSize(4), Stopwatch(), at_once)
    assert [item.path for item in islice(stream, 3)] == ["0", "1", "2"]
    assert eventually(lambda: len(asked) == 3 + 2 * 4 * 4 + 1)
    stream.close()
    assert eventually(lambda: not any(thread.name == "discover" for thread in threading.enumerate()))
    assert len(asked) == 3 + 2 * 4 * 4 + 1


def test_decoding_waits_while_too_many_pixels_lie_unused():
    decoded = []

    def note(path, settings):
        decoded.append(path)
        return photo(path, 10, 10)

    stream = ahead(map(str, range(100)), ReadSettings(workers=1, batch=20, batch_pixels=500), note)
    next(stream)
    threading.Event().wait(0.1)
    assert 1 <= len(decoded) <= 6  # the one that was taken, and five in the room
    assert [item.path for item in stream] == [str(n) for n in range(1, 100)]


def test_less_lies_decoded_once_memory_ran_out():
    decoded = []

    def note(path, settings):
        decoded.append(path)
        return photo(path, 10, 10)

    size = BatchSize(20)
    size.ran_out(10)
    settings = ReadSettings(workers=1, batch=20, batch_pixels=800)
    stream = read_ahead(map(str, range(100)), settings, size, Stopwatch(), note)
    next(stream)
    threading.Event().wait(0.1)
    assert 1 <= len(decoded) <= 3  # a quarter of eight in the room
    assert [item.path for item in stream] == [str(n) for n in range(1, 100)]


def test_what_memory_did_not_suffice_for_is_read_again_when_its_turn_has_come():
    turn = threading.Event()
    tried = []

    def short(path, settings):
        tried.append(path)
        if path != "5" or turn.is_set():
            return photo(path, 10, 10)
        return Answer(ImageResult(path, Status.TOO_LARGE, "not enough memory to decode the image"))

    size = BatchSize(8)
    stream = read_ahead(map(str, range(9)), ReadSettings(workers=2, batch=8), size, Stopwatch(), short)
    assert [next(stream).path for _ in range(4)] == ["0", "1", "2", "3"]
    assert eventually(lambda: "8" in tried) and tried.count("5") == 1 and size.now == 4
    turn.set()
    rest = list(stream)
    assert [item.path for item in rest] == ["4", "5", "6", "7", "8"] and tried.count("5") == 2
    assert all(isinstance(item, LoadedImage) for item in rest)


def test_an_image_that_memory_never_suffices_for_says_so():
    record = ImageResult("a", Status.TOO_LARGE, "not enough memory to read the file")
    assert next(ahead(["a"], ReadSettings(), lambda path, settings: Answer(record))).record == record


def test_leaving_early_ends_the_threads():
    before = threading.active_count()
    settings = ReadSettings(workers=3, batch=20, batch_pixels=1)
    stream = read_ahead(map(str, range(100)), settings, BatchSize(20), Stopwatch(), at_once)
    next(stream)
    stream.close()
    assert eventually(lambda: threading.active_count() == before)


def test_an_error_of_the_list_comes_after_what_was_named_before_it():
    def broken():
        yield "a"
        yield "b"
        raise DataError("the list is torn")

    stream = ahead(broken(), ReadSettings())
    assert [next(stream).path, next(stream).path] == ["a", "b"]
    with pytest.raises(DataError, match="torn"):
        next(stream)


def test_an_error_of_the_reader_itself_is_not_lost():
    def bug(path, settings):
        raise AssertionError("ours")

    with pytest.raises(AssertionError, match="ours"):
        next(ahead(["a"], ReadSettings(), bug))


def test_a_slow_list_holds_up_nothing_that_it_has_named(monkeypatch):
    """As `tail -f` would write it: each name waits for the answer to the one before."""
    monkeypatch.setattr(reading, "PATIENCE", 0.02)
    answered = threading.Semaphore()

    def slowly():
        for number in range(4):
            assert answered.acquire(timeout=5)
            yield str(number)

    settings = ReadSettings(batch=16)
    items = read_ahead(slowly(), settings, BatchSize(16), Stopwatch(), at_once)
    seen = []
    for batch in batches(items, BatchSize(16), settings):
        seen += [item.path for item in batch]
        answered.release()
    assert seen == ["0", "1", "2", "3"]


def test_a_batch_is_full_by_number_or_by_pixels():
    items = [photo("a", 10, 10), photo("b", 10, 10), photo("c"), photo("d"), photo("e"), photo("f", 1000, 1)]
    settings = ReadSettings(batch=3, batch_pixels=200)
    sizes = [len(batch) for batch in batches([*items, photo("g")], BatchSize(3), settings)]
    assert sizes == [2, 3, 1, 1]
    assert list(batches([], BatchSize(3), settings)) == []


def test_few_photographs_among_many_records_still_share_a_batch():
    known = ImageResult("x", Status.OK)
    items = [known, photo("a"), known, known, photo("b"), known, *[known] * 9]
    sizes = [len(batch) for batch in batches(items, BatchSize(2), ReadSettings(batch=2))]
    assert sizes == [5, 8, 2]


def test_a_batch_is_as_large_as_memory_allows_at_that_moment():
    size = BatchSize(8)
    settings = ReadSettings(batch=8, batch_pixels=800)
    sizes = []
    for batch in batches([photo(str(n), 10, 10) for n in range(20)], size, settings):
        sizes.append(len(batch))
        if len(sizes) == 1:
            size.ran_out(8)
    assert sizes == [8, 4, 4, 4]


def test_a_batch_goes_as_it_is_when_no_more_comes():
    items = [photo("a"), None, photo("b"), photo("c"), None, None]
    assert [len(batch) for batch in batches(items, BatchSize(9), ReadSettings())] == [1, 2, 0]


def test_the_clock_is_told_of_threads_too():
    clock = Stopwatch()

    def slow(path, settings):
        threading.Event().wait(0.02)
        return photo(path)

    list(read_ahead("abcd", ReadSettings(workers=4), BatchSize(16), clock, slow))
    assert clock.seconds[Stage.DECODE] >= 4 * 0.02
    assert 0.02 <= clock.seconds[Stage.WAIT] < clock.seconds[Stage.DECODE]
