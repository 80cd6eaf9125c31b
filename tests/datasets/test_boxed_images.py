"""Photographs with boxes that a user brings: which are refused, and where the faces are in what is made of them."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from facetag.datasets import boxed_images
from facetag.datasets.augment import ColourSettings
from facetag.datasets.boxed_images import BoxedImages, load_boxed_files
from facetag.datasets.detection_scenes import DetectionSceneSettings
from facetag.datasets.image_pool import build_pool
from facetag.errors import DataError
from facetag.geometry import Box

FACES = (Box(30, 40, 24, 30), Box(100, 50, 16, 20))
PLAIN = DetectionSceneSettings(input_size=96, smallest=10.0, largest=0.8, colour=ColourSettings())


def photo():
    """Dark, each face a bright rectangle."""
    pixels = np.full((120, 160, 3), 30, np.uint8)
    for face in FACES:
        pixels[int(face.y) : int(face.bottom), int(face.x) : int(face.right)] = 230
    return pixels


@pytest.fixture
def folder(tmp_path):
    Image.fromarray(photo()).save(tmp_path / "two.png")
    Image.fromarray(np.full((50, 50, 3), 30, np.uint8)).save(tmp_path / "bare.png")
    return tmp_path


def written(folder, *rows):
    file = folder / "faces.csv"
    file.write_text("\n".join(["path,x,y,width,height", *rows]) + "\n")
    return file


ROWS = ("two.png,30,40,24,30", "two.png,100,50,16,20", "bare.png,,,,")


def photos_of(folder, **changes):
    files = load_boxed_files(written(folder, *ROWS))
    pool = build_pool(files.paths, folder / "pool", lambda path: np.asarray(Image.open(path)), 640)
    return BoxedImages(pool, files.boxes, files.unsure, replace(PLAIN, **changes), 3)


def test_boxes_are_fractions_and_a_bare_photo_has_none(folder):
    files = load_boxed_files(written(folder, *ROWS))
    assert [path.rpartition("/")[2] for path in files.paths] == ["two.png", "bare.png"]
    shown, bare = files.boxes
    assert bare == () and all(box.scaled(160, 120).iou(face) > 0.999 for box, face in zip(shown, FACES, strict=True))
    record = files.record()
    assert (record["photographs"], record["faces"]) == (2, 2) and len(record["sha256"]) == 64


def test_names_are_seen_from_the_current_folder_first(folder, tmp_path_factory, monkeypatch):
    here = tmp_path_factory.mktemp("here")
    Image.fromarray(np.zeros((60, 80, 3), np.uint8)).save(here / "two.png")
    monkeypatch.chdir(here)
    (boxes,) = load_boxed_files(written(folder, "two.png,8,6,8,6")).boxes
    assert boxes == (Box(0.1, 0.1, 0.1, 0.1),)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (("gone.png,1,1,9,9",), "there is no gone.png"),
        (("two.png,200,10,20,20",), "a box of two.png lies outside of its 160 x 120 pixels"),
        (("two.png,1,1,9",), "line 2: 4 fields where 5 belong"),
        (("two.png,1,1,nine,9",), "line 2: '1,1,nine,9' is not four numbers"),
        (("bare.png,,,,",), "has no box"),
        (("broken.png,1,1,9,9",), "broken.png cannot be read"),
    ],
)
def test_what_is_wrong_in_a_boxes_file_is_said_in_one_line(folder, rows, said):
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    with pytest.raises(DataError, match=r"faces\.csv") as refused:
        load_boxed_files(written(folder, *rows))
    assert said in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("mosaic", [0.0, 1.0])
def test_a_face_is_bright_where_its_box_is_and_nothing_else_is(folder, monkeypatch, mosaic):
    monkeypatch.setattr(boxed_images, "MOSAIC", mosaic)
    photos, faces = photos_of(folder), 0
    for index in range(40):
        scene = photos.compose(0, index)
        assert scene.image.shape == (96, 96, 3)
        bare = scene.image.max(2) < 128
        for box in (*scene.faces, *scene.ignored):
            shown = box.clipped(96, 96)
            rows, columns = slice(round(shown.y), round(shown.bottom)), slice(round(shown.x), round(shown.right))
            if box in scene.faces:
                faces += 1
                assert box.height >= 8 and shown.area >= 0.49 * box.area
                x, y = shown.center
                assert not bare[min(int(y), 95), min(int(x), 95)]
            bare[max(rows.start - 2, 0) : rows.stop + 2, max(columns.start - 2, 0) : columns.stop + 2] = True
        if not mosaic:  # a border may be bright
            inside = bare | (scene.image == scene.image[0, 0]).all(2) | (scene.image == scene.image[-1, -1]).all(2)
            assert inside.mean() > 0.95
    assert faces > 20


def test_faces_that_are_small_or_mostly_outside_are_ignored(folder):
    photos = photos_of(folder, smallest=20.0)
    scenes = [photos.compose(0, index) for index in range(60)]
    assert all(face.height >= 16 for scene in scenes for face in scene.faces)
    assert any(scene.ignored for scene in scenes)


def test_a_box_of_low_score_is_an_ignore_region_and_one_without_a_score_is_a_face(folder):
    file = folder / "faces.csv"
    file.write_text("path,x,y,width,height,score\ntwo.png,30,40,24,30,0.3\ntwo.png,100,50,16,20,\n")
    files = load_boxed_files(file, confidence=0.5)
    assert len(files.boxes[0]) == len(files.unsure[0]) == 1
    assert files.unsure[0][0].scaled(160, 120).iou(FACES[0]) > 0.999
    pool = build_pool(files.paths, folder / "scored", lambda path: np.asarray(Image.open(path)), 640)
    photos = BoxedImages(pool, files.boxes, files.unsure, replace(PLAIN, smallest=4.0), 3)
    scenes = [photos.compose(0, index) for index in range(60)]
    ratios = {round(box.height / face.height, 1) for scene in scenes for box in scene.ignored for face in scene.faces}
    assert any(abs(ratio - 1.5) < 0.11 for ratio in ratios)  # both in one square
    with pytest.raises(DataError, match="has no box"):
        load_boxed_files(folder / "faces.csv", confidence=1.5)


def test_a_score_that_is_no_number_is_refused(folder):
    file = folder / "faces.csv"
    file.write_text("path,x,y,width,height,score\ntwo.png,30,40,24,30,high\n")
    with pytest.raises(DataError, match="line 2: the score 'high' is no number"):
        load_boxed_files(file)


def test_scales_and_mirror_images_vary_and_the_same_place_gives_the_same_scene(folder):
    photos = photos_of(folder)
    first, again = photos.compose(1, 4), photos.compose(1, 4)
    np.testing.assert_array_equal(first.image, again.image)
    heights = [face.height for index in range(60) for face in photos.compose(0, index).faces]
    assert min(heights) < 15 and max(heights) > 30
