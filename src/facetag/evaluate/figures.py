"""The figures of one model: each measured, with its tables, numbers and what draws it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetag.attributes import ATTRIBUTES
from facetag.evaluate import figure_report, plots, report
from facetag.evaluate.attributes import Locate, Tagged, tag_images
from facetag.evaluate.compare import compare_models
from facetag.evaluate.figure_page import Figure
from facetag.evaluate.grouping import measure_grouping
from facetag.evaluate.image_batches import Progress, no_progress
from facetag.evaluate.labeled_faces import Activations, LabeledImages, activations
from facetag.evaluate.layers import measure_layers
from facetag.evaluate.neurons import measure_neurons
from facetag.evaluate.regions import measure_regions
from facetag.evaluate.reliability import measure_reliability
from facetag.evaluate.robustness import RobustnessReport
from facetag.evaluate.speed import SpeedReport
from facetag.networks.anet_heads import AnyANet
from facetag.tagger import Tagger

OCCLUDED = 200  #: faces at most

Rival = tuple[str, Locate, Tagger, int]  #: its name, what finds faces, what tags them, and `Localizer.read_size`


@dataclass(frozen=True)
class FigureSettings:
    """How many groups k-means makes, the seed of all that is drawn by lot, `Localizer.read_size`, and what a reader
    must know of the images."""

    groups: int
    seed: int
    read_size: int
    warning: str = ""


def all_figures(
    chosen: LabeledImages,
    locate: Locate,
    tagger: Tagger,
    nets: Mapping[str, AnyANet],
    settings: FigureSettings,
    rival: Rival | None,
    progress: Progress,
) -> list[Figure]:
    """Every figure of one model, and the comparison where there is another."""
    found = activations(chosen.paths, locate, tagger, nets, progress)
    tagged = tag_images(chosen.paths, locate, tagger, progress, settings.read_size)
    shown = [grouping_figure(tagger.model.svm.weights, chosen, settings), layers_figure(chosen, found, settings)]
    shown += [neurons_figure(chosen, found), regions_figure(tagger, found, OCCLUDED)]
    shown += [reliability_figure(chosen, tagged, settings.warning)]
    if rival:
        name, find, other, read_size = rival
        second = tag_images(chosen.paths, find, other, progress, read_size)
        shown.append(comparison_figure(chosen, (tagged, second), (tagger.model.name, name), settings))
    return shown


def grouping_figure(weights: NDArray[np.floating[Any]], chosen: LabeledImages, settings: FigureSettings) -> Figure:
    """Fig. 10, from SVM weights (A, D), of which attributes that were added to a model are the last."""
    measured = measure_grouping(weights[: len(ATTRIBUTES)], chosen.values, settings.groups, settings.seed)
    return Figure(
        "grouping",
        "Attribute grouping (Fig. 10)",
        "k-means of the weights of attributes makes groups that can be understood: attributes that occur together.",
        figure_report.grouping_tables(measured),
        lambda: plots.draw_grouping(measured),
        figure_report.grouping_json(measured),
    )


def layers_figure(chosen: LabeledImages, found: Activations, settings: FigureSettings) -> Figure:
    """Fig. 9."""
    faces = chosen.select(found.rows)
    reports = {
        net: measure_layers(each, faces.values, faces.identities, settings.seed) for net, each in found.layers.items()
    }
    return Figure(
        "layers",
        "Layers of ANet (Fig. 9)",
        "After pre-training FC is ahead of C4 and C3 in identity-related attributes, and behind in others.",
        figure_report.layers_tables(reports),
        lambda: plots.draw_layers(reports),
        figure_report.layers_json(reports),
    )


def neurons_figure(chosen: LabeledImages, found: Activations) -> Figure:
    """Fig. 8; mean faces are of the first net."""
    reports = {net: measure_neurons(each, chosen.values[found.rows]) for net, each in found.layers.items()}
    net = next(iter(reports))
    return Figure(
        "neurons",
        "Neurons of FC (Fig. 8)",
        "Mean faces change smoothly from high to low responders of a unit, along a concept; activations are sparse.",
        figure_report.neurons_tables(reports),
        lambda: plots.draw_neurons(reports[net], found, net),
        figure_report.neurons_json(reports),
    )


def regions_figure(
    tagger: Tagger, found: Activations, count: int | None = None, progress: Progress = no_progress
) -> Figure:
    """Fig. 11, on so many of the faces."""
    measured = measure_regions(tagger, found.windows[:count], progress)
    return Figure(
        "regions",
        "Regions of attributes (Fig. 11)",
        "Some attributes are decided in one spot (narrow eyes, big nose, hat), others all over the face (attractive).",
        figure_report.regions_tables(measured),
        lambda: plots.draw_regions(measured),
        figure_report.regions_json(measured),
    )


def reliability_figure(chosen: LabeledImages, tagged: Tagged, warning: str) -> Figure:
    """Reliability diagrams."""
    measured = measure_reliability(tagged.probabilities, chosen.values)
    return Figure(
        "reliability",
        "Reliability of probabilities",
        "",
        figure_report.reliability_tables(measured, warning),
        lambda: plots.draw_reliability(measured),
        figure_report.reliability_json(measured),
    )


def comparison_figure(
    chosen: LabeledImages, answers: Sequence[Tagged], names: Sequence[str], settings: FigureSettings
) -> Figure:
    """Two models on the same images."""
    measured = compare_models(answers, chosen.values, chosen.identities, settings.seed)
    return Figure(
        "compare",
        f"{names[0]} against {names[1]}",
        "",
        figure_report.comparison_tables(measured, names, settings.warning),
        lambda: plots.draw_comparison(measured, names),
        figure_report.comparison_json(measured),
    )


def robustness_figure(measured: RobustnessReport, warning: str = "") -> Figure:
    """Fig. 4b."""
    return Figure(
        "robustness",
        "Poor boxes and poor pictures (Fig. 4b)",
        "Misaligned faces are localized by the interweaved operation, and several views suppress what is left of it.",
        report.robustness_tables(measured, warning),
        lambda: plots.draw_robustness(measured),
        report.robustness_json(measured),
    )


def speed_figure(measured: SpeedReport) -> Figure:
    """Section 5.2."""
    return Figure(
        "speed",
        "Time (5.2)",
        "A 300x300 image takes 35 ms to localize and 14 ms for features on a GPU; patch by patch computes much twice.",
        report.speed_tables(measured),
        lambda: plots.draw_speed(measured),
        report.speed_json(measured),
    )
