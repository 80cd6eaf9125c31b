"""Whether probabilities are what they say: of the faces given 70 %, do 70 % have the attribute?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facetag.evaluate.bootstrap import ratio

BINS = 15  #: of equal width, as many as the calibration error of `facetag eval attributes` has

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Reliability:
    """Probabilities of A attributes against labels, by B bins of probability.

    Attributes:
        missed: images without a face found; they are left out.
        counts: (A, B) faces.
        probability, present: (A, B) their mean probability, and the fraction that has the attribute; nan in an empty
            bin.
        calibration_error: (A,) mean distance between the two, weighted by counts; nan without labels.
        bias: (A,) mean probability less the fraction present: over 0 when too many are expected.
    """

    missed: int
    counts: NDArray[np.int64]
    probability: Values
    present: Values
    calibration_error: Values
    bias: Values


def measure_reliability(probabilities: Values, values: NDArray[np.int8], bins: int = BINS) -> Reliability:
    """Compare probabilities (N, A), nan where no face was found, with labels (N, A), -1 = unknown."""
    known = ~np.isnan(probabilities) & (values >= 0)
    index = np.minimum((np.nan_to_num(probabilities) * bins).astype(np.int64), bins - 1)
    inside = np.stack([known & (index == each) for each in range(bins)], axis=-1)  # (N, A, B)
    counts = inside.sum(0)
    expected = np.where(inside, np.nan_to_num(probabilities)[..., None], 0).sum(0)
    observed = (inside & (values == 1)[..., None]).sum(0).astype(np.float64)
    total = counts.sum(1).astype(np.float64)
    return Reliability(
        missed=int(np.isnan(probabilities).all(1).sum()),
        counts=counts,
        probability=ratio(expected, counts.astype(np.float64)),
        present=ratio(observed, counts.astype(np.float64)),
        calibration_error=ratio(np.abs(expected - observed).sum(1), total),
        bias=ratio((expected - observed).sum(1), total),
    )
