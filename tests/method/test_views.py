"""Views of a face: offsets, combination and the anchor of Eq. (5)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from facetag.errors import UsageError
from facetag.method.svm import LinearSVM
from facetag.method.views import best_anchor, combine, view_offsets


def test_nine_views_of_the_paper():
    nine = ((-8, -8), (-8, 0), (-8, 8), (0, -8), (0, 0), (0, 8), (8, -8), (8, 0), (8, 8))
    assert view_offsets(radius=8, step=8) == nine


@pytest.mark.parametrize(("radius", "step", "count"), [(0, 8, 1), (8, 4, 25), (4, 4, 9), (16, 8, 25)])
def test_number_of_views(radius, step, count):
    offsets = view_offsets(radius, step)
    assert len(set(offsets)) == count == (2 * radius // step + 1) ** 2
    assert offsets[count // 2] == (0, 0)


@pytest.mark.parametrize(("radius", "step"), [(8, 3), (8, 0), (-8, 8)])
def test_impossible_views_are_a_users_mistake(radius, step):
    with pytest.raises(UsageError, match="cannot be"):
        view_offsets(radius, step)


def test_combine_by_hand():
    features = np.array([[[1, 2], [3, 4]], [[5, 6], [7, 8]]], dtype=np.float32)
    assert combine(features, "concatenate").tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert combine(features, "average").tolist() == [[2, 3], [6, 7]]
    assert features[0, 0].tolist() == [1, 2]


def test_score_of_the_average_is_the_average_of_scores():
    rng = np.random.default_rng(0)
    svm = LinearSVM(rng.normal(size=(3, 5)), rng.normal(size=3), rng.normal(size=5), rng.uniform(0.5, 2, 5))
    features = rng.normal(size=(4, 9, 5)).astype(np.float32)
    by_view = np.stack([svm.scores(features[:, view]) for view in range(9)], axis=1)
    assert svm.scores(combine(features, "average")) == pytest.approx(by_view.mean(axis=1), abs=1e-5)


@pytest.mark.parametrize("count", [1, 7, 64])
def test_average_has_the_same_bytes_in_every_batch(count):
    features = np.random.default_rng(1).normal(size=(64, 9, 160)).astype(np.float32)
    whole = combine(features, "average")
    assert combine(features[:count], "average").tobytes() == whole[:count].tobytes()


def test_anchor_by_hand():
    scores = np.zeros((5, 5))
    scores[0, 0] = 9
    scores[1, 3] = 2
    assert best_anchor(scores, margin=0) == (0, 0)
    assert best_anchor(scores, margin=1) == (1, 3)
    assert best_anchor(scores, margin=2) == (2, 2)


@pytest.mark.parametrize(("shape", "anchor"), [((3, 3), (1, 1)), ((4, 4), (1, 1)), ((4, 3), (1, 1)), ((2, 5), (0, 2))])
def test_equal_scores_go_to_the_middle_then_row_major(shape, anchor):
    assert best_anchor(np.ones(shape), margin=0) == anchor


def test_no_anchor_holds_all_views():
    with pytest.raises(AssertionError):
        best_anchor(np.ones((2, 3)), margin=1)


@given(arrays(np.float32, (5, 6), elements=st.integers(0, 2)), st.integers(0, 2))
def test_anchor_equals_brute_force(scores, margin):
    inside = [(r, c) for r in range(margin, 5 - margin) for c in range(margin, 6 - margin)]
    wanted = min(inside, key=lambda a: (-scores[a], (a[0] - 2) ** 2 + (a[1] - 2.5) ** 2, a))
    assert best_anchor(scores, margin) == wanted
