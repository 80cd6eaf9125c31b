"""Response maps held against true boxes."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from facetag.datasets.webfaces import AnnotatedImage
from facetag.evaluate.response_fractions import SIDE, ResponseFractions, covered, fractions_figure, measure_responses
from facetag.geometry import Box


class Glowing:
    """Responds where it is told, in fractions of the image; `below` everywhere else."""

    def __init__(self, place: Box, below: float = 0.0) -> None:
        self.place, self.below = place, below

    def responses(self, image: object, faces: object, width: int, height: int) -> list[NDArray[Any]]:
        response = np.full((height, width), self.below, np.float32)
        response[covered([self.place.scaled(width, height)], width, height)] = 1
        return [response]


@pytest.fixture
def annotated(tmp_path: Path) -> list[AnnotatedImage]:
    """Two images of 480 x 240 whose face is the left half, and the lower right quarter."""
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((240, 480, 3), np.uint8))
    boxes = (Box(0, 0, 240, 240), Box(240, 120, 240, 120))
    return [AnnotatedImage(tmp_path / "a.png", (box,), "tune") for box in boxes]


def measured(images: list[AnnotatedImage], place: Box, below: float = 0.0) -> ResponseFractions:
    found = measure_responses(images, {"glowing": Glowing(place, below)})  # type: ignore[dict-item]
    assert found.area.tolist() == [0.5, 0.25] and found.size.tolist() == [0.5, 0.5]
    return found.fractions["glowing"]


def test_what_lies_in_the_face_counts(annotated):
    fractions = measured(annotated, Box(0, 0, 0.5, 0.5))
    assert fractions.inside.tolist() == [1, 0] and fractions.peak.tolist() == [True, False]


def test_a_map_that_is_the_same_everywhere_has_the_faces_area_inside(annotated):
    fractions = measured(annotated, Box(0, 0, 1, 1))
    assert fractions.inside.tolist() == pytest.approx([0.5, 0.25])


def test_what_is_negative_is_no_response(annotated):
    fractions = measured(annotated, Box(0.5, 0.5, 0.5, 0.5), below=-1.0)
    assert fractions.inside.tolist() == [0, 1] and fractions.peak.tolist() == [False, True]


def test_nothing_that_responds_is_a_miss(annotated):
    fractions = measured(annotated, Box(0, 0, 0, 0))
    assert fractions.inside.tolist() == [0, 0] and not fractions.peak.any()


def test_the_figure_says_who_is_ahead(annotated):
    places = {"left": Box(0, 0, 0.5, 1), "right": Box(0.5, 0.5, 0.5, 0.5)}
    localizers = {name: Glowing(place) for name, place in places.items()}
    figure = fractions_figure(measure_responses(annotated, localizers))  # type: ignore[arg-type]
    rows = {row[0]: row[1:] for row in figure.tables[0].rows}
    assert rows["a uniform map"][0].startswith("37.5 ")
    assert rows["left"][:2] == rows["right"][:2] == ("50.0 (0.0 to 100.0)",) * 2
    assert rows["left"][2] == "-" and rows["right"][2].startswith("0.0 (-100.0 to 100.0)")
    assert [row[1] for row in figure.tables[1].rows] == ["0", "0", "0", "0", "2"]
    assert figure.numbers["localizers"]["left"] == {"inside": 0.5, "peak": 0.5} and SIDE == 240
