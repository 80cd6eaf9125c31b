import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from facetag.images.orient import INVERSE, upright


def pillow_upright(pixels, orientation):
    image = Image.fromarray(pixels)
    image.getexif()[274] = orientation
    return np.asarray(ImageOps.exif_transpose(image))


@given(st.integers(1, 8), st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_same_as_pillow(orientation, height, width, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    assert np.array_equal(upright(pixels, orientation), pillow_upright(pixels, orientation))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 3), (1, 5, 1)])
def test_inverse_undoes(orientation, shape):
    pixels = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    there = upright(pixels, orientation)
    assert there.flags.c_contiguous
    assert np.array_equal(upright(there, INVERSE[orientation]).reshape(shape), pixels)


@pytest.mark.parametrize("orientation", [0, 1, 9, -1])
def test_other_values_change_nothing(orientation):
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert upright(pixels, orientation) is pixels
