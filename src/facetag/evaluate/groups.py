"""Whom a model serves worse: each attribute's errors by sex and age as labelled, and answers that cannot be true."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetag.attributes import ATTRIBUTES
from facetag.evaluate import plots
from facetag.evaluate.attributes import Tagged
from facetag.evaluate.bootstrap import Bootstrap, interval, ratio
from facetag.evaluate.figure_page import Figure
from facetag.evaluate.report import Table

#: Groups by labels that a user can see: name, attribute, value.
GROUPS = (("women", "Male", 0), ("men", "Male", 1), ("aged", "Young", 0), ("young", "Young", 1))

#: What a face cannot be both, by the words of the attributes.
IMPOSSIBLE = (
    ("No_Beard", "Goatee"),
    ("No_Beard", "5_o_Clock_Shadow"),
    ("No_Beard", "Sideburns"),
    ("Bald", "Bangs"),
    ("Bald", "Straight_Hair"),
    ("Bald", "Wavy_Hair"),
    ("Straight_Hair", "Wavy_Hair"),
    ("Black_Hair", "Blond_Hair"),
    ("Black_Hair", "Gray_Hair"),
    ("Blond_Hair", "Brown_Hair"),
)

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Impossible:
    """Two attributes of one face: fractions of the faces that are answered and labelled with both."""

    first: str
    second: str
    answered: float
    labeled: float


@dataclass(frozen=True, eq=False)
class GroupErrors:
    """Errors of found faces.

    Attributes:
        faces: (G,) of each of GROUPS.
        errors: (G, A) fraction decided otherwise than labelled; nan without labels.
        gaps: for sex and age, (A,) error of the first group less the second's, then both ends of its 95 % interval.
    """

    faces: NDArray[np.int64]
    errors: Values
    gaps: dict[str, tuple[Values, Values, Values]]
    impossible: Sequence[Impossible]


def measure_groups(
    tagged: Tagged, values: NDArray[np.int8], identities: NDArray[np.int64], seed: int = 0
) -> GroupErrors:
    """Compare answers with labels (N, A), -1 = unknown."""
    masks = [values[:, ATTRIBUTES.index(name)] == value for _, name, value in GROUPS]
    known = (values >= 0) & tagged.found[:, None]
    wrong = known & (tagged.present != (values == 1))
    bootstrap = Bootstrap(identities, seed)
    draws = [ratio(bootstrap.sums(wrong & mask[:, None]), bootstrap.sums(known & mask[:, None])) for mask in masks]
    return GroupErrors(
        faces=np.array([int((mask & tagged.found).sum()) for mask in masks]),
        errors=np.stack([each[0] for each in draws]),
        gaps={"sex": _gap(draws[0], draws[1]), "age": _gap(draws[2], draws[3])},
        impossible=[_impossible(tagged, values, *pair) for pair in IMPOSSIBLE],
    )


def groups_figure(measured: GroupErrors, warning: str = "") -> Figure:
    """Errors by group as a figure."""
    return Figure(
        "groups",
        "Errors by sex and age, and impossible answers",
        "",
        group_tables(measured, warning),
        lambda: draw_groups(measured),
        _json(measured),
    )


def group_tables(measured: GroupErrors, warning: str = "") -> list[Table]:
    """Each attribute's errors by group, then the impossible pairs."""
    names = [f"{name} ({count})" for (name, _, _), count in zip(GROUPS, measured.faces, strict=True)]
    rows = [
        (
            attribute,
            *(_percent(value) for value in measured.errors[:, index]),
            *(_gap_text(measured.gaps[kind], index) for kind in ("sex", "age")),
        )
        for index, attribute in enumerate(ATTRIBUTES)
    ]
    title = "errors by labelled group, percent; women less men and aged less young in points, 95 % intervals"
    pairs = [
        (f"{pair.first} with {pair.second}", _percent(pair.answered, 2), _percent(pair.labeled, 2))
        for pair in measured.impossible
    ]
    return [
        Table(f"{title}{warning and f'; {warning}'}", ("attribute", *names, "women - men", "aged - young"), rows),
        Table("what cannot be true at once, percent of the faces", ("both", "answered", "labelled"), pairs),
    ]


def draw_groups(measured: GroupErrors) -> Any:
    """The gaps of each attribute with their intervals, sex and age beside."""
    figure = plots.new_figure(12, 9.5)
    rows = np.arange(len(ATTRIBUTES))
    titles = {"sex": "error of women less men's, points", "age": "error of the aged less the young's, points"}
    for panel, (kind, title) in zip(figure.subplots(1, 2, sharey=True), titles.items(), strict=True):
        gap, low, high = (100 * each for each in measured.gaps[kind])
        panel.hlines(rows, low, high, color=plots.COLORS[0])
        panel.scatter(gap, rows, s=18, color=plots.COLORS[0])
        panel.axvline(0, color="black", linewidth=0.8)
        panel.set_yticks(rows, ATTRIBUTES, fontsize=8)
        panel.set_xlabel(f"{title}, 95 % intervals", fontsize=9)
    return figure


def _gap(first: Values, second: Values) -> tuple[Values, Values, Values]:
    draws = first - second
    return draws[0], *interval(draws[1:])


def _impossible(tagged: Tagged, values: NDArray[np.int8], first: str, second: str) -> Impossible:
    columns = [ATTRIBUTES.index(first), ATTRIBUTES.index(second)]
    answered, labels = tagged.present[tagged.found][:, columns], values[:, columns]
    labeled = labels[(labels >= 0).all(1)]
    return Impossible(first, second, _mean(answered.all(1)), _mean((labeled == 1).all(1)))


def _mean(hits: Any) -> float:
    return float(hits.mean()) if len(hits) else float("nan")


def _json(measured: GroupErrors) -> dict[str, Any]:
    return {
        "faces": {name: count for (name, _, _), count in zip(GROUPS, measured.faces.tolist(), strict=True)},
        "attributes": {
            attribute: {
                **{name: measured.errors[at, index] for at, (name, _, _) in enumerate(GROUPS)},
                **{
                    f"{kind}_{end}": values[index]
                    for kind, gap in measured.gaps.items()
                    for end, values in zip(("gap", "low", "high"), gap, strict=True)
                },
            }
            for index, attribute in enumerate(ATTRIBUTES)
        },
        "impossible": [vars(pair) for pair in measured.impossible],
    }


def _gap_text(gap: tuple[Values, Values, Values], index: int) -> str:
    value, low, high = (each[index] for each in gap)
    return "-" if np.isnan(value) else f"{100 * value:+.1f} ({100 * low:.1f} to {100 * high:.1f})"


def _percent(value: float, digits: int = 1) -> str:
    return "-" if np.isnan(value) else f"{100 * value:.{digits}f}"
