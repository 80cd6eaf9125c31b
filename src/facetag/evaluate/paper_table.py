"""Table 1 of the paper: systems on the same test images, with intervals by bootstrap over identities.

An image in which a system found no face counts: as the training partition's majority values for decisions, and as its
fractions for probabilities.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetag.attributes import ATTRIBUTES
from facetag.evaluate import plots
from facetag.evaluate.bootstrap import Bootstrap, interval, mean_defined, ratio
from facetag.evaluate.competitors import Answers
from facetag.evaluate.error_sources import ErrorSources, sources_table
from facetag.evaluate.figure_page import Figure
from facetag.evaluate.report import Table
from facetag.method.attribute_metrics import AttributeMetrics, attribute_metrics

Values = NDArray[np.float64]

#: Mean accuracies of the paper's Table 1 on CelebA, percent, and of the constant predictor on all official test images.
PAPER = {"PANDA-w": 79.0, "constant": 79.9, "FaceTracer": 81.0, "PANDA-l": 85.0, "LNets+ANet": 87.0}

#: Metrics with an interval.
DRAWN = ("accuracy", "balanced_accuracy", "f1")


@dataclass(frozen=True, eq=False)
class Estimate:
    """The mean over attributes, and between what 95 % of the draws of persons lie."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class SystemRow:
    """One system.

    Attributes:
        missed: test images in which it found no face.
        means: of each of DRAWN.
        ahead: accuracy of the last system less this one's, paired.
        metrics: by attribute.
    """

    answers: Answers
    missed: int
    means: Mapping[str, Estimate]
    ahead: Estimate
    metrics: AttributeMetrics


@dataclass(frozen=True, eq=False)
class PaperTable:
    """Systems on so many images of so many persons."""

    images: int
    persons: int
    rows: Sequence[SystemRow]


def measure_table(
    systems: Sequence[Answers],
    values: NDArray[np.int8],
    identities: NDArray[np.int64],
    fractions: Values,
    seed: int = 0,
) -> PaperTable:
    """Compare each system's answers with labels (N, A) in {0, 1}."""
    bootstrap, truth = Bootstrap(identities, seed), values == 1
    filled = [_filled(each, fractions) for each in systems]
    drawn = [_drawn(bootstrap, present, truth) for _, present in filled]
    last = mean_defined(drawn[-1]["accuracy"])
    rows = [
        SystemRow(
            each,
            int((~each.found).sum()),
            {name: _estimate(mean_defined(draws[name])) for name in DRAWN},
            _estimate(last - mean_defined(draws["accuracy"])),
            attribute_metrics(probabilities, present, truth, fractions > 0.5),
        )
        for each, draws, (probabilities, present) in zip(systems, drawn, filled, strict=True)
    ]
    return PaperTable(len(values), bootstrap.count, rows)


def table_figure(measured: PaperTable, sources: Sequence[ErrorSources] = ()) -> Figure:
    """Table 1 as a figure: mean accuracies with intervals, accuracies by attribute, and whose models' errors are."""
    return Figure(
        "table",
        "Attribute prediction (Table 1)",
        "PANDA-w 79 < the constant predictor 79.9 < FaceTracer 81 < PANDA-l 85 < LNets+ANet 87 percent.",
        [*paper_tables(measured), *([sources_table(sources)] if sources else [])],
        lambda: draw_table(measured),
        {**paper_json(measured), "error_sources": [vars(each) for each in sources]},
    )


def paper_tables(
    measured: PaperTable, names: Sequence[str] = ATTRIBUTES, paper: Mapping[str, float] = PAPER
) -> list[Table]:
    """A row a system, with the paper's accuracy where it has one, then a row an attribute."""
    rows = [
        (
            row.answers.name,
            str(row.answers.images or "-"),
            str(row.missed),
            *(_with_interval(row.means[name]) for name in DRAWN),
            _percent(row.metrics.means()["average_precision"]),
            _percent(row.metrics.means()["calibration_error"]),
            _with_interval(row.ahead),
            f"{paper[row.answers.name]:g}" if row.answers.name in paper else "-",
        )
        for row in measured.rows
    ]
    header = (
        "system", "learned from", "missed", "accuracy", "balanced", "F1", "avg. prec.", "cal. error", "behind the last",
        "the paper",
    )  # fmt: skip
    majority = _percent(measured.rows[0].metrics.means()["majority"])
    title = (
        f"{measured.images} test images of {measured.persons} persons, percent, 95 % intervals over persons; "
        f"majority {majority}"
    )
    single = [
        (attribute, *(_percent(row.metrics.accuracy[index]) for row in measured.rows))
        for index, attribute in enumerate(names)
    ]
    columns = ("attribute", *(row.answers.name for row in measured.rows))
    return [Table(title, header, rows), Table("accuracy by attribute, percent", columns, single)]


def paper_json(
    measured: PaperTable, names: Sequence[str] = ATTRIBUTES, paper: Mapping[str, float] = PAPER
) -> dict[str, Any]:
    """Every system with its means, intervals and metrics by attribute."""
    return {
        "test_images": measured.images,
        "persons": measured.persons,
        "systems": {row.answers.name: _system(row, names, paper) for row in measured.rows},
    }


def draw_table(measured: PaperTable, names: Sequence[str] = ATTRIBUTES, paper: Mapping[str, float] = PAPER) -> Any:
    """Mean accuracies with intervals and the paper's, then each attribute's."""
    figure = plots.new_figure(15, 3.2 + 4.6)
    above, below = figure.subplots(2, 1, height_ratios=(1, 2))
    for number, row in enumerate(measured.rows):
        mean, color = row.means["accuracy"], plots.COLORS[number % len(plots.COLORS)]
        above.hlines(number, 100 * mean.low, 100 * mean.high, color=color)
        above.scatter([100 * mean.value], [number], color=color)
        if row.answers.name in paper:
            above.scatter([paper[row.answers.name]], [number], marker="|", s=160, color="black")
        below.plot(100 * row.metrics.accuracy, "o", color=color, markersize=4, label=row.answers.name)
    above.set_yticks(range(len(measured.rows)), [row.answers.name for row in measured.rows], fontsize=9)
    black = "; black: the paper's" if paper else ""
    above.set_xlabel(f"mean accuracy, percent, and 95 % interval{black}", fontsize=9)
    below.set_xticks(range(len(names)), names, rotation=90, fontsize=8)
    below.set_ylabel("accuracy, percent")
    below.grid(axis="x", color="#eeeeee")
    below.legend(fontsize=8, ncols=4)
    return figure


def _filled(answers: Answers, fractions: Values) -> tuple[Values, NDArray[np.bool_]]:
    found = answers.found[:, None]
    return np.where(found, answers.probabilities, fractions), np.where(found, answers.present, fractions > 0.5)


def _drawn(bootstrap: Bootstrap, present: NDArray[np.bool_], truth: NDArray[np.bool_]) -> dict[str, Values]:
    """Each of DRAWN of all images, then of every draw: (1 + draws, A)."""
    hits, positives = bootstrap.sums(present & truth), bootstrap.sums(truth)
    rejected, negatives = bootstrap.sums(~present & ~truth), bootstrap.sums(~truth)
    said = bootstrap.sums(present)
    return {
        "accuracy": ratio(hits + rejected, positives + negatives),
        "balanced_accuracy": (ratio(hits, positives) + ratio(rejected, negatives)) / 2,
        "f1": np.where(positives > 0, ratio(2 * hits, said + positives), np.nan),
    }


def _estimate(draws: Values) -> Estimate:
    low, high = interval(draws[1:])
    return Estimate(float(draws[0]), float(low), float(high))


def _system(row: SystemRow, names: Sequence[str], paper: Mapping[str, float]) -> dict[str, Any]:
    return {
        "learned_from": row.answers.images,
        "missed": row.missed,
        "means": row.metrics.means(),
        "intervals": {name: vars(row.means[name]) for name in DRAWN},
        "behind_the_last": vars(row.ahead),
        "paper_accuracy": paper.get(row.answers.name),
        "attributes": {
            attribute: {name: values[index] for name, values in vars(row.metrics).items()}
            for index, attribute in enumerate(names)
        },
    }


def _percent(value: float) -> str:
    return "-" if np.isnan(value) else f"{100 * value:.1f}"


def _with_interval(each: Estimate) -> str:
    return f"{_percent(each.value)} ({_percent(each.low)} to {_percent(each.high)})"
