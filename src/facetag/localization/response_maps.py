"""From response maps to boxes (paper, section 3.1): what a net is shown, its map over the picture, the peaks in it."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from facetag.errors import UsageError
from facetag.geometry import Box, Window
from facetag.method.scale_space import Layer, peak_scale, smoothed
from facetag.method.windows import labelled_windows
from facetag.networks.lnet import FIRST_CENTER, MIN_SIZE, STRIDE


def require(holds: bool, name: str, value: object, range_: str) -> None:
    """Raises UsageError unless a setting of the localizer holds."""
    if not holds:
        raise UsageError(f"{name} = {value} of the localizer is out of range", f"make it {range_}")


@dataclass(frozen=True)
class PeakSettings:
    """From a net's response maps to boxes.

    Attributes:
        threshold: responses over it are visited; a peak is over it.
        refine: the map is interpolated to steps of a cell by this many before peaks are sought.
        smooth: standard deviation in cells of the Gaussian that then smooths it.
        height: of the box, in pixels of the net's input at the scale at which the net responds most.
        ratio: width / height of the box.
        right, down: from the peak to the box's middle, in heights of the box.
        mirror: respond with the mean of a picture's map and its mirror image's.

    Raises:
        UsageError: a value is out of its range.
    """

    threshold: float = 0.0
    refine: int = 4
    smooth: float = 0.5
    height: float = 48.0
    ratio: float = 0.8
    right: float = 0.0
    down: float = 0.0
    mirror: bool = False

    def __post_init__(self) -> None:
        require(self.threshold >= 0, "threshold", self.threshold, "0 or more")
        require(1 <= self.refine <= 64, "refine", self.refine, "1 to 64")
        require(0 <= self.smooth <= 100, "smooth", self.smooth, "0 to 100")
        require(self.height > 0, "height", self.height, "over 0")
        require(self.ratio > 0, "ratio", self.ratio, "over 0")


@dataclass(frozen=True)
class Frame:
    """What a net is shown of an image: this part of it, which may reach beyond its edges, at this size in pixels."""

    box: Box
    width: int
    height: int


def whole_frame(width: int, height: int, input_size: int) -> Frame:
    """An image at this longer side, extended on all sides alike to sides 16 n + 3 that the net sees from both ends
    alike; its proportions stay. A function of the image's own width and height alone."""
    scale = input_size / max(width, height)
    wide, high = (_symmetric_size(length * scale) for length in (width, height))
    return Frame(Box.around(width / 2, height / 2, wide / scale, high / scale), wide, high)


def _symmetric_size(length: float) -> int:
    return max(STRIDE * int(np.ceil((length - 3) / STRIDE - 1e-6)) + 3, MIN_SIZE)


def as_layer(response: NDArray[np.float32], frame: Frame, settings: PeakSettings) -> Layer:
    """A net's map, refined and smoothed, over the image that its input is a frame of.

    Cell k is centred on pixel 16 k + 17 of the input; pixel centres lie at half coordinates.
    """
    fine = smoothed(refined(response, settings.refine), settings.smooth * settings.refine)
    scale = frame.width / frame.box.width
    first = (FIRST_CENTER + 0.5) / scale
    return Layer(fine, frame.box.x + first, frame.box.y + first, STRIDE / settings.refine / scale, scale)


def refined(response: NDArray[np.float32], refine: int) -> NDArray[np.float64]:
    """The map with refine - 1 further cells between each two: (R, C) -> ((R - 1) refine + 1, (C - 1) refine + 1).

    Nothing is added beyond the outermost centres: an edge repeated there would be a plateau, and of a plateau wider
    than a cell the density peaks make a peak. In double precision, where what lies between two cells stays between.
    """
    fine = response.astype(np.float64)
    for _ in range(2):
        position = np.arange((len(fine) - 1) * refine + 1)
        low, high = position // refine, -(-position // refine)
        fraction = (position % refine / refine)[:, None]
        fine = (fine[low] + (fine[high] - fine[low]) * fraction).T
    return fine


def peak_to_box(layer: Layer, window: Window, scale: float, settings: PeakSettings) -> Box:
    """The box of a peak that is strongest at this scale, in pixels of the image."""
    x, y = layer.position(window.peak_row, window.peak_column)
    tall = settings.height / scale
    return Box.around(x + settings.right * tall, y + settings.down * tall, tall * settings.ratio, tall)


def find_peaks(layers: Sequence[Layer], settings: PeakSettings) -> list[tuple[Box, float]]:
    """Boxes of the density peaks (Eq. 3) of all layers, ascending in scale, with the response at each."""
    found = []
    for index, layer in enumerate(layers):
        for window in labelled_windows(layer.response, settings.threshold)[0]:
            scale = peak_scale(layers, index, window.peak_row, window.peak_column)
            if scale is not None:
                found.append((peak_to_box(layer, window, scale, settings), window.score))
    return found


def largest_response(layers: Sequence[Layer], factor: float, width: int, height: int) -> NDArray[np.float32]:
    """The largest of the layers at each pixel of a panel; see `spread`."""
    panel = np.zeros((height, width), np.float32)
    for layer in layers:
        np.maximum(panel, spread(layer, factor, width, height), out=panel)
    return panel


def spread(layer: Layer, factor: float, width: int, height: int) -> NDArray[np.float32]:
    """A layer over a panel (height, width) of `factor` pixels a pixel of its picture, 0 beyond the layer's cells."""
    step = layer.step * factor
    # pixel centres lie at half coordinates, and OpenCV counts pixel centres
    matrix = np.array([[step, 0, layer.x * factor - 0.5], [0, step, layer.y * factor - 0.5]])
    response = layer.response.astype(np.float32)
    return np.asarray(cv2.warpAffine(response, matrix, (width, height), flags=cv2.INTER_LINEAR), np.float32)
