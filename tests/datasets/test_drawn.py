"""Drawings that are no face: each kind draws something, and chance alone decides what."""

import numpy as np
import pytest

from facetag.datasets.drawn import KINDS, SIZE, draw_lookalike


@pytest.mark.parametrize("kind", sorted(set(KINDS), key=lambda kind: kind.__name__))
def test_each_kind_draws_inside_its_place_and_differs_from_itself(kind):
    pictures = []
    for seed in range(8):
        canvas = np.full((SIZE, SIZE, 3), 117, np.uint8)
        kind(canvas, np.random.default_rng(seed))
        pictures.append(canvas)
        touched = (canvas != 117).any(2)
        rows, columns = np.nonzero(touched)
        assert touched.sum() > 100
        assert rows.min() < SIZE / 2 < rows.max() and columns.min() < SIZE / 2 < columns.max()
    assert len({picture.tobytes() for picture in pictures}) == 8


def test_the_same_chance_draws_the_same():
    first, again = (draw_lookalike(np.random.default_rng(5)) for _ in range(2))
    assert first.shape == (SIZE, SIZE, 3) and first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
