"""All figures in one page: pictures and numbers are packed into it, and it asks no network."""

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from facetag.errors import UsageError
from facetag.evaluate import figure_report, plots
from facetag.evaluate.attributes import Locate, Tagged, tag_images
from facetag.evaluate.compare import compare_models
from facetag.evaluate.grouping import measure_grouping
from facetag.evaluate.image_batches import Progress
from facetag.evaluate.labeled_faces import Activations, LabeledImages, activations
from facetag.evaluate.layers import measure_layers
from facetag.evaluate.neurons import measure_neurons
from facetag.evaluate.regions import measure_regions
from facetag.evaluate.reliability import measure_reliability
from facetag.evaluate.report import Table, to_json
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


@dataclass(frozen=True, eq=False)
class Figure:
    """One figure of the page.

    Attributes:
        name: what it is called; also of its numbers' file.
        claim: what the paper says; empty where it is not the paper's.
        png: the picture.
        numbers: as in `--json`.
    """

    name: str
    title: str
    claim: str
    tables: Sequence[Table]
    png: bytes
    numbers: dict[str, Any]

    @property
    def image_data(self) -> str:
        """The picture as an address that holds it."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode()}"

    @property
    def json_data(self) -> str:
        """The numbers as an address that holds them."""
        return f"data:application/json;base64,{base64.b64encode(to_json(self.numbers).encode()).decode()}"


def check_page(path: Path) -> None:
    """See before a long run that the page can be written after it.

    Raises:
        UsageError: its folder is not there, or it has another ending.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"a page cannot be written as {path.name}", "name it .html")
    if not os.path.isdir(path.parent):
        raise UsageError(f"{path.parent} is not a folder", "make it, or name another file")


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
    shown = [_grouping(tagger, chosen, settings), _layers(chosen, found, settings), _neurons(chosen, found)]
    shown += [_regions(tagger, found), _reliability(chosen, tagged, settings.warning)]
    if rival:
        name, find, other, read_size = rival
        second = tag_images(chosen.paths, find, other, progress, read_size)
        shown.append(_comparison(chosen, (tagged, second), (tagger.model.name, name), settings))
    return shown


def page(facts: Mapping[str, Any], shown: Sequence[Figure]) -> str:
    """The page as HTML."""
    environment = Environment(
        loader=PackageLoader("facetag.evaluate"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("figures.html").render(facts=facts, figures=shown)


def _grouping(tagger: Tagger, chosen: LabeledImages, settings: FigureSettings) -> Figure:
    measured = measure_grouping(tagger.model.svm.weights, chosen.values, settings.groups, settings.seed)
    return Figure(
        "grouping",
        "Attribute grouping (Fig. 10)",
        "k-means of the weights of attributes makes groups that can be understood: attributes that occur together.",
        figure_report.grouping_tables(measured),
        plots.png_bytes(plots.draw_grouping(measured)),
        figure_report.grouping_json(measured),
    )


def _layers(chosen: LabeledImages, found: Activations, settings: FigureSettings) -> Figure:
    faces = chosen.select(found.rows)
    reports = {
        net: measure_layers(each, faces.values, faces.identities, settings.seed) for net, each in found.layers.items()
    }
    return Figure(
        "layers",
        "Layers of ANet (Fig. 9)",
        "After pre-training FC is ahead of C4 and C3 in identity-related attributes, and behind in others.",
        figure_report.layers_tables(reports),
        plots.png_bytes(plots.draw_layers(reports)),
        figure_report.layers_json(reports),
    )


def _neurons(chosen: LabeledImages, found: Activations) -> Figure:
    reports = {net: measure_neurons(each, chosen.values[found.rows]) for net, each in found.layers.items()}
    net = next(iter(reports))
    return Figure(
        "neurons",
        "Neurons of FC (Fig. 8)",
        "Mean faces change smoothly from high to low responders of a unit, along a concept; activations are sparse.",
        figure_report.neurons_tables(reports),
        plots.png_bytes(plots.draw_neurons(reports[net], found, net)),
        figure_report.neurons_json(reports),
    )


def _regions(tagger: Tagger, found: Activations) -> Figure:
    measured = measure_regions(tagger, found.windows[:OCCLUDED])
    return Figure(
        "regions",
        "Regions of attributes (Fig. 11)",
        "Some attributes are decided in one spot (narrow eyes, big nose, hat), others all over the face (attractive).",
        figure_report.regions_tables(measured),
        plots.png_bytes(plots.draw_regions(measured)),
        figure_report.regions_json(measured),
    )


def _reliability(chosen: LabeledImages, tagged: Tagged, warning: str) -> Figure:
    measured = measure_reliability(tagged.probabilities, chosen.values)
    return Figure(
        "reliability",
        "Reliability of probabilities",
        "",
        figure_report.reliability_tables(measured, warning),
        plots.png_bytes(plots.draw_reliability(measured)),
        figure_report.reliability_json(measured),
    )


def _comparison(
    chosen: LabeledImages, answers: Sequence[Tagged], names: Sequence[str], settings: FigureSettings
) -> Figure:
    measured = compare_models(answers, chosen.values, chosen.identities, settings.seed)
    return Figure(
        "compare",
        f"{names[0]} against {names[1]}",
        "",
        figure_report.comparison_tables(measured, names, settings.warning),
        plots.png_bytes(plots.draw_comparison(measured, names)),
        figure_report.comparison_json(measured),
    )
