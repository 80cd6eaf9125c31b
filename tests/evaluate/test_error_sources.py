import numpy as np
import pytest

from facetag.evaluate.competitors import Answers
from facetag.evaluate.error_sources import error_sources, sources_table


def test_each_wrong_answer_is_somebodys() -> None:
    truth = np.array([[1, 1], [1, 0], [0, 0], [1, 0]], np.int8)
    fixed = np.array([[1, 1], [0, 0], [1, 0], [1, 0]], bool)  # wrong twice
    found = np.array([[0, 1], [0, 0], [0, 0], [0, 0]], bool)  # box, classifier, gained; the last face is not found
    probabilities = np.array([[0.1, 0.9], [0.2, 0.2], [0.3, 0.1], [np.nan, np.nan]])
    systems = [
        Answers("constant", np.full((4, 2), 0.5), fixed),
        Answers("ours, fixed boxes", np.full((4, 2), 0.5), fixed),
        Answers("ours", probabilities, found),
    ]
    (sources,) = error_sources(systems, truth, np.array([False, False]))
    assert sources.model == "ours" and sources.wrong == 3 / 8
    assert (sources.missed, sources.box, sources.classifier) == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert sources.gained == 1 / 2
    assert sources_table([sources]).rows == [("ours", "37.5", "33.3", "33.3", "33.3", "50.0")]
