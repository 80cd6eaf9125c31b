import numpy as np
import pytest

from facetag.attributes import ATTRIBUTES
from facetag.errors import DataError
from facetag.evaluate.neurons import mean_faces, measure_neurons, unit_correlations

SMILING = ATTRIBUTES.index("Smiling")


def answers_and_labels() -> tuple[np.ndarray, np.ndarray]:
    """Unit 0 answers who smiles, unit 1 never answers, unit 2 always, others anybody."""
    rng = np.random.default_rng(0)
    values = np.full((200, len(ATTRIBUTES)), -1, np.int8)
    values[:, SMILING] = rng.random(200) < 0.5
    fc = np.maximum(rng.normal(size=(200, 8)), 0).astype(np.float32)
    fc[:, 0] += 5 * values[:, SMILING]
    fc[:, 1], fc[:, 2] = 0, 1
    return fc, values


def test_units_are_told_apart() -> None:
    fc, values = answers_and_labels()
    report = measure_neurons({"c3": fc[:, :2], "fc": fc}, values)
    assert report.units[0].attribute == "Smiling" and report.units[0].correlation > 0.9
    assert report.telling(3) == [report.units[0]]
    assert (report.units[1].living, report.units[1].attribute) == (False, "") and not report.units[2].living
    assert report.living == {"c3": 0.5, "fc": 0.75}
    assert report.active == pytest.approx((fc > 0).mean())
    smiling = values[:, SMILING] == 1
    assert (report.strongest[smiling, 0] == 0).mean() > 0.9 and report.strongest.shape == (200, 5)
    assert 1 < report.carriers < 6


def test_few_units_carry_a_sparse_answer() -> None:
    fc = np.eye(10, dtype=np.float32)[np.arange(50) % 10]
    report = measure_neurons({"fc": fc}, np.full((50, len(ATTRIBUTES)), -1, np.int8))
    assert (report.carriers, report.active, report.telling(9)) == (1, pytest.approx(0.1), [])


def test_mean_faces_are_of_high_medium_and_low_responders() -> None:
    shades = np.random.default_rng(0).permutation(200).astype(np.uint8)
    windows = np.broadcast_to(shades[:, None, None, None], (200, 4, 3, 3)).astype(np.uint8)
    high, medium, low = mean_faces(shades.astype(float), windows)
    assert (high.mean(), medium.mean(), low.mean()) == (pytest.approx(184.5, abs=1), pytest.approx(99.5, abs=1), 14)


def test_correlations_are_pearsons_where_labels_are_known() -> None:
    fc, values = answers_and_labels()
    values[:50, SMILING] = -1
    found = unit_correlations(fc.astype(float), values)
    assert found[4, SMILING] == pytest.approx(np.corrcoef(fc[50:, 4], values[50:, SMILING])[0, 1])
    assert np.isnan(found[1]).all() and np.isnan(found[:, 0]).all()


def test_two_faces_are_refused() -> None:
    with pytest.raises(DataError, match="2 faces have no mean faces"):
        measure_neurons({"fc": np.ones((2, 4), np.float32)}, np.zeros((2, 40), np.int8))
