from pathlib import Path

import cv2
import numpy as np
import pytest

from facetag.attributes import ATTRIBUTES
from facetag.datasets.scenes import ALIGNED_FACE
from facetag.datasets.webfaces import AnnotatedImage
from facetag.errors import FacetagError, UsageError
from facetag.evaluate.attributes import Tagged
from facetag.evaluate.localization import Examined
from facetag.evaluate.sheet import (
    BAD,
    CELL,
    GOOD,
    PLAIN,
    TRUTH,
    Tile,
    attribute_tiles,
    check_sheet,
    contact_sheet,
    localization_tiles,
    top_tags,
    write_sheet,
)
from facetag.geometry import Box
from facetag.images.decode import read_image
from facetag.localization.base import Detection
from facetag.tagger import Tags

SIZE = len(ATTRIBUTES)
FACE, OFF = Box(20, 20, 40, 50), Box(70, 20, 40, 50)


def tags(**probabilities: float) -> Tags:
    row = np.array([[probabilities.get(name, 0.1) for name in ATTRIBUTES]])
    return Tags(row, row >= 0.5)


class YoungTagger:
    def region(self, image, box):
        return box

    def __call__(self, regions):
        assert list(regions) == [FACE], "the surest box is tagged"
        return tags(Young=0.9, Male=0.6)


def write_picture(path: Path) -> Path:
    path.write_bytes(cv2.imencode(".png", np.full((100, 200, 3), 90, np.uint8))[1].tobytes())
    return path


def test_present_tags_by_probability():
    assert top_tags(tags(Male=0.6, Young=0.9, Bald=0.7, Smiling=0.4), 2) == ["Young", "Bald"]
    assert top_tags(tags(), 2) == []


def test_boxes_are_green_when_they_hit(tmp_path):
    photograph = AnnotatedImage(write_picture(tmp_path / "a.png"), (FACE,), "tune")
    found = [Detection(FACE.shifted(2, 0), 0.9), Detection(OFF, 0.6), Detection(OFF, 0.2)]
    examined = [Examined(photograph, [Detection(FACE, 0.8), *found[1:]], 200), Examined(photograph, found[2:], 200)]
    first, second = localization_tiles(examined, 0.5, YoungTagger(), 10)
    assert first.boxes == [(FACE, TRUTH), (FACE, GOOD), (OFF, BAD)]
    assert first.lines == [("0.80 0.60", PLAIN), ("Young", PLAIN), ("Male", PLAIN)]
    assert second.boxes == [(FACE, TRUTH)]
    assert second.lines == [("no face", BAD)]


def test_tags_are_green_when_they_are_right(tmp_path):
    paths = [write_picture(tmp_path / "a.png")] * 2
    said = tags(Young=0.9, Male=0.6)
    tagged = Tagged(
        [Detection(ALIGNED_FACE, 0.75), None],
        np.vstack([said.probabilities, np.full((1, SIZE), np.nan)]),
        np.vstack([said.present, np.zeros((1, SIZE), bool)]),
    )
    labels = np.zeros((2, SIZE), np.int8)
    labels[0, ATTRIBUTES.index("Male")] = 1
    first, second = attribute_tiles(paths, tagged, labels, 2)
    assert first.boxes == [(ALIGNED_FACE, TRUTH), (ALIGNED_FACE, GOOD)]
    assert first.lines == [("0.75", PLAIN), ("Young", BAD), ("Male", GOOD)]
    assert second.lines == [("no face", BAD)] and len(second.boxes) == 1


def test_a_sheet_shows_pictures_and_boxes_at_their_place(tmp_path):
    image = np.full((100, 200, 3), 90, np.uint8)
    tile = Tile(image, [(FACE, GOOD)], [("text", PLAIN)])
    sheet = contact_sheet([tile] * 5, columns=3)
    assert sheet.shape[1] == 3 * CELL
    cell = sheet[: len(sheet) // 2, :CELL]
    factor = CELL / 200
    assert tuple(cell[round(40 * factor), round(20 * factor)]) == GOOD
    assert tuple(cell[round(40 * factor), round(40 * factor)]) == (90, 90, 90)
    assert (cell[round(100 * factor) + 1 : CELL] == 255).all()
    assert (cell[CELL:] < 100).any(), "text"
    assert (sheet[len(sheet) // 2 :, 2 * CELL :] == 255).all(), "the sixth place stays white"
    write_sheet(tmp_path / "a sheet é.png", sheet)
    assert (read_image(str(tmp_path / "a sheet é.png")).pixels == sheet).all()


def test_few_tiles_make_a_narrow_sheet():
    tile = Tile(np.zeros((10, 10, 3), np.uint8), [], [])
    assert contact_sheet([tile] * 2).shape[1] == 2 * CELL


def test_a_sheet_is_jpeg_or_png(tmp_path):
    with pytest.raises(UsageError, match=r"sheet\.txt"):
        write_sheet(tmp_path / "sheet.txt", np.zeros((4, 4, 3), np.uint8))


def test_a_sheet_replaces_no_photograph(tmp_path):
    photograph = tmp_path / "photos" / "a.jpg"
    photograph.parent.mkdir()
    photograph.write_bytes(b"kept")
    with pytest.raises(UsageError, match="lies among the photographs and would be replaced"):
        check_sheet(photograph, tmp_path / "photos")
    check_sheet(photograph, tmp_path / "others")
    check_sheet(tmp_path / "photos" / "new.jpg", tmp_path / "photos")
    with pytest.raises(UsageError, match=r"cannot be written as sheet\.gif"):
        check_sheet(tmp_path / "sheet.gif", tmp_path / "photos")


def test_a_sheet_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "sheet.png").mkdir()
    with pytest.raises(FacetagError, match=r"^cannot write .*sheet\.png: Is a directory; "):
        write_sheet(tmp_path / "sheet.png", np.zeros((4, 4, 3), np.uint8))
