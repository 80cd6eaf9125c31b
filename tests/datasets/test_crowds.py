"""Crowds: boxes lie where the faces are, whatever was pasted, mirrored, cut or covered."""

from dataclasses import replace

import numpy as np
import pytest

from facetag.datasets import scenes
from facetag.datasets.augment import ColourSettings
from facetag.datasets.crowds import COVERED, compose_crowd, crop_crowd, hide_parts
from facetag.datasets.scenes import SceneComposer, SceneSettings
from facetag.geometry import Box

SIDE = 192
SETTINGS = SceneSettings(side=SIDE, heads=(0.0, 1.0), smallest=0.3, largest=1.2, rotation=0.0, distractors=0.0)
NAMES = [str(number) for number in range(4)]
COLOURS = [(255, 0, 0), (255, 0, 255), (255, 255, 0), (255, 255, 255)]  # of faces; nothing else has any red


def read(name):
    """A picture in the aligned frame, its face in the colour of its number; anything else is a green background."""
    if name not in NAMES:
        return np.full((200, 240, 3), (0, 120, 0), np.uint8)
    picture = np.full((218, 178, 3), (0, 0, 90), np.uint8)
    picture[74 : 74 + 116, 43 : 43 + 92] = COLOURS[int(name)]
    return picture


def composer(**changes):
    settings = replace(SETTINGS, **changes)
    return SceneComposer(read, NAMES, np.zeros((4, 40), np.int8), [["a", "b"]], settings, seed=5)


@pytest.fixture
def sharp(monkeypatch):
    """Pictures are pasted whole, without a soft edge, so that colours tell to a pixel where they are."""
    monkeypatch.setattr(scenes, "soft_mask", lambda height, width, rng: np.ones((height, width), np.float32))


def coloured(image, number):
    return (np.abs(image.astype(int) - COLOURS[number]) < 60).all(axis=2)


def extent(mask):
    """The box around the pixels that are set."""
    rows, columns = np.nonzero(mask)
    left, top = int(columns.min()), int(rows.min())
    return Box(left, top, int(columns.max()) + 1 - left, int(rows.max()) + 1 - top)


def assert_near(found, expected, tolerance):
    assert (found.x, found.y, found.right, found.bottom) == pytest.approx(
        (expected.x, expected.y, expected.right, expected.bottom), abs=tolerance
    )


def test_a_face_lies_where_it_was_pasted(sharp):
    seen = 0
    for index in range(40):
        crowd = compose_crowd(composer(), index, index % 4)
        assert crowd.image.shape == (SIDE, SIDE, 3) and crowd.doubtful == ()
        (face,) = crowd.faces
        assert_near(extent(coloured(crowd.image, index % 4)), face.clipped(SIDE, SIDE), 1.5)
        seen += face.clipped(SIDE, SIDE).area < 0.99 * face.area
    assert 0 < seen < 20  # the frame cuts some of them a little


def test_a_turned_face_keeps_its_middle_and_size(sharp):
    boxes = []
    for epoch in range(60):
        crowd = compose_crowd(composer(rotation=30.0, largest=0.5), epoch, 0)
        for face in crowd.faces:
            if face.enlarged(1.4).clipped(SIDE, SIDE).area == pytest.approx(face.enlarged(1.4).area):
                mask = coloured(crowd.image, 0)
                found = extent(mask)
                assert found.center == pytest.approx(face.center, abs=1.5)
                assert mask.sum() == pytest.approx(face.area, rel=0.1)
                boxes.append((face, found))
    assert len(boxes) > 10 and any(found.width > 1.2 * face.width for face, found in boxes)


def test_faces_that_the_frame_cuts_are_doubtful(sharp):
    shares = {True: [], False: []}
    for epoch in range(80):
        crowd = compose_crowd(composer(largest=4.0), epoch, 0)
        for sure, boxes in ((True, crowd.faces), (False, crowd.doubtful)):
            shares[sure] += [face.clipped(SIDE, SIDE).area / face.area for face in boxes]
    assert min(shares[True]) >= 1 - COVERED > max(shares[False]) > min(shares[False]) > 0


def visible(image, face):
    """The largest share of a box that is of the colour of one face."""
    top, bottom, left, right = (round(edge) for edge in (face.y, face.bottom, face.x, face.right))
    return max(coloured(image[top:bottom, left:right], number).mean() for number in range(len(COLOURS)))


def test_a_face_of_which_more_is_covered_is_doubtful(sharp):
    made = composer(heads=(0.0, 0.0, 1.0), smallest=0.4, largest=0.9)
    shares = {True: [], False: []}
    for epoch in range(120):
        crowd = compose_crowd(made, epoch, 0)
        heights = [face.height for face in crowd.faces]
        assert heights == sorted(heights, reverse=True) and len(heights) + len(crowd.doubtful) <= 2
        for sure, boxes in ((True, crowd.faces), (False, crowd.doubtful)):
            inside = [face for face in boxes if face.clipped(SIDE, SIDE).area > 0.999 * face.area]
            shares[sure] += [visible(crowd.image, face) for face in inside]
    assert len(shares[True]) > 60 and min(shares[True]) > 1 - COVERED - 0.05
    assert len(shares[False]) > 5 and np.median(shares[False]) < 1 - COVERED


def test_a_scene_without_heads_has_no_faces():
    crowd = compose_crowd(composer(heads=(1.0,), distractors=1.0), 0, 0)
    assert (crowd.faces, crowd.doubtful) == ((), ())
    assert (crowd.image == (0, 120, 0)).all()


def same(one, other):
    return np.array_equal(one.image, other.image) and (one.faces, one.doubtful) == (other.faces, other.doubtful)


def test_a_scene_is_that_of_its_seed_epoch_and_index():
    colour = ColourSettings(jitter=0.2, grey=0.2, blur=0.3, jpeg=0.3)
    made = composer(heads=(0.1, 0.4, 0.5), rotation=20.0, distractors=0.5, colour=colour)
    first = compose_crowd(made, 3, 2)
    assert same(first, compose_crowd(made, 3, 2))
    for other in (compose_crowd(made, 4, 2), compose_crowd(made, 3, 1), compose_crowd(replace(made, seed=6), 3, 2)):
        assert not same(first, other)


PHOTOGRAPH = (Box(60, 80, 40, 50), Box(250, 150, 64, 80))


def photograph(*faces):
    """400 x 300, ever greener to the right, its faces in the colours of their numbers."""
    image = np.zeros((300, 400, 3), np.uint8)
    image[..., 1] = np.arange(400) / 8
    for number, face in enumerate(faces):
        image[int(face.y) : int(face.bottom), int(face.x) : int(face.right)] = COLOURS[number]
    return image


def cropped(seed, faces=PHOTOGRAPH, doubtful=(), side=128, heights=(20.0, 100.0)):
    image = photograph(*faces, *doubtful)
    return crop_crowd(image, faces, doubtful, np.random.default_rng(seed), side, heights)


def test_crops_mirrored_or_not_have_their_boxes_where_the_faces_are():
    mirrored = compared = 0
    for seed in range(60):
        crowd = cropped(seed)
        assert crowd.image.shape == (128, 128, 3) and crowd.image.flags.c_contiguous
        mirrored += crowd.image[:, 0, 1].mean() > crowd.image[:, -1, 1].mean() + 1
        masks = [coloured(crowd.image, number) for number in range(2)]
        shown = [extent(mask) for mask in masks if mask.sum() > 30]
        for face in (box.clipped(128, 128) for box in (*crowd.faces, *crowd.doubtful)):
            if face.area > 100:
                assert_near(max(shown, key=face.iou), face, 2.5)
                compared += 1
    assert 10 < mirrored < 50 and compared > 60


def test_a_crop_is_around_a_face_that_becomes_as_high_as_is_asked_for():
    heights = []
    for seed in range(50):
        (face,) = cropped(seed, PHOTOGRAPH[:1]).faces
        heights.append(face.height)
    assert min(heights) >= 20 - 1e-6 and max(heights) <= 100 + 1e-6
    assert min(heights) < 30 and max(heights) > 80


def test_what_is_doubtful_in_a_photograph_is_doubtful_in_its_crops():
    seen = 0
    for seed in range(30):
        crowd = cropped(seed, PHOTOGRAPH[:1], PHOTOGRAPH[1:], heights=(20.0, 25.0))
        assert len(crowd.faces) == 1 and len(crowd.doubtful) == 1
        mask = coloured(crowd.image, 1)
        if mask.sum() > 100:
            assert_near(extent(mask), crowd.doubtful[0].clipped(128, 128), 2.5)
            seen += 1
    assert seen > 3


def test_a_photograph_is_enlarged_only_so_far():
    small = Box(200, 100, 4, 5)
    (face,) = cropped(0, [small], heights=(100.0, 100.0)).faces
    assert face.height == pytest.approx(5 * 2.5)
    (face,) = cropped(0, [Box(100, 50, 200, 250)], heights=(10.0, 10.0)).faces
    assert face.height == pytest.approx(250 * 128 / (1.5 * 400))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 700), (300, 400)])
def test_a_photograph_without_faces_teaches_that_there_is_none(height, width):
    image = np.full((height, width, 3), 77, np.uint8)
    crowd = crop_crowd(image, (), (), np.random.default_rng(0), 96, (10.0, 80.0))
    assert (crowd.faces, crowd.doubtful) == ((), ())
    assert crowd.image.shape == (96, 96, 3) and (crowd.image == 77).all()


def test_a_crop_is_that_of_its_generator():
    assert same(cropped(1), cropped(1)) and not same(cropped(1), cropped(2))


@pytest.mark.parametrize("seed", range(12))
def test_what_covers_a_face_leaves_most_of_it_and_all_else(seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (80, 100, 3), np.uint8)
    before, face, other = image.copy(), Box(30, 20, 32, 40), Box(-10, 60, 24, 30)
    hide_parts(image, [face, other], rng, 1.0)
    changed = (image != before).any(axis=2)
    inside = np.zeros_like(changed)
    for box in (face, other):
        wide = Box(box.x - 0.1 * box.width, box.y, 1.2 * box.width, box.height)
        inside[max(int(wide.y), 0) : int(wide.bottom) + 1, max(int(wide.x), 0) : int(wide.right) + 1] = True
    assert not changed[~inside].any()
    assert 0.08 < changed[20:60, 30:62].mean() < 0.45


def test_without_a_chance_nothing_is_covered_and_nothing_drawn():
    rng, image = np.random.default_rng(0), np.zeros((40, 40, 3), np.uint8)
    hide_parts(image, [Box(5, 5, 20, 25)], rng, 0.0)
    assert not image.any() and rng.random() == np.random.default_rng(0).random()
