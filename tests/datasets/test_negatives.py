"""Hard negatives: which places and pictures a file names, and what is cut out around a place."""

import numpy as np
import pytest

from facetag.datasets.negatives import AROUND, load_negatives, piece_around
from facetag.errors import DataError
from facetag.geometry import Box


def test_places_are_those_of_pictures_without_a_face(tmp_path):
    file = tmp_path / "negatives.csv"
    rows = [
        "a/wheel.jpg,10,20,30,40,wheel",
        "a/wheel.jpg,1,2,3,4,wheel",
        "b/man.jpg,5,5,9,9,clock",
        "b/man.jpg,,,,,face",
    ]
    file.write_text("\n".join(["file,x,y,width,height,kind", *rows]) + "\n")
    negatives = load_negatives(file)
    wheel = tmp_path / "a" / "wheel.jpg"
    assert negatives.positions == [(wheel, Box(10, 20, 30, 40)), (wheel, Box(1, 2, 3, 4))]
    assert negatives.with_faces == {tmp_path / "b" / "man.jpg"}


def test_a_file_without_kinds_is_refused(tmp_path):
    file = tmp_path / "negatives.csv"
    file.write_text("file,x,y,width,height\na.jpg,1,2,3,4\n")
    with pytest.raises(DataError, match="kind"):
        load_negatives(file)


@pytest.mark.parametrize("place", [Box(40, 30, 20, 24), Box(-4, 0, 20, 24), Box(85, 70, 20, 24)])
def test_a_piece_holds_its_place_as_far_as_the_picture_goes(place):
    image = np.arange(80 * 100 * 3, dtype=np.uint32).reshape(80, 100, 3)
    piece, inside = piece_around(image, place)
    height, width = piece.shape[:2]
    back = inside.scaled(width, height)
    assert (back.width, back.height) == pytest.approx((place.width, place.height))
    assert width <= round(AROUND * 20) + 1 and height <= round(AROUND * 24) + 1
    top, left = divmod(int(piece[0, 0, 0]) // 3, 100)
    assert (back.x + left, back.y + top) == pytest.approx((place.x, place.y))
