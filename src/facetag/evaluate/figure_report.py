"""The figures' numbers as tables to read and as JSON to keep."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from facetag.attributes import ATTRIBUTES
from facetag.evaluate.compare import METRICS, ModelComparison
from facetag.evaluate.grouping import Grouping
from facetag.evaluate.layers import LayersReport, attribute_group
from facetag.evaluate.neurons import NeuronsReport
from facetag.evaluate.regions import RegionsReport
from facetag.evaluate.reliability import Reliability
from facetag.evaluate.report import Table

_SHOWN = 16  #: units in the table


def grouping_tables(grouping: Grouping) -> list[Table]:
    """The groups, and how far labels say the same."""
    rows = [(", ".join(_members(grouping, group)), str(group + 1)) for group in range(grouping.groups.max() + 1)]
    agreed = (
        f"labels of one group correlate by {_number(grouping.within)}, of two groups by {_number(grouping.between)} "
        f"(random groups reach that in {_chance(grouping.chance)} %); rank correlation of weights and labels "
        f"{_number(grouping.agreement)} (shuffled in {_chance(grouping.agreement_chance)} %)"
    )
    return [Table(agreed, ("attributes", "group"), rows)]


def grouping_json(grouping: Grouping) -> dict[str, Any]:
    """Groups, both matrices and their agreement."""
    return {
        "groups": [_members(grouping, group) for group in range(grouping.groups.max() + 1)],
        "label_correlation_within": grouping.within,
        "label_correlation_between": grouping.between,
        "random_groups_as_good": grouping.chance,
        "rank_correlation": grouping.agreement,
        "shuffled_as_good": grouping.agreement_chance,
        "attributes": ATTRIBUTES,
        "weight_cosines": grouping.weights,
        "label_correlations": grouping.labels,
    }


def layers_tables(reports: Mapping[str, LayersReport]) -> list[Table]:
    """Mean accuracy and area of both groups of attributes, and what FC has over the other layers."""
    tables = []
    for net, report in reports.items():
        names = ("identity-related", "other")
        columns = [_columns(report, group) for group in names]
        rows = [
            (
                layer,
                str(probe.units),
                *(_mean_percent(each, at) for at in columns for each in (probe.accuracy, probe.auc)),
            )
            for layer, probe in report.probes.items()
        ]
        majority = (text for at in columns for text in (_mean_percent(report.majority, at), "50.0"))
        rows.append(("majority", "", *majority))
        title = f"ANet after {net}: linear probes on {report.faces} faces of {report.persons} persons, percent"
        header = ("layer", "units", *(f"{group} {metric}" for group in names for metric in ("accuracy", "area")))
        tables.append(Table(title, header, rows))
        gains = [
            (f"fc less {gain.layer}, {gain.group}", _points(gain.difference), _points(gain.low), _points(gain.high))
            for gain in report.gains
        ]
        tables.append(Table("accuracy, points, and 95 % intervals", ("", "difference", "from", "to"), gains))
        if report.verification:
            title = "pairs of one person told from pairs of two by the cosine of centred answers, percent"
            pairs = [(layer, *map(_percent, (one.accuracy, one.auc))) for layer, one in report.verification.items()]
            tables.append(Table(title, ("layer", "accuracy", "area"), pairs))
    return tables


def layers_json(reports: Mapping[str, LayersReport]) -> dict[str, Any]:
    """Every probe by net, layer and attribute."""
    return {"nets": {net: _layers(report) for net, report in reports.items()}}


def _layers(report: LayersReport) -> dict[str, Any]:
    return {
        "faces": report.faces,
        "persons": report.persons,
        "fc_less_layer": [vars(gain) for gain in report.gains],
        "verification": {layer: vars(one) for layer, one in report.verification.items()},
        "layers": {
            layer: {
                "units": probe.units,
                "attributes": {
                    name: {
                        "group": attribute_group(name),
                        "accuracy": probe.accuracy[index],
                        "auc": probe.auc[index],
                        "majority": report.majority[index],
                    }
                    for index, name in enumerate(ATTRIBUTES)
                },
            }
            for layer, probe in report.probes.items()
        },
    }


def neurons_tables(reports: Mapping[str, NeuronsReport]) -> list[Table]:
    """How sparse and alive FC is, and the units that tell most."""
    tables = []
    for net, report in reports.items():
        living = ", ".join(f"{layer} {_percent(fraction)} %" for layer, fraction in report.living.items())
        title = (
            f"ANet after {net}, {report.faces} faces: living units {living}; {_percent(report.active)} % of FC's units "
            f"are above 0 for a face, {report.carriers:.0f} hold 90 % of its answer"
        )
        rows = [
            (unit.attribute, str(unit.index), f"{unit.correlation:+.2f}", _percent(unit.active))
            for unit in report.telling(_SHOWN)
        ]
        tables.append(Table(title, ("goes along with", "unit", "correlation", "active, percent"), rows))
    return tables


def neurons_json(reports: Mapping[str, NeuronsReport]) -> dict[str, Any]:
    """Every unit of FC; the strongest units of single faces stay with whoever has the images."""
    return {
        "nets": {
            net: {
                "faces": report.faces,
                "faces_a_mean": report.responders,
                "living": report.living,
                "active_units": report.active,
                "units_for_90_percent": report.carriers,
                "units": [vars(unit) for unit in report.units],
                "often_strongest": _often(report),
            }
            for net, report in reports.items()
        }
    }


def _often(report: NeuronsReport) -> list[int]:
    """The ten units that are among the five strongest of the most faces."""
    return [int(unit) for unit in np.argsort(-np.bincount(report.strongest.ravel()), kind="stable")[:10]]


def reliability_tables(report: Reliability, warning: str = "") -> list[Table]:
    """Calibration error and bias by attribute."""
    shown = np.flatnonzero(report.counts.sum(1))
    rows = [
        (
            ATTRIBUTES[index],
            str(report.counts[index].sum()),
            _percent(report.calibration_error[index]),
            _points(report.bias[index]),
        )
        for index in shown
    ]
    rows.append(("mean", "", _percent(_mean(report.calibration_error)), _points(_mean(report.bias))))
    title = (
        f"{report.missed} images without a face found (left out); percent, and points by which too many are expected"
    )
    return [Table(_warned(title, warning), ("attribute", "faces", "cal. error", "bias"), rows)]


def reliability_json(report: Reliability) -> dict[str, Any]:
    """Every bin of every attribute that has labels."""
    return {
        "missed": report.missed,
        "mean_calibration_error": _mean(report.calibration_error),
        "attributes": {
            ATTRIBUTES[index]: {
                "calibration_error": report.calibration_error[index],
                "bias": report.bias[index],
                "bins": {
                    "faces": report.counts[index],
                    "mean_probability": report.probability[index],
                    "fraction_present": report.present[index],
                },
            }
            for index in np.flatnonzero(report.counts.sum(1))
        },
    }


def comparison_tables(report: ModelComparison, names: Sequence[str], warning: str = "") -> list[Table]:
    """Both models and their difference by attribute."""
    tables = []
    for metric in METRICS:
        paired = report.metrics[metric]
        columns = (paired.first, paired.second, paired.difference, paired.low, paired.high)
        rows = [
            (name, *(_percent(each[index]) for each in columns[:2]), *(_points(each[index]) for each in columns[2:]))
            for index, name in enumerate((*ATTRIBUTES, "mean"))
            if not np.isnan(paired.difference[index])
        ]
        title = (
            f"{metric.replace('_', ' ')}, percent, and points with 95 % intervals: {report.images} images of "
            f"{report.persons} persons, {report.missed[0]} and {report.missed[1]} without a face found"
        )
        tables.append(Table(_warned(title, warning), ("attribute", *names, "difference", "from", "to"), rows))
    return tables


def comparison_json(report: ModelComparison) -> dict[str, Any]:
    """Every metric of both models by attribute."""
    names = (*ATTRIBUTES, "mean")
    return {
        "images": report.images,
        "persons": report.persons,
        "missed": list(report.missed),
        "labeled": dict(zip(ATTRIBUTES, report.labeled, strict=True)),
        "metrics": {
            metric: {
                name: {
                    "a": paired.first[index],
                    "b": paired.second[index],
                    "difference": paired.difference[index],
                    "low": paired.low[index],
                    "high": paired.high[index],
                }
                for index, name in enumerate(names)
            }
            for metric, paired in report.metrics.items()
        },
    }


def regions_tables(report: RegionsReport) -> list[Table]:
    """Where each attribute's strongest patch lies, and how local it is."""
    rows = []
    for index, name in enumerate(ATTRIBUTES):
        right, down = report.strongest(index)
        agreement = f"{report.agreement[index]:.2f}"
        rows.append((name, f"{right:.2f}", f"{down:.2f}", _percent(report.concentration[index]), agreement))
    rows.append(("mean", "", "", _percent(_mean(report.concentration)), f"{_mean(report.agreement):.2f}"))
    title = (
        f"occlusion of {report.faces} faces: the patch that counts most, percent of the effect in a quarter, and rank "
        "correlation with the map by weights and filters"
    )
    return [Table(title, ("attribute", "right", "down", "in a quarter", "by weights"), rows)]


def regions_json(report: RegionsReport) -> dict[str, Any]:
    """The map of each attribute, row by row from the top."""
    return {
        "faces": report.faces,
        "attributes": {
            name: {
                "concentration": report.concentration[index],
                "strongest": report.strongest(index),
                "effects": report.effects[index],
                "influence": report.influence[index],
                "agreement": report.agreement[index],
            }
            for index, name in enumerate(ATTRIBUTES)
        },
    }


def _warned(title: str, warning: str) -> str:
    return "\n".join(filter(None, (title, warning)))


def _members(grouping: Grouping, group: int) -> list[str]:
    return [ATTRIBUTES[index] for index in np.flatnonzero(grouping.groups == group)]


def _columns(report: LayersReport, group: str) -> list[int]:
    return [index for index, name in enumerate(ATTRIBUTES) if attribute_group(name) == group]


def _mean_percent(values: Any, columns: Sequence[int]) -> str:
    return _percent(_mean(values[columns]))


def _mean(values: Any) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def _percent(value: float) -> str:
    return "-" if np.isnan(value) else f"{100 * value:.1f}"


def _chance(value: float) -> str:
    return f"{100 * value:.2f}"


def _points(value: float) -> str:
    return "-" if np.isnan(value) else f"{100 * value:+.1f}"


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.2f}"
