"""What single units of FC stand for (paper, section 5.1 and Fig. 8): mean faces of those whom a unit answers strongly,
middling and not, the attribute that it goes along with, how few units answer a face, and how many live."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facetag.attributes import ATTRIBUTES
from facetag.errors import DataError
from facetag.training.living import RARE

FRACTION = 0.1  #: of the faces make a mean face
FEWEST = 30  #: faces make a mean face where there are three times as many: nobody is to be recognised
MASS = 0.9  #: of a face's answer

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Unit:
    """One unit of FC.

    Attributes:
        active: the fraction of the faces for which it is above 0.
        living: it is above 0 for some faces, and 0 for some.
        attribute, correlation: the attribute that it goes along with most, and how far; "" and nan for a unit that
            never changes.
    """

    index: int
    active: float
    living: bool
    attribute: str
    correlation: float


@dataclass(frozen=True, eq=False)
class NeuronsReport:
    """Units of FC on so many faces.

    Attributes:
        faces: how many.
        responders: faces in each mean face.
        living: the fraction of living units, by layer.
        active: the mean fraction of FC's units that are above 0 for a face.
        carriers: how many units hold MASS of a face's answer, in the mean.
        strongest: (M, 5) FC's units that answer each face most, from the strongest.
    """

    faces: int
    responders: int
    living: dict[str, float]
    active: float
    carriers: float
    units: list[Unit]
    strongest: NDArray[np.int64]

    def telling(self, count: int) -> list[Unit]:
        """The units of largest correlation, each with an attribute of its own."""
        best: dict[str, Unit] = {}
        for unit in sorted(self.units, key=lambda unit: -abs(np.nan_to_num(unit.correlation))):
            if unit.attribute:
                best.setdefault(unit.attribute, unit)
        return list(best.values())[:count]


def measure_neurons(layers: Mapping[str, NDArray[np.float32]], values: NDArray[np.int8]) -> NeuronsReport:
    """Describe the units of layers (M, D) by labels (M, A), -1 = unknown.

    Raises:
        DataError: there are not even three faces.
    """
    answers = layers["fc"].astype(np.float64)
    if len(answers) < 3:
        raise DataError(f"{len(answers)} faces have no mean faces", "bring a hundred or more")
    fractions = {layer: (each > 0).mean(0) for layer, each in layers.items()}
    correlations = unit_correlations(answers, values)
    return NeuronsReport(
        faces=len(answers),
        responders=responders(len(answers)),
        living={layer: float(_alive(each).mean()) for layer, each in fractions.items()},
        active=float((answers > 0).mean()),
        carriers=float(_carriers(answers).mean()),
        units=[_unit(index, fractions["fc"][index], correlations[index]) for index in range(answers.shape[1])],
        strongest=np.argsort(-answers, axis=1, kind="stable")[:, :5],
    )


def responders(faces: int) -> int:
    """How many faces make a mean face.

    >>> responders(1000), responders(120), responders(30)
    (100, 30, 10)
    """
    return max(int(faces * FRACTION), min(FEWEST, faces // 3))


def mean_faces(answers: NDArray[np.floating], windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Mean faces of the strongest, the middle and the weakest responders of one unit: (M,), (M, H, W, 3) ->
    (3, H, W, 3)."""
    order, count = np.argsort(-answers, kind="stable"), responders(len(answers))
    start = (len(order) - count) // 2
    chosen = (order[:count], order[start : start + count], order[-count:])
    return np.stack([windows[rows].mean(0).round().astype(np.uint8) for rows in chosen])


def unit_correlations(answers: Values, values: NDArray[np.int8]) -> Values:
    """Pearson's correlation of each unit (M, D) with each attribute (M, A) where that is known: (D, A), nan where one
    of both never changes."""
    result = np.full((answers.shape[1], values.shape[1]), np.nan)
    for attribute in range(values.shape[1]):
        known = values[:, attribute] >= 0
        if not known.any():
            continue
        label = values[known, attribute] - values[known, attribute].mean()
        unit = answers[known] - answers[known].mean(0)
        spread = np.linalg.norm(unit, axis=0) * np.linalg.norm(label)
        np.divide(label @ unit, spread, out=result[:, attribute], where=spread > 1e-9)
    return result


def _unit(index: int, active: float, correlations: Values) -> Unit:
    living = bool(_alive(np.array([active]))[0])
    if np.isnan(correlations).all():
        return Unit(index, float(active), living, "", float("nan"))
    best = int(np.nanargmax(np.abs(correlations)))
    return Unit(index, float(active), living, ATTRIBUTES[best], float(correlations[best]))


def _alive(fractions: Values) -> NDArray[np.bool_]:
    return np.asarray((fractions >= RARE) & (fractions <= 1 - RARE))


def _carriers(answers: Values) -> Values:
    """(M,) how many units hold MASS of each face's answer."""
    sums = np.cumsum(-np.sort(-answers, axis=1), axis=1)
    return np.asarray((sums < MASS * sums[:, -1:]).sum(1) + 1.0)
