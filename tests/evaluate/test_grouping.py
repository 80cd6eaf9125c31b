import numpy as np
import pytest

from facetag.attributes import ATTRIBUTES
from facetag.errors import UsageError
from facetag.evaluate.grouping import label_correlations, measure_grouping

COUNT = len(ATTRIBUTES)
PLANTED = np.arange(COUNT) % 4


def planted(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Weights that point four ways, at any length, and labels that go along with the ways."""
    rng = np.random.default_rng(seed)
    weights = (np.eye(4)[PLANTED] + rng.normal(0, 0.1, (COUNT, 4))) * rng.uniform(0.1, 9, (COUNT, 1))
    values = (rng.normal(size=(300, 4))[:, PLANTED] + rng.normal(size=(300, COUNT)) > 0).astype(np.int8)
    return weights, values


def test_weights_that_point_one_way_make_a_group_whatever_their_length() -> None:
    weights, values = planted()
    found = measure_grouping(weights, values, 4)
    assert all(len(set(found.groups[way == PLANTED])) == 1 for way in range(4)) and len(set(found.groups)) == 4
    assert found.within > 0.2 > abs(found.between)
    assert found.chance < 0.01 and found.agreement_chance < 0.01 and found.agreement > 0.5
    assert [len(set(found.groups[found.order][at : at + 10])) for at in range(0, COUNT, 10)] == [1, 1, 1, 1]


def test_labels_that_have_nothing_to_do_with_the_groups_are_not_called_alike() -> None:
    weights, values = planted()
    found = measure_grouping(weights, np.random.default_rng(5).integers(0, 2, values.shape).astype(np.int8), 4)
    assert found.chance > 0.01 and abs(found.agreement) < 0.2


def test_label_correlations_are_of_images_where_both_are_known() -> None:
    values = planted()[1]
    values[:100, 0] = -1
    values[:, 1] = 1
    values[15:, 2] = -1
    phi = label_correlations(values)
    assert phi[0, 4] == pytest.approx(np.corrcoef(values[100:, 0], values[100:, 4])[0, 1])
    assert np.isnan(phi[1]).all() and np.isnan(phi[2]).all()


def test_more_groups_than_attributes_are_refused() -> None:
    with pytest.raises(UsageError, match="do not make 41 groups"):
        measure_grouping(*planted(), 41)
