from pathlib import Path

import cv2
import numpy as np
import pytest

from facetag.errors import DataError
from facetag.evaluate import image_batches
from facetag.evaluate.image_batches import evenly, read_batches


def write_pictures(folder: Path, count: int) -> list[Path]:
    """Picture k is all of grey level k."""
    paths = [folder / f"{index}.png" for index in range(count)]
    for index, path in enumerate(paths):
        path.write_bytes(cv2.imencode(".png", np.full((4, 5, 3), index, np.uint8))[1].tobytes())
    return paths


def test_pictures_come_in_order_and_all_of_them(tmp_path):
    told: list[tuple[int, int]] = []
    paths = write_pictures(tmp_path, 70)
    batches = list(read_batches(paths, lambda done, total: told.append((done, total))))
    assert [len(batch) for batch in batches] == [32, 32, 6]
    assert [int(photo.pixels[0, 0, 0]) for batch in batches for photo in batch] == list(range(70))
    assert told == [(32, 70), (64, 70), (70, 70)]


def test_large_pictures_come_a_few_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(image_batches, "BATCH_PIXELS", 50)
    assert [len(batch) for batch in read_batches(write_pictures(tmp_path, 7))] == [3, 3, 1]


def test_nothing_gives_nothing():
    assert list(read_batches([])) == []


def test_a_damaged_picture_ends_the_measurement_and_is_named(tmp_path):
    paths = write_pictures(tmp_path, 3)
    paths[1].write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"1\.png: not an image; mend it"):
        list(read_batches(paths))


def test_evenly_spread():
    assert evenly(10, None) == evenly(10, 10) == evenly(10, 99) == list(range(10))
    assert evenly(10, 3) == [0, 3, 6]
    assert evenly(10, 1) == [0]
