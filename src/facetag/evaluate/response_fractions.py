"""How good response maps are (paper, Fig. 6, 7b and 14): what share of a photograph's response lies in its faces.

The paper shows maps and says that they are robust to clutter, parts of bodies and variation of faces. Here each map is
held against the true boxes, so that a net with object pre-training and one without have figures to compare.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetag.datasets.webfaces import AnnotatedImage
from facetag.errors import UsageError
from facetag.evaluate import plots
from facetag.evaluate.bootstrap import Bootstrap, interval
from facetag.evaluate.figure_page import Figure
from facetag.evaluate.image_batches import Progress, load_pixels, no_progress
from facetag.evaluate.report import Table
from facetag.geometry import Box
from facetag.localization.base import Localizer

SIDE = 240  #: pixels of a map's longer side
SIZES = (0.0, 0.1, 0.2, 0.3, 0.5, np.inf)  #: edges of the largest face's longer side over the photograph's

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ResponseFractions:
    """One localizer's first net on photographs with true boxes; a row each.

    Attributes:
        inside: (N,) fraction of all response that lies in a face; 0 where nothing responds.
        peak: (N,) whether the largest response lies in a face.
    """

    inside: Values
    peak: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class MeasuredResponses:
    """Localizers on the same photographs.

    Attributes:
        area: (N,) fraction of each photograph that its faces cover, which a uniform map would have inside.
        size: (N,) the longer side of its largest face over its own.
        fractions: of each localizer.
    """

    area: Values
    size: Values
    fractions: Mapping[str, ResponseFractions]


def measure_responses(
    images: Sequence[AnnotatedImage], localizers: Mapping[str, Localizer], progress: Progress = no_progress
) -> MeasuredResponses:
    """Each localizer's first map of each photograph, held against the true boxes.

    Args:
        images: each has a face.

    Raises:
        DataError: a photograph cannot be read.
        UsageError: a localizer has no maps.
    """
    area, size = np.zeros(len(images)), np.zeros(len(images))
    inside = {name: np.zeros(len(images)) for name in localizers}
    peak = {name: np.zeros(len(images), bool) for name in localizers}
    for row, annotated_image in enumerate(images):
        pixels = load_pixels(annotated_image.path)
        high, wide = pixels.shape[:2]
        scale = SIDE / max(high, wide)
        width, height = max(round(scale * wide), 1), max(round(scale * high), 1)
        faces = covered([box.scaled(scale) for box in annotated_image.boxes], width, height)
        area[row] = faces.mean()
        size[row] = max(max(box.width, box.height) for box in annotated_image.boxes) / max(high, wide)
        for name, localizer in localizers.items():
            found = localizer.responses(pixels, (), width, height)
            if not found:
                raise UsageError(f"{name} has no response maps", "name a model whose localizer is LNets")
            inside[name][row], peak[name][row] = fraction_of(found[0], faces)
        progress(row + 1, len(images))
    return MeasuredResponses(area, size, {name: ResponseFractions(inside[name], peak[name]) for name in localizers})


def covered(boxes: Sequence[Box], width: int, height: int) -> NDArray[np.bool_]:
    """(height, width) where a box lies.

    >>> covered([Box(1, 0, 2, 1)], 4, 2).astype(int).tolist()
    [[0, 1, 1, 0], [0, 0, 0, 0]]
    """
    result = np.zeros((height, width), bool)
    for box in boxes:
        rows = slice(max(round(box.y), 0), max(round(box.bottom), 0))
        result[rows, max(round(box.x), 0) : max(round(box.right), 0)] = True
    return result


def fraction_of(response: NDArray[Any], faces: NDArray[np.bool_]) -> tuple[float, bool]:
    """The fraction of a map (H, W) that lies in faces (H, W), and whether its largest value does.

    >>> fraction_of(np.eye(4), covered([Box(0, 0, 2, 2)], 4, 4))
    (0.5, True)
    >>> fraction_of(np.zeros((4, 4)), covered([Box(0, 0, 2, 2)], 4, 4))
    (0.0, False)
    """
    positive = np.maximum(response, 0)
    total = float(positive.sum())
    if total == 0:
        return 0.0, False
    return float(positive[faces].sum()) / total, bool(faces.flat[int(positive.argmax())])


def fractions_figure(measured: MeasuredResponses) -> Figure:
    """Fig. 6, 7b and 14 as figures."""
    return Figure(
        "responses",
        "What share of the response lies in faces (Fig. 6, 7b, 14)",
        "With object pre-training maps are robust to clutter, parts of bodies and variation of faces.",
        [_table(measured), _by_size(measured)],
        lambda: draw_fractions(measured),
        _numbers(measured),
    )


def draw_fractions(measured: MeasuredResponses) -> Any:
    """For each fraction, the photographs that have as much of their response in faces."""
    figure = plots.new_figure(6, 4)
    panel = figure.subplots()
    uniform = {"a uniform map": measured.area}
    for name, inside in ({name: one.inside for name, one in measured.fractions.items()} | uniform).items():
        style = "--" if name in uniform else "-"
        panel.plot(np.sort(inside), 100 * (1 - np.arange(len(inside)) / len(inside)), style, label=name)
    panel.set(xlim=(0, 1), ylim=(0, 100), xlabel="share of the response in faces", ylabel="photographs, %")
    panel.legend()
    return figure


def _table(measured: MeasuredResponses) -> Table:
    rows = [("a uniform map", _percent(measured.area), "-", "-")]
    first = next(iter(measured.fractions.values()))
    for name, one in measured.fractions.items():
        ahead = "-" if one is first else _percent(one.peak.astype(float) - first.peak)
        rows.append((name, _percent(one.inside), _percent(one.peak), ahead))
    columns = ("", "response in faces, %", "peak in a face, %", "beside the first")
    return Table(f"response maps of {len(measured.area)} photographs", columns, rows)


def _by_size(measured: MeasuredResponses) -> Table:
    rows = []
    for low, high in pairwise(SIZES):
        chosen = (measured.size >= low) & (measured.size < high)
        peaks = [f"{100 * one.peak[chosen].mean():.0f}" if chosen.any() else "-" for one in measured.fractions.values()]
        rows.append((f"{low:g} to {high:g}", str(chosen.sum()), *peaks))
    columns = ("largest face over the photograph", "photographs", *measured.fractions)
    return Table("peak in a face by size, percent", columns, rows)


def _numbers(measured: MeasuredResponses) -> dict[str, Any]:
    fractions = {
        name: {"inside": float(one.inside.mean()), "peak": float(one.peak.mean())}
        for name, one in measured.fractions.items()
    }
    return {"area": float(measured.area.mean()), "localizers": fractions}


def _percent(values: Values | NDArray[np.bool_]) -> str:
    """The mean of (N,) and its 95 % interval over photographs."""
    draws = Bootstrap(np.arange(len(values))).sums(values[:, None].astype(float))[:, 0] / len(values)
    low, high = interval(draws[1:])
    return f"{100 * draws[0]:.1f} ({100 * low:.1f} to {100 * high:.1f})"
