"""Density peaks (paper, Eq. 3) against arrays typed by hand and a literal, slow reading of the contract."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from facetag.method.density_peaks import density_peaks

# Few levels make plateaus and ties; zeros make the map sparse and its components many.
maps = arrays(np.float32, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9), elements=st.integers(0, 5))

U_PLATEAU = np.array([[3, 0, 0, 3], [3, 0, 0, 3], [3, 3, 3, 3]], dtype=np.float32)


def slow_peaks(response, threshold):
    """[(row, column, rho, sigma, d, parent, is_peak)] in total order, straight from the definitions."""
    visited = [(r, c) for r, c in np.ndindex(response.shape) if response[r, c] > threshold]
    visited.sort(key=lambda cell: (-response[cell], cell))
    answer = []
    for index, cell in enumerate(visited):
        larger = [(math.dist(cell, other), rank) for rank, other in enumerate(visited[:index])]
        sigma, parent = min(larger) if larger else (max(math.dist(cell, other) for other in visited), -1)
        d = math.hypot(response[cell] / response[visited[0]], sigma)
        answer.append((*cell, response[cell], sigma, d, parent, index == 0 or sigma > math.sqrt(2)))
    return answer


def test_two_faces_by_hand():
    response = np.array([[5, 2, 0, 0, 0], [1, 0, 0, 3, 4]], dtype=np.float32)
    peaks = density_peaks(response, 0.5)
    assert peaks.positions.tolist() == [[0, 0], [1, 4], [1, 3], [0, 1], [1, 0]]
    assert peaks.rho.tolist() == [5, 4, 3, 2, 1]
    assert peaks.parent.tolist() == [-1, 0, 1, 0, 0]
    assert peaks.sigma == pytest.approx([math.sqrt(17), math.sqrt(17), 1, 1, 1])
    assert peaks.is_peak.tolist() == [True, True, False, False, False]
    assert peaks.d[1] == pytest.approx(math.sqrt(0.8**2 + 17))


def test_diagonal_neighbour_is_no_peak_and_a_knights_move_is():
    assert density_peaks(np.array([[2.0, 0], [0, 1]]), 0).is_peak.tolist() == [True, False]
    assert density_peaks(np.array([[2.0, 0, 0], [0, 0, 1]]), 0).is_peak.tolist() == [True, True]


def test_lateral_parent_wins_over_a_larger_diagonal_one():
    peaks = density_peaks(np.array([[9.0, 5], [0, 1]]), 0)
    assert peaks.parent.tolist() == [-1, 0, 1]
    assert peaks.sigma.tolist() == [math.sqrt(2), 1, 1]


def test_equally_near_parents_go_to_the_earliest():
    assert density_peaks(np.array([[7.0, 0, 0, 1, 0, 0, 8]]), 0).parent.tolist() == [-1, 0, 0]
    assert density_peaks(np.array([[7.0, 1, 8]]), 0).parent.tolist() == [-1, 0, 0]


def test_plateau_has_one_peak_in_row_major_order():
    peaks = density_peaks(np.full((4, 4), 2.0), 1)
    assert peaks.positions.tolist() == [[r, c] for r in range(4) for c in range(4)]
    assert np.flatnonzero(peaks.is_peak).tolist() == [0]


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 2)])
def test_global_maximum_of_a_tiny_map_is_a_peak(shape):
    assert np.flatnonzero(density_peaks(np.ones(shape), 0).is_peak).tolist() == [0]


@pytest.mark.parametrize("response", [np.zeros((0, 3)), np.zeros((3, 3)), np.full((2, 2), 0.5)])
def test_nothing_over_the_threshold(response):
    peaks = density_peaks(response, 0.5)
    assert peaks.positions.shape == (0, 2)
    assert peaks.rho.shape == peaks.sigma.shape == peaks.d.shape == peaks.parent.shape == peaks.is_peak.shape == (0,)


def test_map_must_be_finite():
    with pytest.raises(AssertionError):
        density_peaks(np.array([[np.nan, 1.0]]), 0)


@given(maps, st.sampled_from([0, 1, 2.5]))
@example(U_PLATEAU, 0)
def test_equals_the_slow_reading(response, threshold):
    peaks = density_peaks(response, threshold)
    slow = slow_peaks(response, threshold)
    assert peaks.positions.tolist() == [[r, c] for r, c, *_ in slow]
    columns = zip(peaks.rho, peaks.sigma, peaks.d, peaks.parent, peaks.is_peak, strict=True)
    for (rho, sigma, d, parent, is_peak), (_, _, *wanted) in zip(columns, slow, strict=True):
        assert (rho, parent, is_peak) == (wanted[0], wanted[3], wanted[4])
        assert (sigma, d) == pytest.approx((wanted[1], wanted[2]))


@given(maps)
def test_invariants(response):
    peaks = density_peaks(response, 0)
    indices = np.arange(len(peaks.rho))
    assert (peaks.parent < indices).all() and (peaks.rho[1:] <= peaks.rho[:-1]).all()
    assert (peaks.parent[1:] >= 0).all()
    if len(indices):
        assert peaks.is_peak[0] and peaks.d.argmax() == 0


@given(maps, st.integers(1, 3))
def test_moving_the_map_moves_the_peaks(response, shift):
    moved = density_peaks(np.pad(response, shift), 0)
    still = density_peaks(response, 0)
    assert (moved.positions == still.positions + shift).all()
    assert (moved.d == still.d).all() and (moved.parent == still.parent).all()
