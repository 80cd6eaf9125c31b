import numpy as np
import pytest

from facetag.attributes import ATTRIBUTES
from facetag.errors import DataError
from facetag.evaluate import figure_report
from facetag.evaluate.layers import IDENTITY_RELATED, measure_layers

MALE, SMILING, BALD = (ATTRIBUTES.index(name) for name in ("Male", "Smiling", "Bald"))


def faces(persons: int = 40, each: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Labels of three attributes, others unknown, and who is shown. Male stays with a person."""
    rng = np.random.default_rng(0)
    identities = np.repeat(np.arange(persons), each)
    values = np.full((len(identities), len(ATTRIBUTES)), -1, np.int8)
    values[:, MALE] = (rng.random(persons) < 0.5)[identities]
    values[:, SMILING] = rng.random(len(identities)) < 0.5
    values[:5, BALD] = [0, 1, 0, 1, 0]
    return values, identities


def test_probes_find_what_a_layer_holds_and_no_more() -> None:
    values, identities = faces()
    noise = np.random.default_rng(1).normal(size=(len(values), 20)).astype(np.float32)
    c3, fc = noise.copy(), noise.copy()
    c3[:, 3] += 4 * values[:, SMILING]
    fc[:, 0] += 4 * values[:, MALE]
    report = measure_layers({"c3": c3, "fc": fc}, values, identities)
    assert report.probes["c3"].auc[SMILING] > 0.95 and report.probes["fc"].auc[MALE] > 0.95
    assert report.probes["c3"].auc[MALE] < 0.7 and report.probes["fc"].auc[SMILING] < 0.7
    assert np.isnan(report.probes["fc"].auc[BALD]) and np.isnan(report.majority[BALD])
    gains = {gain.group: gain for gain in report.gains}
    assert gains["identity-related"].low > 0 > gains["other"].high
    assert "Male" in IDENTITY_RELATED and gains["other"].low <= gains["other"].difference <= gains["other"].high
    difference = report.probes["fc"].accuracy[SMILING] - report.probes["c3"].accuracy[SMILING]
    assert gains["other"].difference == pytest.approx(difference)


def test_a_probe_never_sees_the_persons_that_it_answers() -> None:
    """A layer that says who it is would tell Male of anybody whose other images were fitted."""
    values, identities = faces()
    who = np.eye(identities.max() + 1, dtype=np.float32)[identities]
    assert measure_layers({"fc": who}, values, identities).probes["fc"].auc[MALE] < 0.7


def test_layers_tell_persons_apart_as_far_as_they_know_them() -> None:
    values, identities = faces()
    who = np.eye(identities.max() + 1, dtype=np.float32)[identities]
    layers = {"c3": np.random.default_rng(3).normal(size=who.shape).astype(np.float32), "fc": who}
    report = measure_layers(layers, values, identities)
    assert report.verification["fc"].accuracy == 1.0 > 0.6 > report.verification["c3"].accuracy
    lone = measure_layers(layers, values, np.arange(len(identities)))
    assert lone.verification == {}
    shown, plain = (figure_report.layers_tables({"identities": each}) for each in (report, lone))
    assert [row[0] for row in shown[-1].rows] == ["c3", "fc"] and len(shown) == len(plain) + 1
    assert figure_report.layers_json({"identities": report})["nets"]["identities"]["verification"]["fc"]["auc"] == 1.0


def test_too_few_persons_or_labels_are_refused() -> None:
    values, identities = faces()
    answers = {"fc": np.ones((len(values), 2), np.float32)}
    with pytest.raises(DataError, match="faces of 1 persons are too few"):
        measure_layers(answers, values, np.zeros_like(identities))
    with pytest.raises(DataError, match="too few"):
        measure_layers(answers, np.zeros_like(values), identities)
