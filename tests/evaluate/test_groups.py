import numpy as np
import pytest

from facetag.attributes import ATTRIBUTES
from facetag.evaluate.attributes import Tagged
from facetag.evaluate.groups import GROUPS, IMPOSSIBLE, measure_groups
from facetag.geometry import Box
from facetag.localization.base import Detection

MALE, GOATEE, NO_BEARD = (ATTRIBUTES.index(name) for name in ("Male", "Goatee", "No_Beard"))


def test_errors_are_of_each_group_and_missed_faces_are_none_of_them() -> None:
    values = np.zeros((8, len(ATTRIBUTES)), np.int8)
    values[4:, MALE] = 1
    present = values == 1
    present[0, GOATEE] = True  # one of four women is wrong
    faces = [Detection(Box(0, 0, 1, 1), 1.0)] * 7 + [None]
    measured = measure_groups(Tagged(faces, present.astype(float), present), values, np.arange(8))
    assert measured.faces.tolist() == [4, 3, 7, 0]
    assert measured.errors[0, GOATEE] == 0.25 and measured.errors[1, GOATEE] == 0
    gap, low, high = (each[GOATEE] for each in measured.gaps["sex"])
    assert gap == 0.25 and low <= gap <= high and np.isnan(measured.gaps["age"][0][GOATEE])


def test_impossible_answers_are_counted_beside_those_of_the_labels() -> None:
    values = np.zeros((4, len(ATTRIBUTES)), np.int8)
    values[0, [GOATEE, NO_BEARD]] = 1
    values[1, GOATEE] = -1
    present = np.zeros(values.shape, np.bool_)
    present[:2, [GOATEE, NO_BEARD]] = True
    faces = [Detection(Box(0, 0, 1, 1), 1.0)] * 4
    pair = measure_groups(Tagged(faces, present.astype(float), present), values, np.arange(4)).impossible[0]
    assert (pair.first, pair.second) == ("No_Beard", "Goatee")
    assert pair.answered == 0.5 and pair.labeled == pytest.approx(1 / 3)


def test_groups_and_pairs_are_of_attributes() -> None:
    assert {name for _, name, _ in GROUPS} | {name for pair in IMPOSSIBLE for name in pair} <= set(ATTRIBUTES)
