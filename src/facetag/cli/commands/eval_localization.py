"""`facetag eval peers|maps`: localization beside others, and what the nets respond to (Fig. 6, 7, 14)."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from facetag.cli.commands.figure_options import (
    Limit,
    Output,
    check_figure_outputs,
    deliver,
    figure_command,
    named_paths,
)
from facetag.cli.commands.measuring import cascade_of, localizer_of_run, progress
from facetag.cli.options import Device
from facetag.errors import UsageError

if TYPE_CHECKING:
    from facetag.datasets.webfaces import AnnotatedImage
    from facetag.evaluate.peers import Curve

Models = Annotated[list[str] | None, typer.Option("--model", metavar="DIR|NAME", help="A model; may be repeated.")]


@dataclass(frozen=True, kw_only=True)
class AnnotatedOptions(Output):
    """Photographs with true boxes, and models."""

    images: Annotated[Path, typer.Option(help="Folder of the photographs.")] = Path("data/webfaces")
    boxes: Annotated[Path | None, typer.Option(help="CSV of true boxes; else the WebFaces file among the images.")] = (
        None
    )
    half: Annotated[Literal["tune", "test", "all"], typer.Option(help="Photographs to measure on, by content.")] = (
        "test"
    )
    limit: Limit = None
    model: Models = None
    device: Device = "auto"


@dataclass(frozen=True, kw_only=True)
class PeerOptions(AnnotatedOptions):
    """Peers beside models."""

    peer: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="CSV of a peer's boxes with scores; may be repeated."),
    ] = None


@figure_command(PeerOptions)
def peers(options: PeerOptions) -> None:
    """Recall by IoU and false positives, beside peers' boxes (Fig. 7a).

    Peers' CSVs have file, x, y, width, height, score (benchmarks/peer_boxes.py writes them). Their boxes are moved by
    one global convention, fitted on the tuning half.

    \b
    Example:
      facetag eval peers --model fast --model faithful --peer Haar=haar.csv --page peers.html
    """
    from facetag.evaluate.localization import examine
    from facetag.evaluate.peers import measure_curve, peers_figure

    check_figure_outputs(options)
    chosen, tuning = _chosen_images(options)
    curves = {name: _peer_curve(path, chosen, tuning) for name, path in named_paths("--peer", options.peer or ())}
    for name in options.model or ():
        loaded, localizer, _ = cascade_of(name, options.device)
        curves[loaded.name] = measure_curve(examine(chosen, localizer, progress("photographs", options.quiet)))
    if not curves:
        raise UsageError("nobody to measure", "name a --model or a --peer")
    deliver(options, {"half": options.half, "photographs": len(chosen)}, peers_figure(curves))


@dataclass(frozen=True, kw_only=True)
class MapOptions(AnnotatedOptions):
    """Photographs to draw, or to measure on, and localizers."""

    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="PHOTO", help="Photographs to draw; none = measure on --images.")
    ] = None
    run: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=DIR", help="A training run's localizer, by a name; may be repeated."),
    ] = None
    recipe: Annotated[str, typer.Option(help="The runs' recipe.")] = "faithful"


@figure_command(MapOptions)
def maps(options: MapOptions) -> None:
    """Response maps of localizers side by side, drawn or measured (Fig. 6, 7b, 14).

    Of the photographs that you name it draws the maps. Without any it measures what share of the response lies in the
    true faces of --images, and how often the peak does.

    \b
    Examples:
      facetag eval maps a.jpg b.jpg --model faithful --run objects=runs/objects --page maps.html
      facetag eval maps --images data/webfaces --limit 400 --model faithful --run objects=runs/objects
    """
    from facetag.evaluate.response_fractions import fractions_figure, measure_responses
    from facetag.evaluate.response_pairs import measure_pair, pairs_figure

    check_figure_outputs(options)
    localizers = {}
    for name in options.model or ():
        loaded, localizer, _ = cascade_of(name, options.device)
        localizers[loaded.name] = localizer
    for name, run in named_paths("--run", options.run or ()):
        localizers[name] = localizer_of_run(run, options.recipe, options.device)[0]
    if not localizers:
        raise UsageError("nobody's maps to look at", "name a --model or a --run")
    if options.paths:
        pairs = [measure_pair(path, localizers) for path in options.paths]
        deliver(options, {"photographs": len(pairs)}, pairs_figure(pairs))
        return
    chosen = [image for image in _chosen_images(options)[0] if image.boxes]
    measured = measure_responses(chosen, localizers, progress("photographs", options.quiet))
    deliver(options, {"half": options.half, "photographs": len(chosen)}, fractions_figure(measured))


def _chosen_images(options: AnnotatedOptions) -> "tuple[list[AnnotatedImage], list[AnnotatedImage]]":
    """Those to measure on, and those to fit peers' conventions on: the tuning half, or the same where all are asked."""
    from facetag.evaluate.image_batches import evenly
    from facetag.evaluate.localization import load_annotated_images

    found = load_annotated_images(options.images, options.boxes).chosen
    chosen = [one for one in found if options.half in ("all", one.half)]
    if not chosen:
        raise UsageError(f"no photograph is of the half {options.half}", "use --half all")
    tuning = found if options.half == "all" else [one for one in found if one.half == "tune"]
    return [chosen[index] for index in evenly(len(chosen), options.limit)], tuning


def _peer_curve(path: Path, chosen: "list[AnnotatedImage]", tuning: "list[AnnotatedImage]") -> "Curve":
    """A peer's, by a convention fitted on what it has of the tuning photographs."""
    from facetag.evaluate.peers import examined_by, fit_peer_calibration, load_detections, measure_curve

    peer = load_detections(path)
    known = [image for image in tuning if image.path.name in peer]
    return measure_curve(examined_by(peer, chosen, path), fit_peer_calibration(examined_by(peer, known, path)))


COMMANDS: tuple[Callable[..., None], ...] = (peers, maps)
