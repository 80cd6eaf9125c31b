"""Reports as tables to read and as JSON to keep."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import Any

import numpy as np

from facetag.attributes import ATTRIBUTES
from facetag.evaluate.attributes import AttributeReport
from facetag.evaluate.box_calibration import BoxCalibration, CenterBoxCalibration, Fitted, Scoring
from facetag.evaluate.localization import FRACTIONS, IOUS, PIXELS, RATES, LocalizationReport, Recall
from facetag.evaluate.robustness import MEANS, Robustness, RobustnessReport
from facetag.evaluate.speed import Comparison, SpeedReport
from facetag.evaluate.tags import TagReport, TagRow
from facetag.settings import plain

_ATTRIBUTE_COLUMNS = {
    "accuracy": "accuracy",
    "majority": "majority",
    "balanced_accuracy": "balanced",
    "f1": "F1",
    "average_precision": "avg. prec.",
    "calibration_error": "cal. error",
}


@dataclass(frozen=True)
class Table:
    """Text in columns; the first is words, the others are figures."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def plain_text(table: Table) -> str:
    """The title, the header and the rows, columns aligned by spaces."""
    lines = [table.columns, *table.rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(table.columns))]
    return "\n".join([table.title, *(_aligned(line, widths) for line in lines)])


def to_json(data: dict[str, Any]) -> str:
    """JSON with nan as null and numbers to seven digits."""
    return json.dumps(_plain(data), indent=1, ensure_ascii=False)


def attribute_tables(report: AttributeReport, warning: str = "") -> list[Table]:
    """Percent per attribute, and their means."""
    values = {name: getattr(report.metrics, name) for name in _ATTRIBUTE_COLUMNS}
    means = report.metrics.means()
    rows = [(name, *(_percent(values[key][i]) for key in values)) for i, name in enumerate(ATTRIBUTES)]
    rows.append(("mean", *(_percent(means[key]) for key in values)))
    title = (
        f"{report.images} pictures, {report.missed} without a face found (decided as the commoner values); "
        f"boxes' mean IoU with the aligned convention {_decimal(report.overlap)}; percent"
    )
    columns = tuple(_ATTRIBUTE_COLUMNS.values())
    by_group = [
        (group.name, str(group.images), *(_percent(group.metrics.means()[key]) for key in _ATTRIBUTE_COLUMNS))
        for group in report.groups
    ]
    groups = Table("means by group, as labelled; percent", ("group", "pictures", *columns), by_group)
    return [Table(_warned(title, warning), ("attribute", *columns), rows), groups]


def attribute_json(report: AttributeReport) -> dict[str, Any]:
    """Means, and every metric by attribute."""
    names = [field.name for field in fields(report.metrics)]
    by_attribute = {
        attribute: {
            "positives": report.positives[index],
            **{name: getattr(report.metrics, name)[index] for name in names},
        }
        for index, attribute in enumerate(ATTRIBUTES)
    }
    return {
        "pictures": report.images,
        "unfound": report.missed,
        "mean_iou_with_aligned_box": report.overlap,
        "mean": report.metrics.means(),
        "groups": {group.name: {"pictures": group.images, **group.metrics.means()} for group in report.groups},
        "attributes": by_attribute,
    }


def tag_tables(report: TagReport) -> list[Table]:
    """Percent per attribute that has labels, and its counts."""
    title = f"{report.images} photographs, {report.missed} without a face found (left out); percent"
    columns = ("attribute", "labelled", "present", "of these told", "absent told", *_ATTRIBUTE_COLUMNS.values())
    return [Table(title, columns, [_tag_row(row) for row in report.rows])]


def tag_json(report: TagReport) -> dict[str, Any]:
    """Counts and every metric by attribute."""
    return {
        "photographs": report.images,
        "unfound": report.missed,
        "attributes": {
            row.name: {
                "photographs": row.images,
                **{name: getattr(row, name) for name in ("positives", "recall", "specificity")},
                **row.metrics.means(),
            }
            for row in report.rows
        },
    }


def robustness_tables(report: RobustnessReport, warning: str = "") -> list[Table]:
    """Mean percent under each disturbance, and how many points that is from the undisturbed one."""
    start = report.rows[0]
    rows = [(f"{row.kind} {row.amount}".rstrip(), *_next_to(row, start)) for row in report.rows]
    title = (
        f"{report.images} aligned pictures, tagged in their fixed box: percent, and points from undisturbed; "
        f"the majority's accuracy is {_percent(report.majority)}"
    )
    columns = [part for name in MEANS for part in (_ATTRIBUTE_COLUMNS[name], "change")]
    return [Table(_warned(title, warning), ("disturbance", *columns), rows)]


def _warned(title: str, warning: str) -> str:
    return "\n".join(filter(None, (title, warning)))


def robustness_json(report: RobustnessReport) -> dict[str, Any]:
    """The means under each disturbance."""
    return {"pictures": report.images, "majority": report.majority, "disturbances": [asdict(r) for r in report.rows]}


def localization_tables(report: LocalizationReport) -> list[Table]:
    """Recall in percent, single-face photographs first."""
    tables = [_overview(report)]
    for name, figures in _groups(report):
        tables += [_iou_table(name, figures, report.score), _size_table(name, figures)]
    return tables


def localization_json(report: LocalizationReport) -> dict[str, Any]:
    """Every figure of both groups, keyed by IoU, rate and size."""
    return {"score": report.score, **{key: _recall_json(getattr(report, key)) for key in ("single", "all")}}


def speed_tables(report: SpeedReport) -> list[Table]:
    """Counts and times of the interweaved operation, then the cascade's times."""
    figures = ("windows", "counted", "full maps", "timed", "ms", "patches ms", "difference", "of full maps")
    rows = [_comparison_row(one) for one in report.comparisons]
    where = (
        f"interweaved operation against patch by patch, {report.device}, {report.threads} threads: times fewer "
        "multiply-adds (the paper's full maps beside), times faster when timed, largest relative difference"
    )
    stages = [
        (f"localisation, {report.heads} heads looked at", _milliseconds(report.localization)),
        ("features of a face, in a full batch", _milliseconds(report.features)),
        ("features of a face, alone", _milliseconds(report.features_alone)),
    ]
    paper = "a 300x300 image (the paper's GPU took 35 ms for localisation and 14 for features)"
    compared = [Table(where, ("", *figures), rows)] if rows else []  # a wide ANet has no patches to compare with
    return [*compared, Table(paper, ("stage", "ms"), stages)]


def speed_json(report: SpeedReport) -> dict[str, Any]:
    """Seconds and multiply-adds."""
    return asdict(report)


def box_calibration_json(box_calibration: BoxCalibration | CenterBoxCalibration) -> dict[str, Any]:
    """All settings and what they reach."""
    if isinstance(box_calibration, CenterBoxCalibration):
        values = plain(box_calibration)
        return {"photographs": values.pop("images"), **values}
    return {
        "photographs": box_calibration.images,
        "head": _fitted_json(box_calibration.head_region),
        "face": _fitted_json(box_calibration.face),
        "scoring": plain(box_calibration.scoring) if box_calibration.scoring else None,
    }


def box_calibration_toml(box_calibration: BoxCalibration | CenterBoxCalibration) -> str:
    """The sections of a recipe: [localizer], [localizer.head_region] and [localizer.face], or [center_localizer]."""
    lines = [f"# Fitted on {box_calibration.images} photographs with one face."]
    if isinstance(box_calibration, CenterBoxCalibration):
        settings = box_calibration.settings
        boxes = {"height": settings.height, "width": settings.width, "right": settings.right, "down": settings.down}
        return "\n".join(lines + _scoring_toml("center_localizer", box_calibration.scoring, boxes))
    if box_calibration.scoring:
        lines += _scoring_toml("localizer", box_calibration.scoring)
    for key in ("head_region", "face"):
        fitted: Fitted | None = getattr(box_calibration, key)
        if fitted is None:
            continue
        reached = f"recall at IoU 0.5 {_percent(fitted.recall)} %, mean IoU {_decimal(fitted.overlap)}"
        lines += [f"# {key}: {reached}", f"[localizer.{key}]"]
        lines += [f"{name} = {_toml_number(value)}" for name, value in plain(fitted.settings).items()]
        lines.append("")
    return "\n".join(lines)


def _scoring_toml(section: str, scoring: Scoring, further: Mapping[str, float] | None = None) -> list[str]:
    reached = f"{_percent(scoring.recall)} % of the faces found at 0.1 false positives an image"
    numbers = {"slope": scoring.slope, "offset": scoring.offset, "score": scoring.score, **(further or {})}
    lines = [f"# score: {reached}", f"[{section}]"]
    return [*lines, *(f"{name} = {_toml_number(value)}" for name, value in numbers.items()), ""]


def _groups(report: LocalizationReport) -> Iterator[tuple[str, Recall]]:
    yield "photographs with one face", report.single
    yield "all photographs", report.all


def _overview(report: LocalizationReport) -> Table:
    columns = ("", "photographs", "faces", "left empty", "false pos./image", "surest box centred in a face")
    rows = [
        (
            name,
            str(figures.images),
            str(figures.faces),
            str(figures.empty),
            _decimal(figures.false_positives),
            _percent(figures.centred),
        )
        for name, figures in _groups(report)
    ]
    return Table(f"boxes of score >= {report.score:g}; the last column without a threshold", columns, rows)


def _tag_row(row: TagRow) -> tuple[str, ...]:
    rates = (_percent(row.recall), _percent(row.specificity))
    figures = (_percent(float(getattr(row.metrics, name)[0])) for name in _ATTRIBUTE_COLUMNS)
    return row.name, str(row.images), str(row.positives), *rates, *figures


def _next_to(row: Robustness, start: Robustness) -> Iterator[str]:
    for name in MEANS:
        value, change = getattr(row, name), getattr(row, name) - getattr(start, name)
        yield _percent(value)
        yield "" if row is start else "-" if math.isnan(change) else f"{round(100 * change, 1) + 0:+.1f}"


def _iou_table(name: str, figures: Recall, score: float) -> Table:
    columns = ("IoU", f"score >= {score:g}", *(f"{rate:g}/image" for rate in RATES), "any score")
    rows = [
        (f"{iou:.1f}", *(_percent(value) for value in (figures.kept[i], *figures.at_rates[i], figures.every[i])))
        for i, iou in enumerate(IOUS)
    ]
    return Table(f"{name}: recall (percent) by IoU, at the score and at false positives per image", columns, rows)


def _size_table(name: str, figures: Recall) -> Table:
    rows = []
    for edges, values, counts, unit in (
        (FRACTIONS, figures.by_fraction, figures.faces_by_fraction, "of the longer side"),
        (PIXELS, figures.by_pixels, figures.faces_by_pixels, "px"),
    ):
        for span, value, count in zip(_spans(edges), values, counts, strict=True):
            rows.append((f"{span} {unit}", str(count), _percent(value)))
    return Table(f"{name}: recall (percent) at IoU 0.5 by size of the face", ("size", "faces", "recall"), rows)


def _recall_json(figures: Recall) -> dict[str, Any]:
    rows = {f"{iou:g}": figures.at_rates[i] for i, iou in enumerate(IOUS)}
    return {
        "photographs": figures.images,
        "faces": figures.faces,
        "empty": figures.empty,
        "false_positives_per_image": figures.false_positives,
        "surest_box_centred_in_a_face": figures.centred,
        "recall_by_iou": dict(zip(rows, figures.kept, strict=True)),
        "recall_by_iou_any_score": dict(zip(rows, figures.every, strict=True)),
        "recall_by_iou_and_false_positives": {
            iou: {f"{rate:g}": value for rate, value in zip(RATES, row, strict=True)} for iou, row in rows.items()
        },
        "recall_by_share_of_longer_side": _sizes_json(FRACTIONS, figures.by_fraction, figures.faces_by_fraction),
        "recall_by_pixels": _sizes_json(PIXELS, figures.by_pixels, figures.faces_by_pixels),
    }


def _sizes_json(edges: Sequence[float], values: Any, counts: Any) -> dict[str, Any]:
    spans = zip(_spans(edges), values, counts, strict=True)
    return {span: {"faces": count, "recall": value} for span, value, count in spans}


def _spans(edges: Sequence[float]) -> list[str]:
    """`a-b` for each bin, `a+` for one without end."""
    return [f"{low:g}+" if math.isinf(high) else f"{low:g}-{high:g}" for low, high in pairwise(edges)]


def _comparison_row(one: Comparison) -> tuple[str, ...]:
    counts = one.counts
    return (
        one.name,
        str(one.windows),
        f"{counts.patches / counts.shipped:.2f}",
        f"{counts.patches / counts.full_maps:.2f}",
        f"{one.patches / one.shipped:.2f}",
        _milliseconds(one.shipped),
        _milliseconds(one.patches),
        f"{one.difference:.0e}",
        f"{one.full_difference:.0e}",
    )


def _fitted_json(fitted: Fitted | None) -> dict[str, Any] | None:
    if fitted is None:
        return None
    return {"settings": plain(fitted.settings), "recall": fitted.recall, "mean_iou": fitted.overlap}


def _toml_number(value: bool | float) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else str(float(f"{value:.5g}"))


def _aligned(line: tuple[str, ...], widths: list[int]) -> str:
    cells = [line[0].ljust(widths[0])]
    cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
    return "  ".join(cells).rstrip()


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.1f}"


def _decimal(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.2f}"


def _plain(value: Any) -> Any:
    """What json can write."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(item) for item in value]
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, float):  # numpy's float64 is one
        return None if math.isnan(value) else float(f"{value:.7g}")
    return value
