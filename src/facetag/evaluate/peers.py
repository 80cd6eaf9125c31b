"""Localization beside peers (paper, Fig. 7a): recall by IoU and by false positives, peers' boxes from CSV files.

A peer means another box by "face". So its boxes get one global height and offset, fitted by medians on the tuning half,
as facetag's own got theirs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetag.datasets.columns import read_rows
from facetag.datasets.webfaces import AnnotatedImage
from facetag.errors import DataError
from facetag.evaluate import plots
from facetag.evaluate.box_calibration import TURNS, medians, near
from facetag.evaluate.figure_page import Figure
from facetag.evaluate.localization import IOUS, RATES, Examined
from facetag.evaluate.report import Table
from facetag.geometry import Box
from facetag.localization.base import Detection
from facetag.localization.response_maps import PeakSettings
from facetag.method import detection_metrics as recall

RATE = 0.1  #: false positives an image at which recall is given by IoU

Values = NDArray[np.float64]

_COLUMNS = ("x", "y", "width", "height", "score")


@dataclass(frozen=True, eq=False)
class Curve:
    """One detector on photographs.

    Attributes:
        recall: (len(IOUS), len(RATES)) at the lowest threshold with at most that many false positives an image.
        every: (len(IOUS),) recall of all its boxes, at any threshold.
        false_positives, recall_at_half: the whole curve at IoU 0.5.
        calibration: what a peer's boxes were moved by; None of a model.
    """

    recall: Values
    every: Values
    false_positives: Values
    recall_at_half: Values
    calibration: PeakSettings | None


def load_detections(path: Path) -> dict[str, list[Detection]]:
    """Boxes with scores by the image's name, the surest first; a row with empty fields says that there is none.

    Raises:
        DataError: the file is not what it should be; names file and line.
    """
    found: dict[str, list[Detection]] = {}
    for line, row in read_rows(path, _COLUMNS):
        faces, fields = found.setdefault(row["file"], []), [row[name] for name in _COLUMNS]
        if any(fields):
            faces.append(_detection(path, line, fields))
    return {name: sorted(faces, key=lambda face: -face.score) for name, faces in found.items()}


def examined_by(
    peer: Mapping[str, Sequence[Detection]], images: Sequence[AnnotatedImage], path: Path
) -> list[Examined]:
    """A peer's boxes of these photographs.

    Raises:
        DataError: its file has no row of one of them.
    """
    lacking = [image.path.name for image in images if image.path.name not in peer]
    if lacking:
        raise DataError(
            f"{path} has no row of {len(lacking)} of the photographs, {lacking[0]} among them",
            "let the peer look at all of them; where it finds none, fields are empty",
        )
    return [Examined(image, peer[image.path.name], 1) for image in images]


def fit_peer_calibration(examined: Sequence[Examined]) -> PeakSettings:
    """The one global convention from a peer's boxes to the true ones, as `facetag eval convention` fits LNets'.

    `height` is in heights of the peer's own box. On the surest boxes of photographs with one face.

    Raises:
        DataError: none of them lies near its face.
    """
    alone = [one for one in examined if len(one.image.boxes) == 1]
    pairs = [(one.found[0].box, one.image.boxes[0]) for one in alone if one.found]
    ratio = float(np.median([truth.width / truth.height for _, truth in pairs])) if pairs else 1.0
    settings = PeakSettings(height=1.0, ratio=ratio)
    for _ in range(TURNS):
        moved = [(convert(box, settings), truth) for box, truth in pairs]
        close = [(box, truth) for box, truth in moved if near(box, truth)]
        if not close:
            raise DataError("a rival finds none of the faces to fit its boxes on", "take more photographs")
        settings = medians(settings, close)
    return settings


def convert(box: Box, settings: PeakSettings) -> Box:
    """A peer's box by the convention that was fitted for it."""
    (x, y), tall = box.center, box.height * settings.height
    return Box.around(x + settings.right * tall, y + settings.down * tall, tall * settings.ratio, tall)


def converted(examined: Sequence[Examined], settings: PeakSettings) -> list[Examined]:
    """All of a peer's boxes by the convention."""
    return [
        Examined(one.image, [Detection(convert(face.box, settings), face.score) for face in one.found], one.longer)
        for one in examined
    ]


def measure_curve(examined: Sequence[Examined], calibration: PeakSettings | None = None) -> Curve:
    """Recall of a detector's boxes, which are moved by the convention where there is one."""
    moved = examined if calibration is None else converted(examined, calibration)
    located = [
        recall.Located([face.box for face in one.found], [face.score for face in one.found], one.image.boxes)
        for one in moved
    ]
    half = recall.froc(located, 0.5)
    by_rate = np.array([recall.recall_by_false_positives(located, RATES, iou) for iou in IOUS])
    every = recall.recall_by_iou(located, IOUS)
    return Curve(by_rate, every, half.false_positives, half.recall, calibration)


def peers_figure(curves: Mapping[str, Curve]) -> Figure:
    """Fig. 7a."""
    return Figure(
        "peers",
        "Localization beside peers (Fig. 7a)",
        "At IoU 0.5 LNet with pre-training recalls 23 points more than SURF, 11 more than DPM, 74 more than without.",
        [_by_iou(curves), _by_rate(curves)],
        lambda: draw_peers(curves),
        {
            "ious": IOUS,
            "false_positives_an_image": RATES,
            "detectors": {
                name: {"recall": curve.recall, "recall_of_all_boxes": curve.every} for name, curve in curves.items()
            },
        },
    )


def draw_peers(curves: Mapping[str, Curve]) -> Any:
    """Recall against IoU at `RATE`, and against false positives at IoU 0.5."""
    figure = plots.new_figure(12, 4.8)
    left, right = figure.subplots(1, 2)
    for number, (name, curve) in enumerate(curves.items()):
        color = plots.COLORS[number % len(plots.COLORS)]
        left.plot(IOUS, 100 * curve.recall[:, RATES.index(RATE)], "o-", color=color, label=name)
        right.step(curve.false_positives, 100 * curve.recall_at_half, where="post", color=color, label=name)
    left.set(xlabel="IoU", ylabel=f"recall at {RATE:g} false positives an image, percent", ylim=(0, 100))
    right.set(xlabel="false positives an image", ylabel="recall at IoU 0.5, percent", xlim=(0, 1), ylim=(0, 100))
    right.legend(fontsize=8)
    return figure


def _detection(path: Path, line: int, fields: Sequence[str]) -> Detection:
    try:
        *box, score = (float(field) for field in fields)
    except ValueError:
        box, score = [], 0.0
    if not box or not np.isfinite([*box, score]).all() or min(box[2:]) <= 0:
        raise DataError(
            f"{path}, line {line}: {','.join(fields)!r} is not a box with a score",
            "columns are file, x, y, width, height, score; width and height are over 0",
        )
    return Detection(Box(*box), score)


def _by_iou(curves: Mapping[str, Curve]) -> Table:
    column = RATES.index(RATE)
    rows = [(f"{iou:g}", *(_percent(curve.recall[at, column]) for curve in curves.values())) for at, iou in _at(IOUS)]
    return Table(f"recall at {RATE:g} false positives an image, percent", ("IoU", *curves), rows)


def _by_rate(curves: Mapping[str, Curve]) -> Table:
    row = IOUS.index(0.5)
    rows = [(f"{rate:g}", *(_percent(curve.recall[row, at]) for curve in curves.values())) for at, rate in _at(RATES)]
    return Table("recall at IoU 0.5, percent", ("false positives an image", *curves), rows)


def _at(values: Sequence[float]) -> list[tuple[int, float]]:
    return list(enumerate(values))


def _percent(value: float) -> str:
    return "-" if np.isnan(value) else f"{100 * value:.1f}"
