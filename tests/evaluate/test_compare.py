import numpy as np
import pytest

from facetag.attributes import ATTRIBUTES
from facetag.errors import DataError
from facetag.evaluate.attributes import Tagged
from facetag.evaluate.bootstrap import Bootstrap, interval
from facetag.evaluate.compare import compare_models
from facetag.geometry import Box
from facetag.localization.base import Detection

COUNT = len(ATTRIBUTES)
MALE = ATTRIBUTES.index("Male")


def tagged(values: np.ndarray, right: np.ndarray, found: np.ndarray | None = None) -> Tagged:
    """Answers that are as right as (N, A) says; where nothing was found there is none."""
    here = np.ones(len(values), bool) if found is None else found
    present = ((values == 1) == right) & here[:, None]
    faces = [Detection(Box(0, 0, 9, 9), 1.0) if each else None for each in here]
    return Tagged(faces, np.where(here[:, None], np.where(present, 0.9, 0.1), np.nan), present)


def labels(images: int = 400) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2, (images, COUNT)).astype(np.int8)


def test_a_better_model_is_told_by_its_interval_and_the_same_model_by_none() -> None:
    values, rng = labels(), np.random.default_rng(1)
    first = rng.random(values.shape) < 0.7
    second = first.copy()
    second[:, MALE] = True
    answers = tagged(values, first), tagged(values, second)
    paired = compare_models(answers, values, np.arange(400)).metrics["accuracy"]
    assert paired.first[MALE] == pytest.approx(first[:, MALE].mean()) and paired.second[MALE] == 1
    assert 0 < paired.low[MALE] < paired.difference[MALE] < paired.high[MALE]
    others = np.arange(COUNT) != MALE
    assert not paired.difference[:-1][others].any() and not paired.high[:-1][others].any()
    assert paired.difference[-1] == pytest.approx(paired.difference[MALE] / COUNT)


def test_balanced_accuracy_and_squared_error() -> None:
    values = np.full((8, COUNT), -1, np.int8)
    values[:, MALE] = [1, 1, 0, 0, 0, 0, 0, 0]
    right = np.ones((8, COUNT), bool)
    worse = right.copy()
    worse[0] = False
    metrics = compare_models((tagged(values, right), tagged(values, worse)), values, np.arange(8)).metrics
    assert (metrics["balanced_accuracy"].first[MALE], metrics["balanced_accuracy"].second[MALE]) == (1, 0.75)
    assert metrics["squared_error"].second[MALE] == pytest.approx((7 * 0.01 + 0.81) / 8)
    assert np.isnan(metrics["accuracy"].difference[0]) and metrics["accuracy"].difference[-1] == -0.125


def test_a_face_that_was_not_found_counts_as_absent() -> None:
    values, found = labels(), np.arange(400) >= 100
    right = np.ones(values.shape, bool)
    report = compare_models((tagged(values, right), tagged(values, right, found)), values, np.arange(400))
    assert report.missed == (0, 100)
    lost = (values[:100, MALE] == 1).sum() / 400
    assert report.metrics["accuracy"].difference[MALE] == pytest.approx(-lost)


def test_images_of_one_person_are_drawn_together() -> None:
    persons = np.repeat(np.arange(20), 20)
    values = np.repeat(np.random.default_rng(0).random((20, 1)) < 0.5, 20, axis=0)
    widths = [
        float(np.subtract(*interval(Bootstrap(each).sums(values)[1:])[::-1])[0]) for each in (persons, np.arange(400))
    ]
    assert widths[0] > 3 * widths[1]


def test_no_label_at_all_is_refused() -> None:
    values = np.full((3, COUNT), -1, np.int8)
    answers = tagged(values, values == 0)
    with pytest.raises(DataError, match="no image has a label"):
        compare_models((answers, answers), values, np.arange(3))
