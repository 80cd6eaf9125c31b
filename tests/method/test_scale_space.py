"""Scale-space peaks: a fine grid over scales is the oracle, and loops are for what is vectorised."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from facetag.method.scale_space import Layer, peak_scale, smoothed

SQRT2 = math.sqrt(2)
RESPONSE = np.random.default_rng(0).random((5, 7))


def test_cells_are_where_the_layer_says():
    layer = Layer(RESPONSE, x=3.0, y=-2.0, step=0.5, scale=2.0)
    assert layer.position(0, 0) == (3.0, -2.0)
    assert layer.position(4, 6) == (6.0, 0.0)
    assert all(
        layer.at(*layer.position(row, column)) == RESPONSE[row, column] for row in range(5) for column in range(7)
    )


@given(st.floats(0, 4), st.floats(0, 6), st.floats(0.01, 100), st.floats(-1e3, 1e3))
def test_between_cells_it_is_bilinear(row, column, step, x):
    layer = Layer(RESPONSE, x, -x, step, 1.0)
    across, down = x + column * step, -x + row * step
    found = layer.at(across, down)
    if found is None:  # rounded beyond an edge
        assert min(row, 4 - row, column, 6 - column) < 1e-3
        return
    tents = [np.maximum(1 - np.abs(np.arange(count) - place), 0) for count, place in ((5, row), (7, column))]
    assert found == pytest.approx(tents[0] @ RESPONSE @ tents[1], abs=1e-6 + 1e-9 * abs(x) / step)


@pytest.mark.parametrize(("x", "y"), [(-0.01, 1), (6.01, 1), (1, -0.01), (1, 4.01), (math.inf, 1), (-9, -9)])
def test_beyond_the_outermost_cells_it_is_silent(x, y):
    layer = Layer(RESPONSE, 0.0, 0.0, 1.0, 1.0)
    assert layer.at(x, y) is None
    assert layer.at(min(max(x, 0), 6), min(max(y, 0), 4)) is not None


def test_a_single_cell_answers_at_its_middle_alone():
    layer = Layer(np.array([[3.0]]), 5.0, 6.0, 1.0, 1.0)
    assert layer.at(5, 6) == 3 and layer.at(5.1, 6) is None


def layers(answer, scales):
    """Layers of a blob amid 16 pixels, where each has a cell; its height at each scale is `answer`'s."""
    made = []
    for scale in scales:
        count = 2 * round(4 * scale)
        step = 16 / count
        rows, columns = np.indices((count + 1, count + 1)) * step
        blob = np.exp(-((columns - 8) ** 2 + (rows - 8) ** 2) / 20)
        made.append(Layer(answer(scale) * blob, 0.0, 0.0, step, scale))
    return made


def found_scales(made):
    """By every peak of every layer."""
    found = []
    for index, layer in enumerate(made):
        row, column = np.unravel_index(layer.response.argmax(), layer.response.shape)
        scale = peak_scale(made, index, int(row), int(column))
        if scale is not None:
            found.append(scale)
    return found


@examples(max_examples=30)
@given(st.floats(1.2, 4.7), st.floats(0.5, 2))
def test_the_scale_is_that_of_a_fine_grid(true, width):
    """A blob that answers the most at one scale, seen at steps of sqrt(2), against steps of a thousandth."""

    def answer(scale):
        return np.exp(-((np.log(scale / true) / width) ** 2))

    scales = [SQRT2**power for power in range(6)]
    grid = np.geomspace(1, 8, 4000)
    fine = grid[np.argmax([answer(scale) for scale in grid])]
    (found,) = found_scales(layers(answer, scales))
    assert abs(math.log(found / fine)) < 0.06  # a sixth of a step
    coarse = min(scales, key=lambda scale: abs(math.log(scale / true)))
    assert abs(math.log(found / coarse)) <= math.log(SQRT2) / 2 + 1e-9


@given(st.floats(-0.17, 0.17), st.floats(0.1, 10), st.floats(0.1, 0.9), st.floats(0.1, 0.9))
def test_a_parabola_is_found_exactly(vertex, curve, down, up):
    """At a cell that all layers have, with unequal steps between the scales."""
    least = 2.01 * abs(vertex)  # so that none responds more than the middle one
    places = [-max(down, least), 0.0, max(up, least)]
    made = [
        Layer(np.full((1, 1), 9 - curve * (place - vertex) ** 2), 0.0, 0.0, 1.0, math.exp(place)) for place in places
    ]
    assert peak_scale(made, 1, 0, 0) == pytest.approx(math.exp(vertex), rel=1e-6)


def cells(*responses):
    """Layers of one cell each at scales 1, 2, 4 ..."""
    return [Layer(np.full((1, 1), float(r)), 0.0, 0.0, 1.0, 2.0**power) for power, r in enumerate(responses)]


@pytest.mark.parametrize(
    ("responses", "expected"),
    [
        ((1, 3, 2), [None, "between", None]),
        ((3, 2, 1), [1.0, None, None]),
        ((1, 2, 3), [None, None, 4.0]),
        ((3, 1, 2), [1.0, None, 4.0]),
        ((5,), [1.0]),
        ((2, 2), [None, 2.0]),  # of two equal ones the larger scale
        ((2, 2, 2), [None, None, 4.0]),
        ((1, 2, 2, 1), [None, None, "between", None]),
    ],
)
def test_a_peak_stays_where_no_neighbour_responds_more(responses, expected):
    made = cells(*responses)
    for index, wanted in enumerate(expected):
        found = peak_scale(made, index, 0, 0)
        if wanted == "between":
            assert found is not None and made[index - 1].scale < found < made[index + 1].scale
        else:
            assert found == wanted


def test_a_neighbour_that_does_not_reach_the_peak_does_not_count():
    far = Layer(np.full((1, 1), 9.0), 100.0, 0.0, 1.0, 4.0)
    below, here = cells(1, 3)
    assert peak_scale([below, here, far], 1, 0, 0) == 2.0, "its own: there is no parabola through two"


@given(st.lists(st.floats(0, 100), min_size=1, max_size=7))
def test_the_largest_of_all_scales_is_always_kept_within_half_a_step(responses):
    made = cells(*responses)
    kept = [peak_scale(made, index, 0, 0) for index in range(len(made))]
    largest = max(range(len(made)), key=lambda index: (responses[index], index))
    assert kept[largest] is not None
    for layer, scale in zip(made, kept, strict=True):
        assert scale is None or abs(math.log2(scale / layer.scale)) <= 0.5 + 1e-9


def smoothed_by_loops(response, sigma):
    reach = math.ceil(3 * sigma)
    rows, columns = response.shape
    result = np.zeros_like(response)
    for row in range(rows):
        for column in range(columns):
            total = weight = 0.0
            for down in range(-reach, reach + 1):
                for across in range(-reach, reach + 1):
                    share = math.exp(-(down**2 + across**2) / (2 * sigma**2))
                    near = min(max(row + down, 0), rows - 1), min(max(column + across, 0), columns - 1)
                    total += share * response[near]
                    weight += share
            result[row, column] = total / weight
    return result


@pytest.mark.parametrize("sigma", [0.3, 0.5, 1.0, 2.2])
@pytest.mark.parametrize("shape", [(5, 7), (1, 6), (1, 1), (9, 2)])
def test_smoothing_is_a_gaussian_with_its_edge_repeated(shape, sigma):
    response = np.random.default_rng(1).random(shape)
    before = response.copy()
    np.testing.assert_allclose(smoothed(response, sigma), smoothed_by_loops(response, sigma), atol=1e-12)
    np.testing.assert_array_equal(response, before)


def test_smoothing_by_nothing_is_the_map_and_a_constant_stays():
    assert smoothed(RESPONSE, 0.0) is RESPONSE
    np.testing.assert_allclose(smoothed(np.full((4, 3), 2.5), 1.7), 2.5)
