"""Fig. 13: accuracy by how many images a system learned from."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetag.evaluate import plots
from facetag.evaluate.competitors import Answers
from facetag.evaluate.figure_page import Figure
from facetag.evaluate.paper_table import PaperTable, measure_table
from facetag.evaluate.report import Table


def sizes_figure(
    systems: Sequence[Answers],
    values: NDArray[np.int8],
    identities: NDArray[np.int64],
    fractions: NDArray[np.float64],
    seed: int = 0,
) -> Figure:
    """Each of the answers is one point; those of one name are one line."""
    measured = measure_table(systems, values, identities, fractions, seed)
    return Figure(
        "sizes",
        "Size of the training set (Fig. 13)",
        "LNets+ANet does well with few images, where PANDA-l drops significantly.",
        [_table(measured)],
        lambda: draw_sizes(measured),
        {"test_images": measured.images, "points": [_point(measured, number) for number in range(len(systems))]},
    )


def draw_sizes(measured: PaperTable) -> Any:
    """Mean accuracy and balanced accuracy over the number of images."""
    figure = plots.new_figure(12, 4.6)
    names = list(dict.fromkeys(row.answers.name for row in measured.rows))
    for panel, metric in zip(figure.subplots(1, 2), ("accuracy", "balanced_accuracy"), strict=True):
        for number, name in enumerate(names):
            rows = sorted(
                (row for row in measured.rows if row.answers.name == name), key=lambda row: row.answers.images
            )
            means = [row.means[metric] for row in rows]
            counts, color = [row.answers.images for row in rows], plots.COLORS[number % len(plots.COLORS)]
            panel.plot(counts, [100 * mean.value for mean in means], "o-", color=color, label=name)
            panel.vlines(counts, [100 * mean.low for mean in means], [100 * mean.high for mean in means], color=color)
        panel.set(xscale="log", xlabel="images learned from", ylabel=f"{metric.replace('_', ' ')}, percent")
        panel.legend(fontsize=8)
    return figure


def _table(measured: PaperTable) -> Table:
    rows = [
        (
            row.answers.name,
            str(row.answers.images),
            *(
                f"{100 * mean.value:.1f} ({100 * mean.low:.1f} to {100 * mean.high:.1f})"
                for mean in (row.means["accuracy"], row.means["balanced_accuracy"])
            ),
        )
        for row in measured.rows
    ]
    title = f"{measured.images} test images of {measured.persons} persons, percent, 95 % intervals over persons"
    return Table(title, ("system", "images", "accuracy", "balanced"), rows)


def _point(measured: PaperTable, number: int) -> dict[str, Any]:
    row = measured.rows[number]
    means = {name: vars(mean) for name, mean in row.means.items()}
    return {"system": row.answers.name, "images": row.answers.images, **means}
