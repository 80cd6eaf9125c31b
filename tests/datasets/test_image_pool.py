"""Pools of decoded pictures: what was put in comes out, shrunk where it is too large; processes share one file."""

import pickle

import numpy as np
import pytest

from facetag.datasets.image_pool import ImagePool, build_pool
from facetag.errors import DataError

SIZES = {"a": (20, 30), "b": (50, 10), "c": (7, 9)}


def read(name):
    height, width = SIZES[name]
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_pictures_come_out_as_they_were_put_in(tmp_path):
    pool = build_pool(list(SIZES), tmp_path / "pool", read, longest=50)
    assert len(pool) == 3
    for index, name in enumerate(SIZES):
        np.testing.assert_array_equal(pool[index], read(name))
    again = pickle.loads(pickle.dumps(pool))
    np.testing.assert_array_equal(again[2], read("c"))


def test_a_longer_side_is_shrunk(tmp_path):
    pool = build_pool(list(SIZES), tmp_path / "pool", read, longest=25)
    assert [pool[index].shape for index in range(3)] == [(17, 25, 3), (25, 5, 3), (7, 9, 3)]


def test_a_pool_that_is_there_is_used_and_another_number_of_pictures_made_anew(tmp_path):
    build_pool(["a", "b"], tmp_path, read, 50)
    same = build_pool(["c", "c"], tmp_path, read, 50)
    np.testing.assert_array_equal(same[0], read("a"))
    assert len(build_pool(["c"], tmp_path, read, 50)) == 1


def test_a_folder_without_a_pool_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds no pool"):
        ImagePool(tmp_path)
