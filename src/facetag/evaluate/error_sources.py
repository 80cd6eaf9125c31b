"""Whose error it is, the localizer's or the classifier's: a model's answers on the faces that it finds, held against
those on the aligned images' fixed boxes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facetag.evaluate.competitors import FIXED, Answers
from facetag.evaluate.report import Table


@dataclass(frozen=True)
class ErrorSources:
    """Of one model's wrong answers about labelled images; fractions of them.

    Attributes:
        wrong: fraction of all its answers that is wrong, the majority being the answer where no face was found.
        missed: no face was found.
        box: right in the fixed box: the localizer's.
        classifier: wrong there too.
        gained: of the answers that are wrong in the fixed box, those that are right in the box found.
    """

    model: str
    wrong: float
    missed: float
    box: float
    classifier: float
    gained: float


def error_sources(
    systems: Sequence[Answers], values: NDArray[np.int8], majority: NDArray[np.bool_]
) -> list[ErrorSources]:
    """Of each model that answered both in the boxes that it finds and in fixed ones.

    Shape: values (N, A) in {0, 1}, majority (A,).
    """
    named, truth = {each.name: each for each in systems}, values == 1
    return [_sources(each, named[each.name + FIXED], truth, majority) for each in systems if each.name + FIXED in named]


def sources_table(sources: Sequence[ErrorSources]) -> Table:
    """A row a model."""
    rows = [
        (
            each.model,
            *(f"{100 * value:.1f}" for value in (each.wrong, each.missed, each.box, each.classifier, each.gained)),
        )
        for each in sources
    ]
    header = ("model", "wrong", "no face found", "right in the fixed box", "wrong there too", "the other way round")
    return Table("percent of answers that are wrong, and of these whose they are", header, rows)


def _sources(found: Answers, fixed: Answers, truth: NDArray[np.bool_], majority: NDArray[np.bool_]) -> ErrorSources:
    seen = found.found[:, None]
    wrong = np.where(seen, found.present, majority) != truth
    wrong_fixed = fixed.present != truth
    count = max(int(wrong.sum()), 1)
    return ErrorSources(
        model=found.name,
        wrong=float(wrong.mean()),
        missed=float((wrong & ~seen).sum() / count),
        box=float((wrong & seen & ~wrong_fixed).sum() / count),
        classifier=float((wrong & seen & wrong_fixed).sum() / count),
        gained=float((wrong_fixed & ~wrong).sum() / max(int(wrong_fixed.sum()), 1)),
    )
