"""What the stage before proposes to the stage after (paper, section 4): head squares for LNet_s, faces for ANet."""

import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from facetag.datasets.scenes import ALIGNED_FACE, SceneComposer
from facetag.datasets.utkface import CHIP_FACE
from facetag.errors import DataError
from facetag.geometry import Box
from facetag.images.resample import Image
from facetag.localization.base import Detection, Localizer
from facetag.localization.lnet_localizer import LNetLocalizer
from facetag.training.distributed import first_alone

Boxes = NDArray[np.float32]  #: (N, 5): x y width height score; nan where nothing was found
Item = TypeVar("Item")
Report = Callable[[int, int], None]


def propose_head_regions(localizer: LNetLocalizer, composer: SceneComposer, rounds: int, report: Report) -> Boxes:
    """LNet_o's strongest head square in every composed scene of `rounds` epochs: (rounds * heads, 5)."""
    keys = [(epoch, index) for epoch in range(rounds) for index in range(len(composer.heads))]

    def squares(images: Sequence[Image]) -> list[list[Detection]]:
        head_regions = localizer.head_regions(images, minimum=0.0)
        return [[replace(head, box=localizer.around(head.box)) for head in found[:1]] for found in head_regions]

    return _strongest(squares, lambda key: composer.compose(*key).image, keys, report)


def propose_faces(localizer: Localizer, read: Callable[[str], Image], paths: Sequence[str], report: Report) -> Boxes:
    """The surest face in every picture: (N, 5)."""
    return _strongest(localizer.dominant, read, paths, report)


def propose_all_faces(
    localizer: LNetLocalizer, read: Callable[[str], Image], paths: Sequence[str], report: Report
) -> Boxes:
    """All faces of every picture down to score 0, the surest first: (M, 6), the picture's number, then as in Boxes."""
    rows, start = [], 0
    for images in _loaded(read, paths):
        for number, faces in enumerate(localizer.every(images), start):
            rows += [(number, face.box.x, face.box.y, face.box.width, face.box.height, face.score) for face in faces]
        start += len(images)
        report(start, len(paths))
    return np.array(rows, np.float32).reshape(-1, 6)


def _strongest(
    locate: Callable[[Sequence[Image]], list[list[Detection]]],
    load: Callable[[Item], Image],
    items: Sequence[Item],
    report: Report,
) -> Boxes:
    boxes = np.full((len(items), 5), np.nan, np.float32)
    start = 0
    for images in _loaded(load, items):
        for offset, found in enumerate(locate(images)):
            if found:
                box = found[0].box
                boxes[start + offset] = (box.x, box.y, box.width, box.height, found[0].score)
        start += len(images)
        report(start, len(items))
    return boxes


def _loaded(load: Callable[[Item], Image], items: Iterable[Item], batch: int = 64) -> Iterator[list[Image]]:
    """Batches of loaded images in order; the next batch is loaded beside the use of this one."""
    stream = iter(items)
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(lambda: [load(item) for item in islice(stream, batch)])
        while images := following.result():
            following = pool.submit(lambda: [load(item) for item in islice(stream, batch)])
            yield images


def cached(path: Path, key: str, make: Callable[[], Boxes]) -> Boxes:
    """The boxes saved at `path` if they were made under the same `key`, else made now and saved.

    Of several processes the first makes them and the others wait.
    """

    def make_if_new() -> None:
        if _saved(path, key) is None:
            _save(path, key, make())

    first_alone(make_if_new)  # every process comes here, whatever it would find
    boxes = _saved(path, key)
    assert boxes is not None
    return boxes


def _saved(path: Path, key: str) -> Boxes | None:
    if not path.is_file():
        return None
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as saved:
            boxes: Boxes = saved["boxes"]
            return boxes if str(saved["key"]) == key else None
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is damaged", "delete it; it is made anew") from error


def _save(path: Path, key: str, boxes: Boxes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part.npz")
    np.savez(temporary, key=np.array(key), boxes=boxes)
    os.replace(temporary, path)


def aligned_boxes(count: int, scale: float = 1.0) -> Boxes:
    """The fixed box of the aligned frame, `count` times; `scale` 0.5 of its images at half their size."""
    return _repeated(ALIGNED_FACE.scaled(scale, scale), count)


def chip_boxes(count: int) -> Boxes:
    """The fixed box of UTKFace's chips, `count` times."""
    return _repeated(CHIP_FACE, count)


def _repeated(box: Box, count: int) -> Boxes:
    return np.tile(np.array([box.x, box.y, box.width, box.height, 1.0], np.float32), (count, 1))


def as_box(row: NDArray[np.float32]) -> Box:
    """The Box of a row of Boxes."""
    return Box(*(float(value) for value in row[:4]))
