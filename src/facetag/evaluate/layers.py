"""What each layer of ANet knows (paper, section 5.1 and Fig. 9): a linear probe a layer and attribute.

A probe is ridge regression to -1 and 1 on standardised answers of one layer; its strength is chosen inside of what it
is fitted on. Every answer is of a probe that has not seen the person: folds are cut by identity. Beside the probes:
how well a layer's answers tell who is who, without any fit but a threshold's.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from facetag.attributes import ATTRIBUTES
from facetag.errors import DataError
from facetag.evaluate.bootstrap import Bootstrap, interval, mean_defined, ratio
from facetag.method.verification import FEWEST_PEOPLE, Verification, verify

FOLDS = 5
FEWEST = 20  #: faces that have an attribute, and that have it not; with fewer it is left out
STRENGTHS = tuple(10.0**power for power in range(7))

#: What stays with a person from image to image: gender, age and the shape of the face and its parts, as the paper says.
IDENTITY_RELATED = (
    "Male", "Young", "Chubby", "Double_Chin", "Bald", "Arched_Eyebrows", "Big_Lips", "Big_Nose", "Bushy_Eyebrows",
    "Narrow_Eyes", "Oval_Face", "Pointy_Nose", "Receding_Hairline",
)  # fmt: skip

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Probe:
    """One layer.

    Attributes:
        units: how many answers it gives.
        accuracy, auc: (A,) of the faces that have a label; the area under the ROC curve does not hang on how common an
            attribute is. nan where too few faces have the attribute or have it not.
    """

    units: int
    accuracy: Values
    auc: Values


@dataclass(frozen=True)
class LayerGain:
    """FC's accuracy less another layer's, over a group of attributes: the mean and its 95 % interval."""

    layer: str
    group: str
    difference: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class LayersReport:
    """Probes of one net on so many faces of so many persons.

    Attributes:
        majority: (A,) accuracy of the more common answer; nan where no probe was fitted.
        verification: by layer, how well its answers tell pairs of one person from pairs of two; empty where fewer than
            four persons have two faces.
    """

    faces: int
    persons: int
    probes: dict[str, Probe]
    majority: Values
    gains: list[LayerGain]
    verification: dict[str, Verification] = field(default_factory=dict)


def measure_layers(
    layers: Mapping[str, NDArray[np.float32]],
    values: NDArray[np.int8],
    identities: NDArray[np.int64],
    seed: int = 0,
) -> LayersReport:
    """Probe layers (M, D) for attributes (M, A), -1 = unknown.

    Raises:
        DataError: there are too few persons or labels.
    """
    usable = _usable(values)
    persons = len(np.unique(identities))
    if persons < FOLDS or not usable.any():
        raise DataError(
            f"{len(values)} faces of {persons} persons are too few to probe layers with",
            f"bring {FEWEST} faces with an attribute and without it, of {FOLDS} persons or more",
        )
    scores = {name: _scores(answers, values, usable, identities, seed) for name, answers in layers.items()}
    probes = {name: _probe(layers[name].shape[1], each, values) for name, each in scores.items()}
    known = values >= 0
    fractions = ratio(((values == 1) & known).sum(0).astype(float), known.sum(0).astype(float))
    majority = np.where(usable, np.maximum(fractions, 1 - fractions), np.nan)
    gains = _gains(scores, values, identities, seed)
    return LayersReport(len(values), persons, probes, majority, gains, _verified(layers, identities, seed))


def _verified(
    layers: Mapping[str, NDArray[np.float32]], identities: NDArray[np.int64], seed: int
) -> dict[str, Verification]:
    if (np.unique(identities, return_counts=True)[1] > 1).sum() < FEWEST_PEOPLE:
        return {}
    return {name: verify(answers, identities, seed=seed) for name, answers in layers.items()}


def attribute_group(name: str) -> str:
    """Which of the paper's two groups an attribute is of."""
    return "identity-related" if name in IDENTITY_RELATED else "other"


def _usable(values: NDArray[np.int8]) -> NDArray[np.bool_]:
    return np.asarray(((values == 1).sum(0) >= FEWEST) & ((values == 0).sum(0) >= FEWEST))


def _scores(
    answers: NDArray[np.float32],
    values: NDArray[np.int8],
    usable: NDArray[np.bool_],
    identities: NDArray[np.int64],
    seed: int,
) -> Values:
    """(M, A) out-of-fold scores, present from 0 on; nan without a label or a probe."""
    scores = np.full(values.shape, np.nan)
    for rows, columns in _labeled_alike(values, usable):
        folds = GroupKFold(FOLDS, shuffle=True, random_state=seed).split(rows, groups=identities[rows])
        for fitted, left in folds:
            targets = 2.0 * values[np.ix_(rows[fitted], columns)] - 1
            probe = make_pipeline(StandardScaler(), RidgeCV(STRENGTHS, alpha_per_target=True))
            probe.fit(answers[rows[fitted]], targets)
            found = probe.predict(answers[rows[left]])
            scores[np.ix_(rows[left], columns)] = found.reshape(len(left), len(columns))
    return scores


def _labeled_alike(
    values: NDArray[np.int8], usable: NDArray[np.bool_]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Attributes that are known of the same faces are fitted together: (faces, attributes)."""
    groups: dict[bytes, list[int]] = {}
    for column in np.flatnonzero(usable):
        groups.setdefault((values[:, column] >= 0).tobytes(), []).append(int(column))
    for columns in groups.values():
        yield np.flatnonzero(values[:, columns[0]] >= 0), np.array(columns)


def _probe(units: int, scores: Values, values: NDArray[np.int8]) -> Probe:
    known = ~np.isnan(scores)
    right = (scores >= 0) == (values == 1)
    accuracy = ratio((right & known).sum(0).astype(float), known.sum(0).astype(float))
    return Probe(units, accuracy, np.array([_auc(scores[:, a], values[:, a]) for a in range(values.shape[1])]))


def _auc(scores: Values, labels: NDArray[np.int8]) -> float:
    known = ~np.isnan(scores)
    return float(roc_auc_score(labels[known], scores[known])) if known.any() else float("nan")


def _gains(
    scores: Mapping[str, Values], values: NDArray[np.int8], identities: NDArray[np.int64], seed: int
) -> list[LayerGain]:
    bootstrap = Bootstrap(identities, seed)
    accuracies = {name: _drawn(bootstrap, each, values) for name, each in scores.items()}
    gains = []
    for group in ("identity-related", "other"):
        columns = [index for index, name in enumerate(ATTRIBUTES) if attribute_group(name) == group]
        for name in (each for each in scores if each != "fc"):
            draws = mean_defined((accuracies["fc"] - accuracies[name])[:, columns])
            low, high = interval(draws[1:])
            gains.append(LayerGain(name, group, float(draws[0]), float(low), float(high)))
    return gains


def _drawn(bootstrap: Bootstrap, scores: Values, values: NDArray[np.int8]) -> Values:
    known = ~np.isnan(scores)
    right = known & ((scores >= 0) == (values == 1))
    return ratio(bootstrap.sums(right), bootstrap.sums(known))
