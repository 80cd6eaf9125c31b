"""Where each attribute is decided (paper, section 5.1 and Fig. 11).

By weights and filters, as the paper does it: how much the answers of C3 and C4 at each place can move an attribute's
score by way of FC. And by occlusion: a patch of the face is replaced with the mean face's, and scores are compared.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from facetag.evaluate.image_batches import Progress, no_progress
from facetag.evaluate.labeled_faces import layers_of, to_images
from facetag.method.svm import LinearSVM
from facetag.networks.anet import Frame
from facetag.networks.anet_heads import AnyANet
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
        influence: (A, ROWS, COLUMNS) by weights and filters, of each attribute the fractions of the whole.
        agreement: (A,) rank correlation of influence and effects over the patches.
        mean_face: (H, W, 3).
    """

    faces: int
    effects: Values
    concentration: Values
    influence: Values
    agreement: Values
    mean_face: NDArray[np.uint8]

    def strongest(self, attribute: int) -> tuple[float, float]:
        """The middle of the patch that counts most: how far right and how far down, each from 0 to 1."""
        row, column = np.unravel_index(int(self.effects[attribute].argmax()), (ROWS, COLUMNS))
        return (float(column) + 0.5) / COLUMNS, (float(row) + 0.5) / ROWS


def measure_regions(tagger: Tagger, windows: NDArray[np.uint8], progress: Progress = no_progress) -> RegionsReport:
    """Weigh, and occlude, every patch of faces (M, H, W, 3), the windows of `net_windows`."""
    mean_face = windows.mean(0).round().astype(np.uint8)
    svm = tagger.model.svm
    answers = _answers(tagger, windows)
    whole = _scores(svm, answers["fc"])
    spread = whole.std(0)
    effects = np.zeros((whole.shape[1], ROWS, COLUMNS))
    for done, (row, column, area) in enumerate(_patches(*windows.shape[1:3]), 1):
        occluded = windows.copy()
        occluded[:, *area] = mean_face[area]
        change = np.abs(_scores(svm, _answers(tagger, occluded)["fc"]) - whole).mean(0)
        np.divide(change, spread, out=effects[:, row, column], where=spread > 0)
        progress(done, ROWS * COLUMNS)
    influence = influence_of(tagger.model.anet, svm, answers)
    agreement = np.array([_correlation(*pair) for pair in zip(influence, effects, strict=True)])
    return RegionsReport(len(windows), effects, _concentration(effects), influence, agreement, mean_face)


def influence_of(anet: AnyANet, svm: LinearSVM, answers: Mapping[str, NDArray[np.float32]]) -> Values:
    """How much of an attribute's score hangs on each place by the weights from C3, C4 and the context to FC and from FC
    to the SVM: (A, ROWS, COLUMNS), of each attribute the fractions of the whole.

    A unit counts by how much it varies from face to face, an FC unit by how often it is active.

    Args:
        anet: folded, or without normalisation.
        answers: of each layer for M faces (M, D).
    """
    fc = answers["fc"]
    views = svm.weights.shape[1] // fc.shape[1]
    weights = (svm.weights / svm.scale).reshape(len(svm.weights), views, -1).sum(1) * (fc > 0).mean(0)
    total = np.zeros((len(weights), ROWS, COLUMNS))
    for layer, part in anet.fc_weights()._asdict().items():
        if part is not None:
            paths = np.einsum("af,fcyx->acyx", weights, part.numpy())
            spread = answers[layer].std(0).reshape(part.shape[1:])
            total += _placed(np.abs(paths * spread).sum(1), anet.frame, whole=layer == "context")
    sums = total.sum((1, 2), keepdims=True)
    fractions: Values = np.divide(total, sums, out=np.zeros_like(total), where=sums > 0)
    return fractions


def _placed(cells: Values, frame: Frame, whole: bool) -> Values:
    """Maps (A, rows, columns) of a view, or of the whole window with its margin, spread over the patches."""
    high, wide = frame.height + 2 * frame.margin, frame.width + 2 * frame.margin
    edge = 0 if whole else frame.margin
    painted = np.zeros((len(cells), high, wide))
    size = (wide - 2 * edge, high - 2 * edge)
    for canvas, each in zip(painted, cells, strict=True):
        canvas[edge : high - edge, edge : wide - edge] = cv2.resize(each, size, interpolation=cv2.INTER_LINEAR)
    painted *= cells.sum((1, 2), keepdims=True) / np.maximum(painted.sum((1, 2), keepdims=True), 1e-12)
    rows, columns = (
        np.linspace(0, end, count + 1).round().astype(int) for end, count in ((high, ROWS), (wide, COLUMNS))
    )
    summed = np.add.reduceat(painted, rows[:-1], axis=1)
    return np.asarray(np.add.reduceat(summed, columns[:-1], axis=2))


def _correlation(first: Values, second: Values) -> float:
    ranks = [rankdata(each.ravel()) for each in (first, second)]
    return float(np.corrcoef(*ranks)[0, 1]) if all(each.std() > 0 for each in ranks) else float("nan")


def _patches(height: int, width: int) -> Iterator[tuple[int, int, tuple[slice, slice]]]:
    """Row and column of each patch, and its pixels."""
    for row in range(ROWS):
        for column in range(COLUMNS):
            yield row, column, (_span(row, ROWS, height), _span(column, COLUMNS, width))


def _span(index: int, count: int, size: int) -> slice:
    step = size / count
    center, reach = (index + 0.5) * step, OVERLAP * step / 2
    return slice(max(round(center - reach), 0), min(round(center + reach), size))


def _answers(tagger: Tagger, windows: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """Of each layer in one view: (M, D)."""
    anet, device = tagger.model.anet, tagger.extract.device
    parts = [layers_of(anet, to_images(windows[at : at + BATCH], device)) for at in range(0, len(windows), BATCH)]
    return {layer: np.concatenate([part[layer].numpy() for part in parts]) for layer in parts[0]}


def _scores(svm: LinearSVM, features: NDArray[np.float32]) -> Values:
    """(M, A) scores of one view; an SVM of concatenated views sees it in all of them."""
    views = svm.weights.shape[1] // features.shape[1]
    return svm.scores(np.tile(features, (1, views))).astype(np.float64)


def _concentration(effects: Values) -> Values:
    ordered = -np.sort(-effects.reshape(len(effects), -1), axis=1)
    count = round(ordered.shape[1] * QUARTER)
    total = ordered.sum(1)
    result = np.full(len(effects), np.nan)
    np.divide(ordered[:, :count].sum(1), total, out=result, where=total > 0)
    return result
