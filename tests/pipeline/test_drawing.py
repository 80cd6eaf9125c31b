import os
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facetag.errors import FacetagError
from facetag.geometry import Box
from facetag.localization.center_localizer import CenterLocalizer
from facetag.localization.lnet_localizer import LNetLocalizer
from facetag.localization.response_maps import Frame, PeakSettings, as_layer, spread
from facetag.pipeline.drawing import PANEL_SIZE, Drawer, file_name
from facetag.pipeline.items import LoadedImage
from facetag.results import FaceResult, ImageResult, Status
from models import center_model, random_model


def photo(path="a.jpg", width=120, height=90):
    return LoadedImage(path, np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def record(*boxes, path="a.jpg"):
    faces = tuple(FaceResult(Box(*box), 0.5, {"Smiling": 0.7}, ("Smiling",)) for box in boxes)
    return ImageResult(path, Status.OK if faces else Status.NO_FACE, "", 120, 90, faces)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (3, 5), (12, 12)])
@pytest.mark.parametrize("factor", [1.0, 0.25, 3.0])
@pytest.mark.parametrize("place", [Box(0, 0, 395, 395), Box(100, 40, 227, 227)])
def test_a_cell_is_drawn_where_its_centre_looks(row, column, place, factor):
    response = np.zeros((13, 13), np.float32)
    response[row, column] = 1
    layer = as_layer(response, Frame(place.scaled(1 / factor), 227, 227), PeakSettings(smooth=0.0))
    panel = spread(layer, factor, 600, 400)
    at = np.unravel_index(panel.argmax(), panel.shape)
    expected_x = place.x + (16 * column + 17.5) * place.width / 227
    expected_y = place.y + (16 * row + 17.5) * place.height / 227
    assert abs(at[1] + 0.5 - expected_x) <= 1 and abs(at[0] + 0.5 - expected_y) <= 1
    assert panel[int(expected_y) - 40 if expected_y > 60 else int(expected_y) + 40, int(expected_x)] == 0


def test_boxes_and_tags_stand_on_the_picture_where_the_face_is(tmp_path):
    drawer = Drawer(tmp_path)
    plain, boxed = drawer.drawn(photo(), record()), drawer.drawn(photo(), record((30, 30, 40, 40)))
    assert plain.shape == boxed.shape == (PANEL_SIZE * 3 // 4, PANEL_SIZE, 3)
    factor = PANEL_SIZE / 120
    edge = boxed[round(50 * factor), round(30 * factor)]
    np.testing.assert_array_equal(edge, (80, 255, 80))
    changed = (plain != boxed).any(axis=2)
    changed[:20, :80] = False  # where the plain one says no_face
    rows, columns = np.nonzero(changed)
    assert rows.min() >= round(30 * factor) - 20 and columns.min() >= round(30 * factor) - 2
    inside = changed[round(30 * factor) + 3 : round(70 * factor) - 3, round(30 * factor) + 3 : round(70 * factor) - 3]
    assert not inside.any()  # tags stand beside the face, not on it
    assert changed[:, round(70 * factor) + 4 :].any()


def test_both_response_maps_stand_beside(tmp_path):
    drawer = Drawer(tmp_path / "new" / "drawn", lambda: LNetLocalizer(random_model()))
    drawer(photo(), record((30, 30, 30, 40)))
    (path,) = (tmp_path / "new" / "drawn").iterdir()
    image = cv2.imread(str(path))
    assert image.shape == (PANEL_SIZE * 3 // 4, 3 * PANEL_SIZE, 3)
    whole, faces = image[:, PANEL_SIZE : 2 * PANEL_SIZE], image[:, 2 * PANEL_SIZE :]
    assert whole.mean() > faces.mean()  # one square of the picture, and the whole of it


def test_a_centre_network_has_no_response_maps_to_stand_beside(tmp_path):
    with_net, without = Drawer(tmp_path, lambda: CenterLocalizer(center_model())), Drawer(tmp_path)
    drawn = with_net.drawn(photo(), record((30, 30, 30, 40)))
    assert drawn.shape == (PANEL_SIZE * 3 // 4, PANEL_SIZE, 3)
    np.testing.assert_array_equal(drawn, without.drawn(photo(), record((30, 30, 30, 40))))


@pytest.mark.parametrize(("width", "height"), [(1, 1), (16, 16), (2000, 3), (3, 2000)])
def test_odd_shapes_can_be_drawn(tmp_path, width, height):
    picture = Drawer(tmp_path).drawn(photo(width=width, height=height), record((0, 0, 1, 1), (-5, -5, 9, 9)))
    assert max(picture.shape[:2]) == PANEL_SIZE


@pytest.mark.parametrize("box", [(3e9, 0, 9, 9), (-3e9, -3e9, 7e9, 7e9), (1, 1, 1e300, 1e300), (5, 5, 3e9, 20)])
@pytest.mark.parametrize("localizer", [None, LNetLocalizer(random_model())], ids=["bare", "with maps"])
def test_boxes_of_any_size_are_clipped(tmp_path, box, localizer):
    assert Drawer(tmp_path, lambda: localizer).drawn(photo(), record(box)).shape[0] == PANEL_SIZE * 3 // 4


def test_a_box_that_covers_all_has_no_edge_in_the_picture(tmp_path):
    drawn = Drawer(tmp_path).drawn(photo(), record((-3e9, -3e9, 7e9, 7e9)))
    plain = Drawer(tmp_path).drawn(photo(), record())
    np.testing.assert_array_equal(drawn[100:-9, 200:-9], plain[100:-9, 200:-9])


names = st.binary(min_size=1, max_size=40).filter(lambda name: 0 not in name)


@given(names, names)
def test_different_paths_have_different_drawings(first, second):
    drawn = [file_name(os.fsdecode(name)) for name in (first, second)]
    assert (drawn[0] == drawn[1]) == (first == second)
    assert all(name.isascii() and name.isprintable() and "/" not in name and len(name) < 100 for name in drawn)


def test_the_same_name_in_two_folders_is_drawn_twice():
    first, second = file_name("a/photo.jpg"), file_name("b/photo.jpg")
    assert first != second
    assert first.startswith("photo.jpg-") and first.endswith(".jpg")


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FacetagError, match=r"^cannot write .*file"):
        Drawer(tmp_path / "file")


def test_nothing_is_drawn_through_a_link_and_nothing_is_left_beside(tmp_path):
    drawer, victim = Drawer(tmp_path / "drawn"), tmp_path / "victim"
    path = tmp_path / "drawn" / file_name("a.jpg")
    victim.write_text("precious")
    path.symlink_to(victim)
    path.with_name(f".{path.name}.tmp").symlink_to(victim)
    drawer(replace(photo()), record())
    assert victim.read_text() == "precious" and not path.is_symlink()
    assert os.listdir(tmp_path / "drawn") == [path.name]


def test_an_image_that_cannot_be_drawn_into_the_folder_is_an_error(tmp_path):
    drawer = Drawer(tmp_path)
    (tmp_path / file_name("a.jpg")).mkdir()
    with pytest.raises(FacetagError, match=r"^cannot write .*a\.jpg"):
        drawer(replace(photo()), record())
