"""A net of one size looks at a picture at several scales: where, and at which scale, does it respond most?

Response maps of all scales lie over one picture, in one frame of pixels. A peak of one map is kept where neither
neighbour in scale responds more at its place, and a parabola through the three responses says where between the scales
the largest lies.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Layer:
    """The response map of one scale, laid over the picture.

    Attributes:
        response: (R, C) in cells.
        x, y: of the middle of cell (0, 0), in pixels of the picture.
        step: pixels of the picture between neighbouring cells.
        scale: pixels that the net saw per pixel of the picture.
    """

    response: NDArray[np.float64]
    x: float
    y: float
    step: float
    scale: float

    def position(self, row: int, column: int) -> tuple[float, float]:
        """The middle of a cell, in pixels of the picture.

        >>> Layer(np.zeros((4, 4)), x=10.0, y=20.0, step=2.0, scale=1.0).position(row=1, column=3)
        (16.0, 22.0)
        """
        return self.x + column * self.step, self.y + row * self.step

    def at(self, x: float, y: float) -> float | None:
        """The response at a place between the cells (bilinear); None where it lies beyond the outermost ones.

        >>> layer = Layer(np.arange(6.0).reshape(2, 3), x=0.0, y=0.0, step=2.0, scale=1.0)
        >>> layer.at(2.0, 1.0), layer.at(99.0, 0.0)
        (2.5, None)
        """
        rows, columns = self.response.shape
        row, column = (y - self.y) / self.step, (x - self.x) / self.step
        if not (0 <= row <= rows - 1 and 0 <= column <= columns - 1):
            return None
        top, left = int(row), int(column)
        bottom, right = min(top + 1, rows - 1), min(left + 1, columns - 1)
        down, across = row - top, column - left
        upper = self.response[top, left] * (1 - across) + self.response[top, right] * across
        lower = self.response[bottom, left] * (1 - across) + self.response[bottom, right] * across
        return float(upper * (1 - down) + lower * down)


def peak_scale(layers: Sequence[Layer], index: int, row: int, column: int) -> float | None:
    """The scale at which the response at a peak of layer `index` is largest; None when a neighbour responds more.

    Args:
        layers: in ascending scale.

    With a neighbour missing on one side, the peak's own scale; otherwise the vertex of the parabola through the three
    responses over log scale, at most half way to a neighbour.

    >>> scales = {1.0: 5.0, 2.0: 6.0, 4.0: 5.0}  # scale -> what every cell responds
    >>> layers = [Layer(np.full((3, 3), response), 0.0, 0.0, 1.0, scale) for scale, response in scales.items()]
    >>> peak_scale(layers, index=1, row=1, column=1), peak_scale(layers, index=0, row=1, column=1)
    (2.0, None)
    """
    layer = layers[index]
    here, position = float(layer.response[row, column]), layer.position(row, column)
    below = layers[index - 1].at(*position) if index > 0 else None
    above = layers[index + 1].at(*position) if index + 1 < len(layers) else None
    if (below is not None and below > here) or (above is not None and above >= here):
        return None  # of two equal ones the larger scale stays: in `>=` alone they differ
    if below is None or above is None:
        return layer.scale
    down, up = (np.log(layers[index + side].scale / layer.scale) for side in (-1, 1))
    return float(layer.scale * np.exp(_vertex(down, below - here, up, above - here)))


def _vertex(down: float, below: float, up: float, above: float) -> float:
    """Where the parabola through (down, below), (0, 0), (up, above) is largest; below, above <= 0, down < 0 < up."""
    curve = (below / down - above / up) / (down - up)
    if curve >= 0:  # all three are equal
        return 0.0
    vertex = -(below / down - curve * down) / (2 * curve)
    return float(np.clip(vertex, down / 2, up / 2))


def smoothed(response: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """A Gaussian of standard deviation `sigma` cells over the map; its edge goes on beyond it. 0 changes nothing.

    >>> smoothed(np.eye(5), sigma=1.0).shape, smoothed(np.full((2, 3), 7.0), sigma=1.0).round(6).tolist()
    ((5, 5), [[7.0, 7.0, 7.0], [7.0, 7.0, 7.0]])
    """
    if sigma <= 0:
        return response
    reach = int(np.ceil(3 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    for _ in range(2):
        padded = np.pad(response, ((reach, reach), (0, 0)), mode="edge")
        rows = [fraction * padded[start : start + len(response)] for start, fraction in enumerate(kernel)]
        response = np.sum(rows, axis=0).T
    return response
