"""Where each attribute is decided (paper, section 5.1 and Fig. 11), by occlusion: a patch of the face is replaced with
the mean face's, and the SVMs' scores are compared."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facetag.evaluate.image_batches import Progress, no_progress
from facetag.evaluate.labeled_faces import layers_of, to_images
from facetag.tagger import Tagger

ROWS, COLUMNS = 8, 7  #: of patches
OVERLAP = 1.5  #: how wide a patch is, in distances between patches
BATCH = 128
QUARTER = 0.25

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RegionsReport:
    """How much the scores of A attributes hang on each patch.

    Attributes:
        faces: that were occluded.
        effects: (A, ROWS, COLUMNS) mean absolute change of the score, in its own standard deviations over the faces.
        concentration: (A,) the fraction of the whole effect that the strongest quarter of the patches has: 0.25 where
            the whole face counts alike.
        mean_face: (H, W, 3).
    """

    faces: int
    effects: Values
    concentration: Values
    mean_face: NDArray[np.uint8]

    def strongest(self, attribute: int) -> tuple[float, float]:
        """The middle of the patch that counts most: how far right and how far down, each from 0 to 1."""
        row, column = np.unravel_index(int(self.effects[attribute].argmax()), (ROWS, COLUMNS))
        return (float(column) + 0.5) / COLUMNS, (float(row) + 0.5) / ROWS


def measure_regions(tagger: Tagger, windows: NDArray[np.uint8], progress: Progress = no_progress) -> RegionsReport:
    """Occlude every patch of faces (M, H, W, 3), the windows of `net_windows`."""
    mean_face = windows.mean(0).round().astype(np.uint8)
    whole = _scores(tagger, windows)
    spread = whole.std(0)
    effects = np.zeros((whole.shape[1], ROWS, COLUMNS))
    for done, (row, column, area) in enumerate(_patches(*windows.shape[1:3]), 1):
        occluded = windows.copy()
        occluded[:, *area] = mean_face[area]
        change = np.abs(_scores(tagger, occluded) - whole).mean(0)
        np.divide(change, spread, out=effects[:, row, column], where=spread > 0)
        progress(done, ROWS * COLUMNS)
    return RegionsReport(len(windows), effects, _concentration(effects), mean_face)


def _patches(height: int, width: int) -> Iterator[tuple[int, int, tuple[slice, slice]]]:
    """Row and column of each patch, and its pixels."""
    for row in range(ROWS):
        for column in range(COLUMNS):
            yield row, column, (_span(row, ROWS, height), _span(column, COLUMNS, width))


def _span(index: int, count: int, size: int) -> slice:
    step = size / count
    center, reach = (index + 0.5) * step, OVERLAP * step / 2
    return slice(max(round(center - reach), 0), min(round(center + reach), size))


def _scores(tagger: Tagger, windows: NDArray[np.uint8]) -> Values:
    """(M, A) scores of one view; an SVM of concatenated views sees it in all of them."""
    anet, svm, device = tagger.model.anet, tagger.model.svm, tagger.extract.device
    parts = [
        layers_of(anet, to_images(windows[at : at + BATCH], device))["fc"].numpy()
        for at in range(0, len(windows), BATCH)
    ]
    features = np.concatenate(parts)
    views = svm.weights.shape[1] // features.shape[1]
    return svm.scores(np.tile(features, (1, views))).astype(np.float64)


def _concentration(effects: Values) -> Values:
    ordered = -np.sort(-effects.reshape(len(effects), -1), axis=1)
    count = round(ordered.shape[1] * QUARTER)
    total = ordered.sum(1)
    result = np.full(len(effects), np.nan)
    np.divide(ordered[:, :count].sum(1), total, out=result, where=total > 0)
    return result
