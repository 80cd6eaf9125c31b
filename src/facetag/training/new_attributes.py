"""Attributes that a model never learned (paper, Fig. 12): an SVM each on the features of its nets, which stay as they
are."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from facetag.attributes import is_attribute_name
from facetag.errors import DataError, UsageError
from facetag.formats.writers.layout import is_taken
from facetag.method.attribute_metrics import balanced_accuracy
from facetag.method.calibration import Calibration
from facetag.method.svm import LinearSVM
from facetag.model import Model
from facetag.training.competitors.linear import FOLDS, CalibratedSVM, fit_calibrated

_CARD = """# Model card: {name}

Made from the model {base} (fingerprint {fingerprint}) by `facetag finetune svm --attributes`. Its nets and its answers
are as they were. What that model's card says of data, licences and limits holds here too.

**Attributes of your own**, an SVM each on the features of its nets, cross-fitted by identity:

| attribute | faces | with it | accuracy | majority | balanced |
|---|---|---|---|---|---|
{rows}

<!-- measured -->
## Accuracy
Not measured yet: `facetag eval attributes --model {name} --card` writes this section.
<!-- /measured -->
"""

COSTS = (0.0001, 0.001, 0.01, 0.1)
FEWEST = 5  #: faces with an attribute, and without

Features = NDArray[np.float32]


@dataclass(frozen=True)
class NewAttribute:
    """How well a new attribute is told, cross-fitted by identity.

    Attributes:
        faces, positives: with a label, and labelled present.
        accuracy, majority, balanced_accuracy: in [0, 1].
    """

    faces: int
    positives: int
    accuracy: float
    majority: float
    balanced_accuracy: float


def add_attributes(
    model: Model,
    names: tuple[str, ...],
    features: Features,
    values: NDArray[np.int8],
    identities: NDArray[np.int64],
    seed: int = 0,
) -> tuple[Model, Mapping[str, NewAttribute]]:
    """A model that answers these attributes as well, and how well it does.

    Shape: features (N, D), values (N, B) with -1 for unknown, identities (N,).

    Raises:
        UsageError: the model has an attribute of such a name, or it is no name.
        DataError: an attribute has too few faces with it, or without it.
    """
    _check_names(model, names)
    fitted = {name: _fit(name, features, values[:, column], identities, seed) for column, name in enumerate(names)}
    wider = [_rescaled(svm.svm, model.svm) for svm, _ in fitted.values()]
    svm = LinearSVM(
        np.concatenate([model.svm.weights, *(each.weights for each in wider)]),
        np.concatenate([model.svm.bias, *(each.bias for each in wider)]),
        model.svm.mean,
        model.svm.scale,
    )
    calibrations = [model.calibration, *(each.calibration for each, _ in fitted.values())]
    calibration = Calibration(
        np.concatenate([each.slope for each in calibrations]), np.concatenate([each.intercept for each in calibrations])
    )
    thresholds = np.concatenate([model.thresholds, np.full(len(names), 0.5)])
    larger = replace(
        model, svm=svm, calibration=calibration, thresholds=thresholds, attributes=(*model.attributes, *names)
    )
    return larger, {name: measured for name, (_, measured) in fitted.items()}


def card_of(model: Model, base: Model, measured: Mapping[str, NewAttribute]) -> str:
    """CARD.md of a model that was made from another."""
    rows = [
        f"| {name} | {each.faces} | {each.positives} | {100 * each.accuracy:.1f} | {100 * each.majority:.1f} "
        f"| {100 * each.balanced_accuracy:.1f} |"
        for name, each in measured.items()
    ]
    return _CARD.format(name=model.name, base=base.name, fingerprint=base.fingerprint[:16], rows="\n".join(rows))


def _check_names(model: Model, names: tuple[str, ...]) -> None:
    known = {name.lower() for name in (*model.attributes, *model.groups)}
    for name in names:
        if name.lower() in known:
            raise UsageError(f"the model has {name} already", "give your attribute another name")
        if not is_attribute_name(name) or set(name) & set("/|"):
            raise UsageError(f"{name!r} is no name of an attribute", "leave out commas, semicolons, =, / and |")
        if is_taken(name):
            raise UsageError(f"a column of tables may be called {name}", "give your attribute another name")


def _fit(
    name: str, features: Features, values: NDArray[np.int8], identities: NDArray[np.int64], seed: int
) -> tuple[CalibratedSVM, NewAttribute]:
    known = values >= 0
    labels, persons = values[known, None] == 1, identities[known]
    fewest = min(int(labels.sum()), int((~labels).sum()))
    if fewest < FEWEST or len(np.unique(persons)) < FOLDS:
        raise DataError(
            f"{name} has {int(labels.sum())} faces with it and {int((~labels).sum())} without",
            f"label at least {FEWEST} of both, of several persons",
        )
    svm = fit_calibrated(features[known], labels, persons, costs=COSTS, seed=seed)
    present = svm.unseen >= 0.5
    accuracy = float((present == labels).mean())
    majority = max(labels.mean(), 1 - labels.mean())
    return svm, NewAttribute(
        len(labels), int(labels.sum()), accuracy, float(majority), float(balanced_accuracy(present, labels)[0])
    )


def _rescaled(svm: LinearSVM, frame: LinearSVM) -> LinearSVM:
    """The same scores from features that are standardised as another SVM's."""
    weights = svm.weights / svm.scale
    bias = svm.bias + weights @ (np.asarray(frame.mean, np.float64) - svm.mean)
    return LinearSVM(weights * frame.scale, bias, frame.mean, frame.scale)
