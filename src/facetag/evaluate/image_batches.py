"""Pictures to measure on: decoded ahead of use by a few threads, in order, in batches that memory can hold."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np

from facetag.errors import DataError, ImageError
from facetag.images.decode import read_file
from facetag.images.resample import Image
from facetag.pipeline.items import LoadedImage
from facetag.pipeline.loader import ReadSettings, decoded_image

#: Told how many pictures are done, of how many.
Progress = Callable[[int, int], None]

AHEAD = 8  #: pictures decoded while others are looked at
BATCH = 32
BATCH_PIXELS = 50_000_000


def no_progress(done: int, total: int) -> None:
    """For whoever does not want to know."""


def read_batches(
    paths: Sequence[Path], progress: Progress = no_progress, workers: int = 2, side: int = 0
) -> Iterator[list[LoadedImage]]:
    """The pictures in order, at most BATCH of them and about BATCH_PIXELS at a time.

    Args:
        side: JPEGs may be decoded smaller, as `predict` does, as long as the longer side has so many pixels; 0 = whole.

    Raises:
        DataError: one cannot be read; in a measurement nothing may be left out in silence.
    """
    batch: list[LoadedImage] = []
    done = 0
    for image in _read_ahead(paths, workers, ReadSettings(min_size=side)):
        batch.append(image)
        if len(batch) == BATCH or sum(held.pixels.size // 3 for held in batch) >= BATCH_PIXELS:
            yield batch
            done += len(batch)
            progress(done, len(paths))
            batch = []
    if batch:
        yield batch
        progress(len(paths), len(paths))


def load_pixels(path: Path) -> Image:
    """One picture, upright RGB uint8 (H, W, 3).

    Raises:
        DataError: it cannot be read.
    """
    return _read(path, ReadSettings()).pixels


def _read(path: Path, settings: ReadSettings) -> LoadedImage:
    try:
        return decoded_image(str(path), read_file(str(path)), settings)
    except ImageError as error:
        raise DataError(f"{path}: {error}", "mend it or take it out of the data set") from error


def evenly(total: int, count: int | None) -> list[int]:
    """`count` of `total` indices, spread evenly from the first on; all of them when there are no more, or for None."""
    if count is None or count >= total:
        return list(range(total))
    return [int(index) for index in np.arange(count) * total // count]


def _read_ahead(paths: Sequence[Path], workers: int, settings: ReadSettings) -> Iterator[LoadedImage]:
    with ThreadPoolExecutor(workers) as pool:
        rest = iter(paths)
        reading = deque(pool.submit(_read, path, settings) for path in islice(rest, AHEAD))
        while reading:
            image = reading.popleft().result()
            reading.extend(pool.submit(_read, path, settings) for path in islice(rest, 1))
            yield image
