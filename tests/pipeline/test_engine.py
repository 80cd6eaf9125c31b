"""What answers images is loaded once, when the first image comes, and not before."""

import threading

import numpy as np
import pytest

from facetag.pipeline.engine import Engine, answered_batches
from facetag.pipeline.items import Answer, LoadedImage
from facetag.pipeline.loader import ReadSettings
from facetag.pipeline.timing import Stopwatch
from facetag.results import ImageResult, Status

READING = ReadSettings(batch=2, workers=3)


def record(path):
    return ImageResult(path, Status.NO_FACE, "", 4, 4)


class Loading:
    """Loads a cascade that answers all alike, and counts how often."""

    def __init__(self, error=None):
        self.count, self.error = 0, error

    def __call__(self):
        self.count += 1
        if self.error:
            raise self.error
        return lambda images, clock: [record(image.path) for image in images], ReadSettings(batch=3, workers=3)


def answered(paths, engine, is_new):
    def reader(path, settings):
        if is_new(path):
            return LoadedImage(path, np.zeros((4, 4, 3), np.uint8), str(engine.reading(settings).batch))
        return Answer(record(path), reused=True)

    return list(answered_batches(paths, engine, Stopwatch(), reader))


def paths_of(batches):
    return [answer.record.path for batch in batches for answer in batch]


def test_nothing_is_loaded_for_what_is_known_and_all_come_in_order():
    load, paths = Loading(), [str(number) for number in range(50)]
    batches = answered(paths, Engine(READING, None, load), lambda path: False)
    assert paths_of(batches) == paths and load.count == 0 and len(batches) > 1


@pytest.mark.parametrize("new", ["0", "7", "49"])
def test_the_first_new_image_loads_once_and_the_order_stays(new):
    load, paths = Loading(), [str(number) for number in range(50)]
    batches = answered(paths, Engine(READING, None, load), lambda path: path == new or int(path) > 30)
    assert paths_of(batches) == paths and load.count == 1
    assert {answer.image.warning for batch in batches for answer in batch if answer.image} == {"3"}


def test_what_cannot_be_loaded_ends_the_run_and_no_thread_tries_again():
    load = Loading(ValueError("damaged"))
    engine = Engine(READING, None, load)
    with pytest.raises(ValueError, match="damaged"):
        answered([str(number) for number in range(50)], engine, lambda path: True)
    with pytest.raises(ValueError, match="damaged"):
        engine.loaded()
    assert load.count == 1


@pytest.mark.timing
def test_a_run_without_new_images_can_be_stopped_while_it_waits_for_a_path():
    goes_on = threading.Event()

    def paths():
        yield "0"
        goes_on.wait(30)

    batches = answered_batches(
        paths(), Engine(READING, None, Loading()), Stopwatch(), lambda path, settings: Answer(record(path))
    )
    assert paths_of([next(batches)]) == ["0"] and next(batches) == []
    batches.close()
    goes_on.set()
