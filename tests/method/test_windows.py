"""Windows from response maps against drawn blobs and a slow climb inside components; suppression of doubles."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from facetag.geometry import Box, Window
from facetag.method import windows as module
from facetag.method.density_peaks import density_peaks
from facetag.method.windows import climb, labelled_windows, nms

maps = arrays(np.float32, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9), elements=st.integers(0, 5))
boxes = st.builds(Box, *[st.integers(0, 12)] * 2, *[st.integers(0, 8)] * 2)
scored = st.lists(st.tuples(boxes, st.integers(0, 3)), max_size=8)


def components(response, threshold):
    """cell -> component number, by flood fill over eight neighbours."""
    visited = {(r, c) for r, c in np.ndindex(response.shape) if response[r, c] > threshold}
    number = {}
    for start in sorted(visited):
        stack = [start] if start not in number else []
        while stack:
            cell = stack.pop()
            number.setdefault(cell, start)
            around = [(cell[0] + dy, cell[1] + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
            stack += [n for n in around if n in visited and n not in number]
    return number


def slow_peak_of(response, threshold):
    """cell -> its peak: climb to the nearest larger cell of the same component until sigma > sqrt(2)."""
    component = components(response, threshold)
    order = sorted(component, key=lambda cell: (-response[cell], cell))
    peak_of = {}
    for index, cell in enumerate(order):
        sigma = min((math.dist(cell, other) for other in order[:index]), default=math.inf)
        if sigma > math.sqrt(2):
            peak_of[cell] = cell
        else:
            inside = [other for other in order[:index] if component[other] == component[cell]]
            peak_of[cell] = peak_of[min(inside, key=lambda other: math.dist(cell, other))]
    return peak_of


def test_two_touching_faces_are_two_windows():
    response = np.array(
        [
            [0, 1, 2, 1, 0, 0, 0, 0],
            [0, 2, 9, 2, 1, 3, 5, 3],
            [0, 1, 2, 1, 1, 2, 3, 2],
        ],
        dtype=np.float32,
    )
    # The ones between the faces have a larger position at either side, equally near: the larger of the two wins.
    found, labels = labelled_windows(response, 0.5)
    assert labels.tolist() == [
        [-1, 0, 0, 0, -1, -1, -1, -1],
        [-1, 0, 0, 0, 1, 1, 1, 1],
        [-1, 0, 0, 0, 1, 1, 1, 1],
    ]
    assert found == [Window(0, 1, 2, 3, 1, 2, 9.0), Window(1, 4, 2, 7, 1, 6, 5.0)]


def test_a_far_weak_face_precedes_a_near_shoulder():
    response = np.array([[9, 0, 8, 0, 0, 0, 0, 1]], dtype=np.float32)
    assert [window.peak_column for window in labelled_windows(response, 0)[0]] == [0, 7, 2]


def test_windows_of_equal_d_keep_the_total_order():
    response = np.zeros((5, 5))
    response[2, 2] = 2
    response[0, 2] = response[2, 0] = response[2, 4] = response[4, 2] = 1
    corners = [(window.peak_row, window.peak_column) for window in labelled_windows(response, 0)[0]]
    assert corners == [(2, 2), (0, 2), (2, 0), (2, 4), (4, 2)]


def test_window_is_made_of_plain_numbers():
    (window,), _ = labelled_windows(np.ones((2, 3), dtype=np.float32), 0)
    assert window == Window(0, 0, 1, 2, 0, 0, 1.0)
    assert {type(value) for value in vars(window).values()} == {int, float}


def test_empty_map_has_no_window():
    found, labels = labelled_windows(np.zeros((4, 4)), 0)
    assert found == []
    assert (labels == -1).all()


def test_one_pass_over_the_map_gives_windows_and_labels(monkeypatch):
    passes = []
    monkeypatch.setattr(module, "density_peaks", lambda *given: passes.append(given) or density_peaks(*given))
    labelled_windows(np.eye(4), 0)
    assert len(passes) == 1


@given(maps, st.sampled_from([0, 1, 2.5]))
def test_climb_equals_the_slow_climb_inside_components(response, threshold):
    peaks = density_peaks(response, threshold)
    cells = [tuple(cell) for cell in peaks.positions.tolist()]
    climbed = {cell: cells[peak] for cell, peak in zip(cells, climb(peaks), strict=True)}
    assert climbed == slow_peak_of(response, threshold)


@given(maps)
def test_every_component_has_a_peak_of_its_own(response):
    peaks = density_peaks(response, 0)
    component = components(response, 0)
    tops = peaks.positions[peaks.is_peak].tolist()
    assert {component[tuple(cell)] for cell in tops} == set(component.values())


@given(maps, st.sampled_from([0, 2]))
def test_every_visited_position_is_a_member_of_exactly_one_window(response, threshold):
    found, labels = labelled_windows(response, threshold)
    assert ((labels >= 0) == (response > threshold)).all()
    assert sorted(set(labels[labels >= 0].tolist())) == list(range(len(found)))
    for index, window in enumerate(found):
        rows, columns = np.nonzero(labels == index)
        assert (window.top, window.bottom) == (rows.min(), rows.max())
        assert (window.left, window.right) == (columns.min(), columns.max())
        assert labels[window.peak_row, window.peak_column] == index
        assert window.score == response[window.peak_row, window.peak_column] == response[labels == index].max()


def test_suppression_keeps_the_surest_of_two_doubles():
    doubles = [Box(0, 0, 10, 10), Box(1, 0, 10, 10), Box(30, 0, 10, 10)]
    assert nms(doubles, [0.5, 0.9, 0.7], iou=0.5) == [1, 2]
    assert nms(doubles, [0.5, 0.9, 0.7], iou=0.9) == [1, 2, 0]


def test_equal_scores_keep_the_first():
    assert nms([Box(0, 0, 4, 4), Box(0, 0, 4, 4)], [1, 1], iou=0.5) == [0]


def test_a_box_dropped_drops_nobody():
    row = [Box(0, 0, 10, 10), Box(4, 0, 10, 10), Box(8, 0, 10, 10)]
    assert nms(row, [3, 2, 1], iou=0.4) == [0, 2]


@pytest.mark.parametrize(("containment", "kept"), [(1.0, [0, 1]), (0.9, [0])])
def test_containment_drops_a_part_of_a_surer_box(containment, kept):
    assert nms([Box(0, 0, 10, 10), Box(2, 2, 3, 3)], [2, 1], 0.5, containment) == kept


def test_containment_drops_a_large_box_around_a_surer_small_one():
    assert nms([Box(0, 0, 10, 10), Box(2, 2, 3, 3)], [1, 2], 0.5, 0.9) == [1]


def test_an_empty_box_is_contained_in_nothing():
    assert nms([Box(0, 0, 10, 10), Box(2, 2, 0, 3)], [2, 1], 0.5, 0.1) == [0, 1]


@given(scored, st.sampled_from([0.0, 0.3, 0.7]), st.sampled_from([0.5, 1.0]))
def test_suppression_invariants(items, iou, containment):
    located = [box for box, _ in items]
    scores = [score for _, score in items]
    kept = nms(located, scores, iou, containment)

    def clash(i, j):
        smaller = min(located[i].area, located[j].area)
        inside = smaller > 0 and located[i].intersection(located[j]) / smaller > containment
        return located[i].iou(located[j]) > iou or inside

    ranks = [(-scores[i], i) for i in kept]
    assert ranks == sorted(ranks)
    assert not any(clash(i, j) for i in kept for j in kept if i != j)
    for dropped in set(range(len(items))) - set(kept):
        assert any(clash(dropped, k) and (-scores[k], k) < (-scores[dropped], dropped) for k in kept)
