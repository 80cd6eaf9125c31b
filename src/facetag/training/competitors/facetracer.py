"""FaceTracer (Kumar et al. 2008), as the paper compares itself with it: histograms of oriented gradients and of colours
of functional regions, a choice of these for each attribute, and an SVM.

A block is one region with one kind of histogram. As published, an SVM is fitted to each block, AdaBoost chooses among
these SVMs, and one SVM learns from all chosen blocks. Other than published: SVMs are linear, not of radial basis
functions; the regions lie where the aligned frame has them; there are two kinds of features, as in the paper.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facetag.errors import FacetagError
from facetag.images.resample import Image, crop
from facetag.training.competitors.linear import CalibratedSVM, fit_calibrated, fit_linear
from facetag.training.competitors.placement import HEAD, PARTS
from facetag.training.examples import read_rgb
from facetag.training.fit import Features, Labels

WIDTH, HEIGHT = 96, 128  #: of the head, pixels
CELL = 8
ORIENTATIONS = 9
MANY = 24  #: blocks of gradients in a region from which on every other one is left out
BINS = (8, 4, 4)  #: of hue, saturation and value
ROUNDS = 8  #: of AdaBoost: blocks that an attribute has at most
LOCAL_COST = 0.001  #: C of the SVM of one block


@dataclass(frozen=True, eq=False)
class FaceTracer:
    """What was learned.

    Attributes:
        chosen: (A, B) which blocks each attribute's SVM sees.
    """

    svm: CalibratedSVM
    chosen: NDArray[np.bool_]

    def probabilities(self, features: Features) -> NDArray[np.float64]:
        """Shape: (N, D) -> (N, A)."""
        return self.svm.probabilities(features)


def gradients_of() -> Callable[..., NDArray[np.float64]]:
    """scikit-image's histograms of oriented gradients.

    Raises:
        FacetagError: scikit-image is not installed.
    """
    try:
        hog: Callable[..., NDArray[np.float64]] = import_module("skimage.feature").hog
    except ImportError:
        raise FacetagError("FaceTracer needs scikit-image", "pip install 'facetag[figures]'") from None
    return hog


def block_gradients(grey: NDArray[Any]) -> NDArray[np.float64]:
    """Histograms of oriented gradients of cells, normalised in blocks of 2x2 cells: (rows, columns, 2, 2, 9).

    scikit-image normalises block by block in Python, which takes most of its time. So it gets one block that holds all
    cells, a scale that cancels, and the real blocks are normalised here at once (L2-Hys, as there).
    """
    whole = (grey.shape[0] // CELL, grey.shape[1] // CELL)
    cells = gradients_of()(grey, ORIENTATIONS, (CELL, CELL), whole, "L1", feature_vector=False)[0, 0]
    windows = np.lib.stride_tricks.sliding_window_view(cells, (2, 2), axis=(0, 1))
    blocks = np.moveaxis(windows, 2, -1).reshape(*windows.shape[:2], -1)
    clipped = np.minimum(_normalised(blocks), 0.2)
    blocks = _normalised(clipped)
    return np.asarray(blocks.reshape(*windows.shape[:2], 2, 2, ORIENTATIONS))


def block_names() -> list[str]:
    """Names of the B blocks, in the order of the features."""
    return [f"{kind} of {name}" for name in PARTS for kind in ("gradients", "colours")]


def describe(path: Path) -> list[NDArray[np.float32]]:
    """The B blocks of an aligned image, each a vector."""
    head = crop(read_rgb(str(path)), HEAD, WIDTH, HEIGHT)
    grey = cv2.cvtColor(head, cv2.COLOR_RGB2GRAY)
    cells = block_gradients(grey)
    colours = cv2.cvtColor(head, cv2.COLOR_RGB2HSV)
    blocks: list[NDArray[np.float32]] = []
    for name in PARTS:
        left, top, right, bottom = _pixels(name)
        blocks.append(_gradients(cells, left, top, right, bottom))
        blocks.append(_colours(np.ascontiguousarray(colours[top:bottom, left:right])))
    return blocks


def describe_all(paths: Sequence[Path], report: Callable[[int, int], None]) -> Features:
    """Shape: N paths -> (N, D)."""
    rows = []
    for index, path in enumerate(paths):
        rows.append(np.concatenate(describe(path)))
        report(index + 1, len(paths))
    return np.stack(rows)


def block_columns(path: Path) -> NDArray[np.int64]:
    """(D,) the number of the block that each feature belongs to, as seen in any image."""
    return np.repeat(np.arange(len(block_names())), [len(block) for block in describe(path)])


def train_facetracer(
    features: Features, labels: Labels, identities: NDArray[np.int64], columns: NDArray[np.int64], seed: int = 0
) -> FaceTracer:
    """Shape: features (N, D), labels (N, A), identities (N,), columns (D,)."""
    mean, scale = features.mean(0), np.maximum(features.std(0), 1e-3)
    standard = ((features - mean) / scale).astype(np.float32)
    half = np.random.default_rng(seed).permutation(np.unique(identities))[::2]
    seen = np.isin(identities, half)
    scores = [_local(standard[:, columns == block], labels, seen) for block in np.unique(columns)]
    chosen = boost(np.stack(scores, axis=1) >= 0, labels[~seen])
    return FaceTracer(fit_calibrated(features, labels, identities, chosen[:, columns], seed=seed), chosen)


def boost(decisions: NDArray[np.bool_], labels: Labels, rounds: int = ROUNDS) -> NDArray[np.bool_]:
    """Which of B deciders discrete AdaBoost takes in so many rounds, for each attribute.

    Shape: decisions (N, B, A), labels (N, A) -> (A, B).

    >>> right, wrong = [True, False, True, False], [True, True, True, True]
    >>> boost(np.array([right, wrong]).T[:, :, None], np.array([right]).T, rounds=1).tolist()
    [[True, False]]
    """
    chosen = np.zeros((labels.shape[1], decisions.shape[1]), np.bool_)
    for attribute in range(labels.shape[1]):
        wrong = decisions[:, :, attribute] != labels[:, [attribute]]
        weights = np.full(len(labels), 1 / len(labels))
        for _ in range(rounds):
            errors = weights @ wrong
            best = int(errors.argmin())
            chosen[attribute, best] = True
            error = float(np.clip(errors[best], 1e-6, 1 - 1e-6))
            if error >= 0.5:
                break
            weights *= np.where(wrong[:, best], (1 - error) / error, 1.0)
            weights /= weights.sum()
    return chosen


def _normalised(blocks: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(blocks / np.sqrt(np.square(blocks).sum(-1, keepdims=True) + 1e-10))


def _local(block: Features, labels: Labels, seen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Scores of the unseen half by an SVM of one block."""
    weights, bias = fit_linear(block[seen], labels[seen], LOCAL_COST)
    scores: NDArray[np.float64] = block[~seen] @ weights.T + bias
    return scores


def _pixels(name: str) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a region in the head's pixels."""
    across, down, box = WIDTH / HEAD.width, HEIGHT / HEAD.height, PARTS[name]
    left, top = (box.x - HEAD.x) * across, (box.y - HEAD.y) * down
    return round(left), round(top), round(left + box.width * across), round(top + box.height * down)


def _gradients(cells: NDArray[np.float64], left: int, top: int, right: int, bottom: int) -> NDArray[np.float32]:
    """The blocks whose centre (a corner of cells) lies in the region."""
    rows = [row for row in range(cells.shape[0]) if top <= (row + 1) * CELL <= bottom]
    columns = [column for column in range(cells.shape[1]) if left <= (column + 1) * CELL <= right]
    step = 2 if len(rows) * len(columns) > MANY else 1
    return cells[np.ix_(rows[::step], columns[::step])].ravel().astype(np.float32)


def _colours(region: Image) -> NDArray[np.float32]:
    """The square roots of the region's histogram, so that rare colours count too."""
    counts = cv2.calcHist([region], [0, 1, 2], None, list(BINS), [0, 180, 0, 256, 0, 256])
    return np.asarray(np.sqrt(counts.ravel() / counts.sum()), np.float32)
