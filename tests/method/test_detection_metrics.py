"""Localization: matching, and recall by IoU, by false positives per image and by size."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facetag.geometry import Box
from facetag.method.detection_metrics import (
    Located,
    froc,
    match,
    recall_by_false_positives,
    recall_by_iou,
    recall_by_size,
)

FACE = Box(0, 0, 10, 10)
OTHER = Box(50, 0, 20, 20)
NOWHERE = Box(200, 200, 10, 10)

box = st.builds(Box, st.integers(0, 9), st.integers(0, 9), st.integers(1, 9), st.integers(1, 9))
photograph = st.builds(
    lambda located, truths: Located([b for b, _ in located], [s for _, s in located], truths),
    st.lists(st.tuples(box, st.integers(0, 3)), max_size=4),
    st.lists(box, max_size=3),
)
photographs = st.lists(photograph, max_size=4)


def test_match_by_hand():
    located = [Box(2, 0, 10, 10), FACE, NOWHERE, OTHER]
    assert match(located, [0.9, 0.8, 0.7, 0.6], [FACE, OTHER], 0.5).tolist() == [0, -1, -1, 1]
    assert match(located, [0.7, 0.8, 0.9, 0.6], [FACE, OTHER], 0.5).tolist() == [-1, 0, -1, 1]


def test_match_takes_the_best_free_truth_and_the_first_of_equals():
    near = [Box(2, 0, 10, 10), FACE]
    assert match([FACE, FACE], [2, 1], near, 0.5).tolist() == [1, 0]
    assert match([FACE], [1], [FACE, FACE], 0.5).tolist() == [0]
    assert match([FACE, FACE], [1, 1], [FACE], 0.5).tolist() == [0, -1]


def test_match_counts_an_iou_of_exactly_the_limit():
    half = Box(0, 0, 10, 5)
    assert match([half], [1], [FACE], 0.5).tolist() == [0]
    assert match([half], [1], [FACE], 0.5001).tolist() == [-1]


def test_recall_by_iou_counts_an_empty_photograph_as_a_miss():
    images = [Located([Box(0, 0, 10, 6)], [1.0], [FACE]), Located([], [], [FACE])]
    assert recall_by_iou(images, [0.5, 0.6, 0.7]).tolist() == [0.5, 0.5, 0.0]


def test_froc_by_hand():
    images = [
        Located([FACE, NOWHERE], [0.9, 0.8], [FACE]),
        Located([NOWHERE, OTHER], [0.8, 0.5], [OTHER]),
        Located([], [], [FACE]),
        Located([NOWHERE], [0.1], []),
    ]
    curve = froc(images, 0.5)
    assert curve.thresholds.tolist() == [0.9, 0.8, 0.5, 0.1]
    assert curve.recall == pytest.approx([1 / 3, 1 / 3, 2 / 3, 2 / 3])
    assert curve.false_positives.tolist() == [0.0, 0.5, 0.5, 0.75]
    assert recall_by_false_positives(images, [0, 0.4, 0.5, 9]) == pytest.approx([1 / 3, 1 / 3, 2 / 3, 2 / 3])


def test_equal_scores_share_one_threshold():
    images = [Located([FACE, NOWHERE], [0.5, 0.5], [FACE])]
    assert recall_by_false_positives(images, [0.5, 1.0]).tolist() == [0.0, 1.0]


def test_recall_by_size_by_hand():
    images = [Located([FACE, OTHER], [2, 1], [FACE, OTHER, Box(100, 0, 12, 20)])]
    recall, counts = recall_by_size(images, [0, 10, 20, 40, 80])
    assert counts.tolist() == [0, 1, 2, 0]
    assert recall == pytest.approx([math.nan, 1.0, 0.5, math.nan], nan_ok=True)


@pytest.mark.parametrize("images", [[], [Located([FACE], [1.0], [])]])
def test_no_true_box_gives_nan_without_warnings(images):
    assert np.isnan(recall_by_iou(images, [0.5])).all()
    assert np.isnan(recall_by_false_positives(images, [0.0, 1.0])).all()
    assert np.isnan(recall_by_size(images, [0, 100])[0]).all()


def test_truths_without_located_boxes_give_zero():
    images = [Located([], [], [FACE])]
    assert recall_by_iou(images, [0.5]).tolist() == [0]
    assert recall_by_false_positives(images, [0.0, 1.0]).tolist() == [0, 0]
    assert len(froc(images, 0.5).thresholds) == 0


@given(photographs)
def test_matching_is_one_to_one_and_close_enough(images):
    for image in images:
        found = match(image.boxes, image.scores, image.truths, 0.3)
        taken = found[found >= 0].tolist()
        assert len(taken) == len(set(taken))
        assert all(image.boxes[i].iou(image.truths[t]) >= 0.3 for i, t in enumerate(found) if t >= 0)
        for index in np.flatnonzero(found < 0):
            assert all(t in taken for t, truth in enumerate(image.truths) if image.boxes[index].iou(truth) >= 0.3)


@given(photographs)
def test_froc_equals_dropping_boxes_under_each_threshold(images):
    curve = froc(images, 0.3)
    for threshold, recall, false_positives in zip(curve.thresholds, curve.recall, curve.false_positives, strict=True):
        kept = []
        for image in images:
            sure = [i for i, score in enumerate(image.scores) if score >= threshold]
            kept.append(Located([image.boxes[i] for i in sure], [image.scores[i] for i in sure], image.truths))
        wrong = sum((match(i.boxes, i.scores, i.truths, 0.3) < 0).sum() for i in kept)
        assert false_positives == pytest.approx(wrong / len(images))
        assert recall == pytest.approx(recall_by_iou(kept, [0.3])[0], nan_ok=True)


@given(photographs)
def test_sizes_together_give_the_whole_recall(images):
    recall, counts = recall_by_size(images, [0, 3, 6, 100], iou=0.3)
    if counts.sum():
        assert np.nansum(recall * counts) / counts.sum() == pytest.approx(recall_by_iou(images, [0.3])[0])
