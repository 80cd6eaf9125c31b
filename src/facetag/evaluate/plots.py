"""Figures drawn with matplotlib, which is an extra: nothing else of facetag imports it."""

import io
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetag.attributes import ATTRIBUTES
from facetag.errors import FacetagError, UsageError, writing
from facetag.evaluate.compare import ModelComparison
from facetag.evaluate.grouping import Grouping
from facetag.evaluate.labeled_faces import Activations
from facetag.evaluate.layers import LayersReport, attribute_group
from facetag.evaluate.neurons import NeuronsReport, mean_faces
from facetag.evaluate.regions import RegionsReport
from facetag.evaluate.reliability import BINS, Reliability
from facetag.evaluate.robustness import SCALES, SHIFTS, RobustnessReport
from facetag.evaluate.speed import SpeedReport

SUFFIXES = (".png", ".svg", ".pdf")
UNITS = 8  #: whose mean faces are drawn
DOTS = 130  #: an inch

COLORS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb", "#000000")


def check_figure(path: Path | None) -> None:
    """See before a long run that a figure can be drawn and written after it.

    Raises:
        FacetagError: matplotlib is not installed.
        UsageError: its folder is not there, or it cannot have this suffix.
    """
    if path is None:
        return
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"a figure cannot be written as {path.name}", "name it .png, .svg or .pdf")
    if not path.parent.is_dir():
        raise UsageError(f"{path.parent} is not a folder", "make it, or name another file")
    new_figure(1, 1)


def write_figure(path: Path, figure: Any) -> None:
    """Into a file of one of SUFFIXES.

    Raises:
        FacetagError: it cannot be written.
    """
    with writing(path):
        figure.savefig(path, dpi=DOTS)


def png_bytes(figure: Any) -> bytes:
    """The figure as PNG."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=DOTS)
    return stream.getvalue()


def new_figure(width: float, height: float, layout: str | None = "constrained") -> Any:
    """An empty figure of so many inches; matplotlib lays it out unless `layout` is None, which is quick.

    Raises:
        FacetagError: matplotlib is not installed.
    """
    try:
        figures = import_module("matplotlib.figure")
    except ImportError:
        raise FacetagError("figures are drawn with matplotlib", "pip install 'facetag[figures]'") from None
    return figures.Figure(figsize=(width, height), layout=layout)


def draw_grouping(grouping: Grouping) -> Any:
    """Fig. 10: cosines of weights and correlations of labels, both in the order of the groups."""
    figure, order = new_figure(16, 8.4), grouping.order
    panels = figure.subplots(1, 2)
    titles = ("cosine of SVM weights", "correlation of labels")
    edges = np.flatnonzero(np.diff(grouping.groups[order])) + 0.5
    for panel, title, matrix in zip(panels, titles, (grouping.weights, grouping.labels), strict=True):
        shown = matrix[np.ix_(order, order)]
        image = panel.imshow(shown, cmap="RdBu_r", vmin=-0.7, vmax=0.7)
        for edge in edges:
            panel.axhline(edge, color="black", linewidth=1)
            panel.axvline(edge, color="black", linewidth=1)
        names = [ATTRIBUTES[index] for index in order]
        panel.set_xticks(range(len(names)), names, rotation=90, fontsize=8)
        panel.set_yticks(range(len(names)), names, fontsize=8)
        panel.set_title(title)
    for label, index in zip(panels[0].get_yticklabels(), order, strict=True):
        label.set_color(COLORS[grouping.groups[index] % len(COLORS)])
    figure.colorbar(image, ax=list(panels), shrink=0.7)
    return figure


def draw_layers(reports: Mapping[str, LayersReport]) -> Any:
    """Fig. 9: area under the ROC curve by layer, identity-related attributes first; a panel a net."""
    figure = new_figure(14, 4.6 * len(reports))
    panels = figure.subplots(len(reports), 1, squeeze=False)[:, 0]
    for panel, (net, report) in zip(panels, reports.items(), strict=True):
        order = _by_group(report)
        for number, (layer, probe) in enumerate(report.probes.items()):
            spot = np.arange(len(order)) + 0.8 * (number + 0.5) / len(report.probes) - 0.4
            width, color = 0.8 / len(report.probes), COLORS[number]
            panel.bar(spot, 100 * probe.auc[order], width, label=layer.upper(), color=color)
        border = sum(attribute_group(ATTRIBUTES[index]) == "identity-related" for index in order) - 0.5
        panel.axvline(border, color="black", linewidth=1)
        panel.set_xticks(range(len(order)), [ATTRIBUTES[index] for index in order], rotation=90, fontsize=8)
        panel.set_xlim(-0.6, len(order) - 0.4)
        panel.set_ylim(50, 100)
        panel.set_ylabel("area under the\nROC curve, percent")
        panel.set_title(f"ANet after {net}: {report.faces} faces; identity-related attributes stand left of the line")
        panel.legend(ncols=4, loc="lower right", fontsize=8)
    return figure


def _by_group(report: LayersReport) -> list[int]:
    defined = [index for index in range(len(ATTRIBUTES)) if not np.isnan(report.majority[index])]
    auc = report.probes["fc"].auc
    return sorted(defined, key=lambda index: (attribute_group(ATTRIBUTES[index]) != "identity-related", -auc[index]))


def draw_neurons(report: NeuronsReport, found: Activations, net: str) -> Any:
    """Fig. 8: mean faces of high, medium and low responders of the units that tell most, and how sparse FC is."""
    units, answers = report.telling(UNITS), found.layers[net]["fc"]
    figure = new_figure(1.75 * max(len(units), 4), 9.2)
    above, below = figure.subfigures(2, 1, height_ratios=(3, 1.2))
    panels = above.subplots(3, max(len(units), 1), squeeze=False)
    for column, unit in enumerate(units):
        faces = mean_faces(answers[:, unit.index], found.windows)
        for row, face in enumerate(faces):
            panels[row, column].imshow(face)
        name = unit.attribute.replace("_", " ")
        panels[0, column].set_title(f"unit {unit.index}\n{name}\nr = {unit.correlation:+.2f}", fontsize=9)
    for panel in panels.flat:
        panel.set_xticks([])
        panel.set_yticks([])
    for row, kind in enumerate(("high", "medium", "low")):
        panels[row, 0].set_ylabel(f"{kind} responders", fontsize=9)
    left, right = below.subplots(1, 2)
    left.hist(100 * (answers > 0).mean(1), bins=30, color=COLORS[0])
    left.set(xlabel="units of FC above 0 for a face, percent", ylabel="faces")
    right.hist([100 * unit.active for unit in report.units], bins=30, range=(0, 100), color=COLORS[1])
    right.set(xlabel="faces for which a unit is above 0, percent", ylabel="units")
    return figure


def draw_reliability(report: Reliability) -> Any:
    """A reliability diagram an attribute; on the diagonal a probability is what it says."""
    shown = np.flatnonzero(report.counts.sum(1))
    rows = -(-len(shown) // 8)
    figure = new_figure(16, 2.2 * rows + 0.6, layout=None)
    figure.subplots_adjust(0.05, 0.6 / (2.2 * rows + 0.6), 0.99, 1 - 0.45 / (2.2 * rows + 0.6), 0.15, 0.4)
    panels = figure.subplots(rows, 8, squeeze=False, sharex=True, sharey=True).flat
    for panel, index in zip(panels, shown, strict=False):
        panel.plot([0, 1], [0, 1], color="#999999", linewidth=0.8)
        fractions = report.counts[index] / report.counts[index].sum()
        panel.bar((np.arange(BINS) + 0.5) / BINS, fractions, 1 / BINS, color="#ccddee")
        filled = report.counts[index] >= 5
        panel.plot(report.probability[index, filled], report.present[index, filled], ".-", color=COLORS[0])
        error = 100 * report.calibration_error[index]
        panel.set_title(f"{ATTRIBUTES[index]}\nerror {error:.1f} %", fontsize=8)
        panel.tick_params(labelsize=7)
        panel.set(xlim=(0, 1), ylim=(0, 1))
    for panel in list(figure.axes)[len(shown) :]:
        panel.set_axis_off()
    figure.supxlabel("probability (bars: fraction of the faces)", fontsize=9)
    figure.supylabel("fraction that has the attribute", fontsize=9)
    return figure


def draw_comparison(report: ModelComparison, names: Sequence[str]) -> Any:
    """The differences of accuracy by attribute, with their intervals."""
    paired = report.metrics["accuracy"]
    defined = [index for index in range(len(ATTRIBUTES)) if not np.isnan(paired.difference[index])]
    order = [*sorted(defined, key=lambda index: paired.difference[index]), len(ATTRIBUTES)]
    labels = [(*ATTRIBUTES, "mean")[index] for index in order]
    values, low, high = (100 * each[order] for each in (paired.difference, paired.low, paired.high))
    figure = new_figure(9, 1.5 + 0.22 * len(order))
    panel = figure.subplots()
    rows = np.arange(len(order))
    colors = [
        COLORS[2] if least > 0 else COLORS[1] if most < 0 else "#888888" for least, most in zip(low, high, strict=True)
    ]
    panel.hlines(rows, low, high, color=colors)
    panel.scatter(values, rows, color=colors, s=18)
    panel.axvline(0, color="black", linewidth=0.8)
    panel.set_yticks(rows, labels, fontsize=8)
    panel.set_ylim(-0.7, len(order) - 0.3)
    panel.set_xlabel(f"accuracy of {names[1]} less that of {names[0]}, points, and 95 % intervals", fontsize=9)
    return figure


def draw_regions(report: RegionsReport) -> Any:
    """Fig. 11: for each attribute the mean face twice, red where its weights and filters look, and where occlusion
    changes the score most."""
    figure = new_figure(22, 12.5, layout=None)
    figure.subplots_adjust(0.01, 0.01, 0.99, 0.96, 0.05, 0.22)
    panels: NDArray[Any] = figure.subplots(5, 8)
    height, width = report.mean_face.shape[:2]
    pair = np.tile(report.mean_face.mean(2), (1, 2))
    for index, panel in enumerate(panels.flat):
        panel.set_axis_off()
        panel.imshow(pair, cmap="gray", vmin=0, vmax=255)
        for position, strength in enumerate((report.influence[index], report.effects[index])):
            left = position * width - 0.5
            extent, shown = (left, left + width, height - 0.5, -0.5), strength / max(strength.max(), 1e-9)
            panel.imshow(shown, cmap="inferno", alpha=0.6, extent=extent, interpolation="bicubic", vmin=0, vmax=1)
        panel.set(xlim=(-0.5, 2 * width - 0.5), ylim=(height - 0.5, -0.5))
        panel.axvline(width - 0.5, color="white", linewidth=2)
        local = f"{100 * report.concentration[index]:.0f} % in a quarter"
        panel.set_title(f"{ATTRIBUTES[index]}\n{local}, agree {report.agreement[index]:.2f}", fontsize=8)
    return figure


def draw_robustness(measured: RobustnessReport) -> Any:
    """Accuracy over how far the box is moved and how much it is resized, and under each disturbance of the picture."""
    figure = new_figure(14, 5)
    left, center, right = figure.subplots(1, 3, width_ratios=(1, 1, 1.3))
    start = 100 * measured.rows[0].accuracy
    _draw_line(left, measured, "box shifted", [100 * fraction for fraction in SHIFTS], (0, start))
    _draw_line(center, measured, "box scaled", SCALES, (1, start))
    left.set_xlabel("box moved by, percent of its height")
    center.set_xlabel("box enlarged by a factor of")
    others = [row for row in measured.rows if not row.kind.startswith(("undisturbed", "box"))]
    right.barh(range(len(others)), [100 * row.accuracy for row in others], color=COLORS[0])
    right.set_yticks(range(len(others)), [f"{row.kind} {row.amount}".rstrip() for row in others], fontsize=8)
    right.invert_yaxis()
    right.axvline(start, color="black", linewidth=0.8)
    right.axvline(100 * measured.majority, color="#999999", linestyle="--", linewidth=0.8)
    least = min(100 * measured.majority, *(100 * row.accuracy for row in measured.rows)) - 1
    right.set(xlim=(least, start + 0.5), xlabel="accuracy, percent (line: undisturbed, dashes: majority)")
    for panel in (left, center):
        panel.axhline(100 * measured.majority, color="#999999", linestyle="--", label="majority")
        panel.set(ylim=(least, start + 0.5), ylabel="accuracy, percent")
    left.legend(fontsize=8)
    return figure


def _draw_line(
    panel: Any, measured: RobustnessReport, kind: str, amounts: Sequence[float], undisturbed: tuple[float, float]
) -> None:
    accuracies = [100 * row.accuracy for row in measured.rows if row.kind == kind]
    points = sorted([undisturbed, *zip(amounts, accuracies, strict=True)])
    panel.plot(*zip(*points, strict=True), "o-", color=COLORS[0])


def draw_speed(measured: SpeedReport) -> Any:
    """How many times less the interweaved operation takes, counted and timed, and the cascade's milliseconds."""
    figure = new_figure(11, 3.6)
    left, right = figure.subplots(1, 2)
    names = [one.name for one in measured.comparisons]
    counted = [one.counts.patches / one.counts.shipped for one in measured.comparisons]
    timed = [one.patches / one.shipped for one in measured.comparisons]
    rows = np.arange(len(names))
    left.barh(rows - 0.2, counted, 0.35, label="multiply-adds", color=COLORS[0])
    left.barh(rows + 0.2, timed, 0.35, label="time", color=COLORS[1])
    left.axvline(1, color="black", linewidth=0.8)
    left.set_yticks(rows, names, fontsize=8)
    left.set(xlabel="times less than patch by patch")
    left.invert_yaxis()
    if names:
        left.legend(fontsize=8)
    else:
        left.set_title("a wide ANet has no patches to compare with", fontsize=9)
    stages = {
        "localization": measured.localization,
        "features, full batch": measured.features,
        "features, alone": measured.features_alone,
    }
    bars = right.barh(list(stages), [1000 * seconds for seconds in stages.values()], color=COLORS[2])
    right.bar_label(bars, fmt="%.1f", padding=3, fontsize=8)
    right.margins(x=0.15)
    right.invert_yaxis()
    right.set(xlabel=f"ms of a 300x300 image, {measured.device}, {measured.threads} threads")
    return figure
