import numpy as np
import pytest

import models
from facetag.errors import DataError, UsageError
from facetag.training.new_attributes import add_attributes


def faces(width: int, count: int = 120) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    features = (5 + 3 * rng.normal(size=(count, width))).astype(np.float32)
    return features, (features[:, :1] > 5).astype(np.int8)


def test_a_new_attribute_is_answered_and_the_others_as_before() -> None:
    model = models.random_model()
    features, values = faces(model.svm.mean.size)
    values[:10] = -1
    larger, told = add_attributes(model, ("Beanie",), features, values, np.arange(len(features)) // 2)
    scores = larger.svm.scores(features)
    assert scores[:, :-1] == pytest.approx(model.svm.scores(features), abs=1e-3)
    known = values[:, 0] >= 0
    present = larger.calibration.probabilities(scores)[:, -1] >= larger.thresholds[-1]
    assert (present[known] == (values[known, 0] == 1)).mean() > 0.95
    assert told["Beanie"].faces == 110 and told["Beanie"].balanced_accuracy > 0.7


def test_what_cannot_be_learned_is_refused() -> None:
    model = models.random_model()
    features, values = faces(model.svm.mean.size)
    who = np.arange(len(features))
    with pytest.raises(DataError, match="Beanie has 0 faces with it and 120 without"):
        add_attributes(model, ("Beanie",), features, np.zeros_like(values), who)
    with pytest.raises(UsageError, match="the model has smiling already"):
        add_attributes(model, ("smiling",), features, values, who)
    for name in ("a=b", "Hair/Red", "Hair|Red"):
        with pytest.raises(UsageError, match="no name of an attribute"):
            add_attributes(model, (name,), features, values, who)
    for name in ("Score", "folder", "present_Beard"):
        with pytest.raises(UsageError, match=f"a column of tables may be called {name}"):
            add_attributes(model, (name,), features, values, who)
