"""Contact sheets: photographs with boxes and tags drawn on them, to be looked at."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from facetag.attributes import ATTRIBUTES
from facetag.datasets.scenes import ALIGNED_FACE
from facetag.datasets.tags import TagLabels
from facetag.errors import UsageError, writing
from facetag.evaluate.attributes import Tagged
from facetag.evaluate.image_batches import evenly, load_pixels
from facetag.evaluate.localization import Examined
from facetag.geometry import Box
from facetag.images.resample import Image, resize
from facetag.method.detection_metrics import match
from facetag.tagger import Tagger, Tags

Colour = tuple[int, int, int]

GOOD: Colour = (0, 170, 0)
BAD: Colour = (220, 0, 0)
TRUTH: Colour = (255, 200, 0)
PLAIN: Colour = (0, 0, 0)

CELL = 240  #: pixels of the square that a photograph is fitted into
LINE = 16  #: pixels of a line of text
LINES = 5
COLUMNS = 10
SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class Tile:
    """One photograph of a sheet: boxes in its pixels, drawn in order, and lines of text below it."""

    image: Image
    boxes: Sequence[tuple[Box, Colour]]
    lines: Sequence[tuple[str, Colour]]


def localization_tiles(examined: Sequence[Examined], score: float, tagger: Tagger, count: int) -> list[Tile]:
    """`count` photographs: true boxes yellow, boxes of at least the score green at IoU >= 0.5 and red below, and the
    surest box's tags."""
    return [_located_tile(examined[index], score, tagger) for index in evenly(len(examined), count)]


def attribute_tiles(paths: Sequence[Path], tagged: Tagged, labels: np.ndarray, count: int) -> list[Tile]:
    """`count` pictures: the aligned box yellow, the located one green or red, right tags green and wrong ones red."""
    tiles = []
    for index in evenly(len(paths), count):
        face, image = tagged.faces[index], load_pixels(paths[index])
        boxes, lines = [(ALIGNED_FACE, TRUTH)], [("no face", BAD)]
        if face is not None:
            boxes.append((face.box, GOOD if face.box.iou(ALIGNED_FACE) >= 0.5 else BAD))
            tags = Tags(tagged.probabilities[index : index + 1], tagged.present[index : index + 1])
            names = {name for name, label in zip(ATTRIBUTES, labels[index], strict=True) if label == 1}
            lines = [(f"{face.score:.2f}", PLAIN)]
            lines += [(name, GOOD if name in names else BAD) for name in top_tags(tags, LINES - 1)]
        tiles.append(Tile(image, boxes, lines))
    return tiles


def mistake_tiles(paths: Sequence[Path], tagged: Tagged, labels: TagLabels, count: int) -> list[Tile]:
    """The `count` photographs with the surest wrong answers, the surest first: the located box, and what was answered
    wrongly with its probability, red, above what was answered rightly, green. Fewer when fewer have one."""
    wrong = tagged.found[:, None] & (labels.values >= 0) & (tagged.present != (labels.values == 1))
    confidence = np.where(wrong, np.abs(tagged.probabilities - (labels.values == 1)), 0).max(axis=1)
    order = [int(index) for index in np.argsort(-confidence, kind="stable") if wrong[index].any()]
    return [_mistaken_tile(paths[index], tagged, labels, index, wrong[index]) for index in order[:count]]


def top_tags(tags: Tags, count: int) -> list[str]:
    """The first face's attributes decided present, the most probable first."""
    order = np.argsort(-tags.probabilities[0], kind="stable")
    return [ATTRIBUTES[index] for index in order if tags.present[0, index]][:count]


def contact_sheet(tiles: Sequence[Tile], columns: int = COLUMNS) -> Image:
    """All tiles on white, row-major, RGB (H, W, 3)."""
    assert tiles
    cells = [_draw(tile) for tile in tiles]
    cells += [np.full_like(cells[0], 255)] * (-len(cells) % columns if len(cells) > columns else 0)
    rows = [np.hstack(cells[start : start + columns]) for start in range(0, len(cells), columns)]
    return np.vstack(rows)


def write_sheet(path: Path, sheet: Image) -> None:
    """Write a sheet as JPEG or PNG, by the suffix.

    Raises:
        UsageError: another suffix.
        FacetagError: it cannot be written.
    """
    _check_suffix(path)
    done, data = cv2.imencode(path.suffix, cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    assert done
    with writing(path):
        path.write_bytes(data.tobytes())


def check_sheet(path: Path, annotated_images: Path) -> None:
    """See before a long run that a sheet can be written after it.

    Raises:
        UsageError: it cannot have this suffix, or would replace a file in the folder of the photographs.
    """
    if path.exists() and path.resolve().is_relative_to(annotated_images.resolve()):
        raise UsageError(f"{path} lies among the photographs and would be replaced", "name another file")
    _check_suffix(path)


def _check_suffix(path: Path) -> None:
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"a sheet cannot be written as {path.name}", "name it .jpg or .png")


def _mistaken_tile(path: Path, tagged: Tagged, labels: TagLabels, index: int, wrong: NDArray[np.bool_]) -> Tile:
    face, probabilities = tagged.faces[index], tagged.probabilities[index]
    assert face is not None
    confidence = np.abs(probabilities - (labels.values[index] == 1))
    known = [attribute for attribute in np.lexsort((-confidence, ~wrong)) if labels.values[index, attribute] >= 0]
    lines = [
        (f"{labels.names[attribute]} {probabilities[attribute]:.2f}", BAD if wrong[attribute] else GOOD)
        for attribute in known
    ]
    return Tile(load_pixels(path), [(face.box, PLAIN)], lines)


def _located_tile(one: Examined, score: float, tagger: Tagger) -> Tile:
    image, truths = load_pixels(one.image.path), one.image.boxes
    kept = [face for face in one.found if face.score >= score]
    hits = match([face.box for face in kept], [face.score for face in kept], truths, 0.5) >= 0
    boxes = [(truth, TRUTH) for truth in truths]
    boxes += [(face.box, GOOD if hit else BAD) for face, hit in zip(kept, hits, strict=True)]
    lines = [(" ".join(f"{face.score:.2f}" for face in kept[:5]) or "no face", PLAIN if kept else BAD)]
    if kept:
        lines += [(name, PLAIN) for name in top_tags(tagger([tagger.region(image, kept[0].box)]), LINES - 1)]
    return Tile(image, boxes, lines)


def _draw(tile: Tile) -> Image:
    factor = CELL / max(tile.image.shape[:2])
    width, height = (max(round(edge * factor), 1) for edge in tile.image.shape[1::-1])
    cell = np.full((CELL + LINES * LINE + 4, CELL, 3), 255, np.uint8)
    cell[:height, :width] = resize(tile.image, width, height)
    image = cell[:CELL]  # a view: a box that reaches outside does not cross the text
    for box, colour in tile.boxes:
        moved = box.scaled(factor)
        corners = [(round(moved.x), round(moved.y)), (round(moved.right), round(moved.bottom))]
        cv2.rectangle(image, corners[0], corners[1], colour, 2)
    for number, (text, colour) in enumerate(tile.lines[:LINES]):
        origin = (4, CELL + LINE * (number + 1) - 4)
        cv2.putText(cell, text, origin, cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, 1, cv2.LINE_AA)
    return cell
