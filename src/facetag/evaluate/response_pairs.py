"""Response maps of localizers side by side (paper, Fig. 6, 7b and 14): what each net answers to one photograph."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetag.evaluate import plots
from facetag.evaluate.figure_page import Figure
from facetag.evaluate.image_batches import load_pixels
from facetag.evaluate.report import Table
from facetag.evaluate.response_fractions import covered, fraction_of
from facetag.geometry import Box
from facetag.images.resample import Image, resize
from facetag.localization.base import Localizer

PANEL = 240  #: pixels of a panel's longer side


@dataclass(frozen=True, eq=False)
class ResponsePair:
    """One photograph, drawn small.

    Attributes:
        image: (H, W, 3).
        maps: of each localizer, (H, W) of its first net; zeros where it has none.
        boxes: of each localizer, its surest face in the panel's pixels, None where it finds none.
    """

    name: str
    image: Image
    maps: Mapping[str, NDArray[np.float32]]
    boxes: Mapping[str, Box | None]


def measure_pair(path: Path, localizers: Mapping[str, Localizer]) -> ResponsePair:
    """What each localizer answers to a photograph.

    Raises:
        DataError: it cannot be read.
    """
    image = load_pixels(path)
    scale = PANEL / max(image.shape[:2])
    width, height = (max(round(scale * side), 1) for side in (image.shape[1], image.shape[0]))
    maps, boxes = {}, {}
    for name, localizer in localizers.items():
        faces = [face.box for face in localizer.dominant([image])[0][:1]]
        found = localizer.responses(image, faces, width, height)
        maps[name] = np.asarray(found[0], np.float32) if found else np.zeros((height, width), np.float32)
        boxes[name] = faces[0].scaled(scale) if faces else None
    return ResponsePair(path.name, resize(image, width, height), maps, boxes)


def pairs_figure(pairs: Sequence[ResponsePair]) -> Figure:
    """Fig. 6, 7b and 14."""
    return Figure(
        "maps",
        "Response maps by pairs (Fig. 6, 7b, 14)",
        "With object pre-training maps are robust to clutter, parts of bodies and variation of faces.",
        [_table(pairs)],
        lambda: draw_pairs(pairs),
        {"photographs": [_numbers(pair) for pair in pairs]},
    )


def inside(response: NDArray[np.float32], box: Box | None) -> float:
    """The fraction of all response that lies in the box; nan without a box, or where nothing responds.

    >>> inside(np.eye(4, dtype=np.float32), Box(0, 0, 2, 2))
    0.5
    """
    if box is None or not (response > 0).any():
        return float("nan")
    height, width = response.shape
    return fraction_of(response, covered([box], width, height))[0]


def draw_pairs(pairs: Sequence[ResponsePair]) -> Any:
    """A row a photograph: itself, then each localizer's map over it with its box."""
    names = list(pairs[0].maps)
    figure = plots.new_figure(3.2 * (len(names) + 1), 2.6 * len(pairs))
    panels = figure.subplots(len(pairs), len(names) + 1, squeeze=False)
    for row, pair in zip(panels, pairs, strict=True):
        row[0].imshow(pair.image)
        for panel, name in zip(row[1:], names, strict=True):
            panel.imshow(pair.image.mean(2), cmap="gray", vmin=0, vmax=255)
            panel.imshow(pair.maps[name], cmap="inferno", alpha=0.6, vmin=0, vmax=max(pair.maps[name].max(), 1e-6))
            _draw_box(panel, pair.boxes[name])
    for panel, title in zip(panels[0], ("photograph", *names), strict=True):
        panel.set_title(title, fontsize=9)
    for panel in panels.flat:
        panel.set_axis_off()
    return figure


def _draw_box(panel: Any, box: Box | None) -> None:
    if box is not None:
        corners = ([box.x, box.right, box.right, box.x, box.x], [box.y, box.y, box.bottom, box.bottom, box.y])
        panel.plot(*corners, color="#66ccee")


def _table(pairs: Sequence[ResponsePair]) -> Table:
    names = list(pairs[0].maps)
    rows = [(pair.name, *(_percent(inside(pair.maps[name], pair.boxes[name])) for name in names)) for pair in pairs]
    return Table("response inside the surest box, percent", ("photograph", *names), rows)


def _numbers(pair: ResponsePair) -> dict[str, Any]:
    return {
        "name": pair.name,
        "inside": {name: inside(response, pair.boxes[name]) for name, response in pair.maps.items()},
    }


def _percent(value: float) -> str:
    return "-" if np.isnan(value) else f"{100 * value:.0f}"
