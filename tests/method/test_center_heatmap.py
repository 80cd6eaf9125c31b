"""Maps and boxes: the targets of faces bring the same faces back; ignore regions have no weight."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facetag.geometry import Box
from facetag.method.center_heatmap import TARGETS, find_centers, heatmap_targets

STRIDE, CELLS, SLOT = 8, 24, 8  # 3 x 3 slots of 8 x 8 cells, a face in each at most
NOTHING = -20.0


def as_answered(targets):
    """The maps of a network that answers just its targets: logits of the heat, then offsets and sides."""
    heat = np.clip(targets.heat.astype(np.float64), 1e-6, 1 - 1e-6)
    maps = [np.log(heat / (1 - heat)), targets.right, targets.down, targets.width, targets.height]
    return np.stack(maps).astype(np.float32)


def maps_of(logits, width=1.0, height=1.0, right=0.0, down=0.0):
    logits = np.asarray(logits, np.float32)
    return np.stack([logits, *(np.full(logits.shape, value, np.float32) for value in (right, down, width, height))])


def by_place(boxes):
    return sorted(boxes, key=lambda box: (round(box.center[1]), round(box.center[0])))


def assert_same_boxes(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(by_place(found), by_place(expected), strict=True):
        assert (one.x, one.y, one.width, one.height) == pytest.approx(
            (other.x, other.y, other.width, other.height), abs=0.01
        )


slots = st.lists(st.integers(0, 8), unique=True, max_size=9)
places = st.floats(2, 6)


@given(slots, st.data())
def test_what_faces_ought_to_give_brings_the_same_faces_back(chosen, data):
    faces = []
    for slot in chosen:
        x, y = (SLOT * (number + data.draw(places) / SLOT) * STRIDE for number in (slot % 3, slot // 3))
        height = data.draw(st.floats(0.5, 5.5)) * STRIDE
        faces.append(Box.around(x, y, 0.8 * height, height))
    maps = as_answered(heatmap_targets(faces, (), (CELLS, CELLS), STRIDE))
    found = find_centers(maps, STRIDE, 5.0)
    assert_same_boxes([center.box for center in found], faces)


@given(st.floats(1, 40), st.floats(0, CELLS * 0.999), st.floats(0, 15.99), st.floats(0.5, 2), st.sampled_from([4, 8]))
def test_a_face_of_any_size_at_any_place_comes_back(cells_high, x, y, ratio, stride):
    face = Box.around(x * stride, y * stride, ratio * cells_high * stride, cells_high * stride)
    maps = as_answered(heatmap_targets([face], (), (16, CELLS), stride))
    (found,) = find_centers(maps, stride, 5.0)
    assert_same_boxes([found.box], [face])


def test_a_middle_beyond_the_frame_is_none():
    targets = heatmap_targets([Box.around(-2, 44, 32, 40)], (), (CELLS, CELLS), STRIDE)
    assert targets.heat.max() < 1
    assert 0 < targets.box_weight[5, 0] < 1  # where it lies can still be told from the cell next to it
    assert targets.right[5, 0] == pytest.approx(-0.75)


def test_heat_falls_off_around_the_middle_by_the_size_of_the_face():
    small, large = (
        heatmap_targets([Box.around(100, 100, height, height)], (), (CELLS, CELLS), STRIDE).heat for height in (16, 160)
    )
    for heat in (small, large):
        assert heat[12, 12] == heat.max() == 1
        along = heat[12, 12:]
        assert (np.diff(along) <= 0).all()
    assert small[12, 16] < 0.01 < 0.1 < large[12, 16]


def test_weights_say_where_being_wrong_counts():
    face, ignored = Box.around(36, 36, 24, 32), Box(120, 120, 40, 40)
    targets = heatmap_targets([face], [ignored], (CELLS, CELLS), STRIDE, far=0.25)
    assert targets.heat_weight[4, 4] == 1 and targets.heat_weight[4, 20] == 0.25
    middles = (np.arange(CELLS) + 0.5) * STRIDE
    inside = (middles >= 120) & (middles <= 160)
    assert inside.sum() == 5
    np.testing.assert_array_equal(targets.heat_weight == 0, inside[:, None] & inside[None, :])
    assert targets.box_weight[4, 4] == 1 and not targets.box_weight[:, 8:].any() and not targets.box_weight[8:].any()
    assert targets.box_weight.max() == 1


def test_a_face_before_a_ignored_one_is_asked_for():
    face = Box.around(100, 100, 40, 48)
    targets = heatmap_targets([face], [Box(0, 0, 192, 192)], (CELLS, CELLS), STRIDE)
    assert targets.heat_weight[12, 12] == targets.box_weight[12, 12] == 1
    assert targets.heat_weight[0, 0] == 0


def test_of_two_faces_at_one_place_the_smaller_is_asked_for():
    small, large = Box.around(100, 100, 16, 20), Box.around(101, 101, 80, 100)
    for faces in ([small, large], [large, small]):
        targets = heatmap_targets(faces, (), (CELLS, CELLS), STRIDE)
        assert targets.height[12, 12] == pytest.approx(np.log(20 / 8))
        assert targets.width[12, 12] == pytest.approx(np.log(16 / 8))


def test_heatmap_targets_are_stacked_in_the_order_of_their_names():
    targets = heatmap_targets([Box.around(50, 60, 40, 48)], [Box(120, 120, 30, 30)], (9, 11), STRIDE, 0.5)
    stacked = targets.stacked()
    assert stacked.shape == (TARGETS, 9, 11) and stacked.dtype == np.float32
    for number, values in enumerate(vars(targets).values()):
        np.testing.assert_array_equal(stacked[number], values)


def test_the_surest_comes_first_and_ties_in_order_of_rows():
    logits = np.full((9, 9), NOTHING)
    logits[1, 1], logits[1, 5], logits[5, 1], logits[5, 5] = 1, 3, 3, 2
    found = find_centers(maps_of(logits), STRIDE, -5.0)
    assert [center.logit for center in found] == [3, 3, 2, 1]
    assert [center.box.center for center in found] == [(44, 12), (12, 44), (44, 44), (12, 12)]


def test_neighbours_with_equal_logits_are_both_middles_and_a_weaker_neighbour_is_none():
    logits = np.full((5, 5), NOTHING)
    logits[2, 2] = logits[2, 3] = 1
    logits[3, 1] = 0.5
    found = find_centers(maps_of(logits), STRIDE, -5.0)
    assert [center.box.center for center in found] == [(20, 20), (28, 20)]


def test_a_middle_may_lie_in_a_corner_and_has_at_least_the_least_logit():
    logits = np.full((3, 4), NOTHING)
    logits[0, 0], logits[2, 3] = -5.0, -5.1
    (found,) = find_centers(maps_of(logits), STRIDE, -5.0)
    assert found.box.center == (4, 4)


def test_a_box_has_the_sides_and_the_centre_of_its_cell():
    logits = np.full((4, 4), NOTHING)
    logits[1, 2] = 0
    (found,) = find_centers(maps_of(logits, np.log(3), np.log(5), 0.25, -0.5), STRIDE, -5.0)
    assert (found.box.width, found.box.height) == pytest.approx((24, 40))
    assert found.box.center == pytest.approx(((2 + 0.5 + 0.25) * 8, (1 + 0.5 - 0.5) * 8))


def test_answers_beyond_all_sense_are_finite_boxes_or_none():
    logits = np.full((3, 3), NOTHING)
    logits[1, 1] = 1000
    (huge,) = find_centers(maps_of(logits, 1e30, 1e30), STRIDE, -5.0)
    (tiny,) = find_centers(maps_of(logits, -1e30, -1e30), STRIDE, -5.0)
    assert np.isfinite(huge.box.height) and huge.box.height > 1e3 and tiny.box.height == 0
    assert find_centers(maps_of(np.full((3, 3), np.nan)), STRIDE, -5.0) == []


def test_a_picture_of_a_batch_is_answered_as_alone():
    batch = np.random.default_rng(0).normal(size=(5, 5, 12, 16)).astype(np.float32)
    for maps in batch:
        alone = find_centers(np.ascontiguousarray(maps.copy()), STRIDE, -1.0)
        assert find_centers(maps, STRIDE, -1.0) == alone and alone
    turned = batch.transpose(0, 2, 3, 1)  # channels last in memory, as the net may answer
    strided = np.ascontiguousarray(turned).transpose(0, 3, 1, 2)
    assert find_centers(strided[2], STRIDE, -1.0) == find_centers(batch[2], STRIDE, -1.0)
