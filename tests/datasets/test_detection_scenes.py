"""Detection scenes: a face is where it was put; hidden too much it is an ignore region, or nothing."""

from dataclasses import replace

import numpy as np
import pytest

from facetag.datasets.augment import ColourSettings
from facetag.datasets.detection_scenes import (
    OCCLUDERS,
    POINTS,
    TIGHT_FACE,
    Canvas,
    DetectionSceneComposer,
    DetectionSceneSettings,
    PlacedFace,
    TightImages,
)
from facetag.datasets.image_pool import build_pool
from facetag.geometry import Box

PLAIN = DetectionSceneSettings(
    input_size=96, heads=(0.0, 1.0), tight=0.0, collage=0.0, rotation=0.0, distractors=0.0, occluded=0.0, border=0.0,
    smallest=20.0, largest=0.4, colour=ColourSettings(),
)  # fmt: skip


@pytest.fixture
def composer(tmp_path):
    """Heads are bright, scenes are dark."""

    def read(name):
        return np.full((218, 178, 3), 220 if name == "head" else 20, np.uint8)

    heads, scenes = (build_pool([name] * 2, tmp_path / name, read, 240) for name in ("head", "bare"))
    tight = [TightImages(heads, [TIGHT_FACE] * 2)]
    return DetectionSceneComposer(heads, tight, scenes, [(0, 2, 1.0)], PLAIN, 1)


def with_settings(composer, **changes):
    return replace(composer, settings=replace(composer.settings, **changes))


def placed(box):
    return PlacedFace.at(np.array([[box.width, 0, box.x], [0, box.height, box.y]]))


def canvas_with(*boxes, side=100):
    canvas = Canvas(np.zeros((side, side, 3), np.uint8))
    canvas.faces = [placed(box) for box in boxes]
    return canvas


def test_the_same_place_gives_the_same_scene_and_others_differ(composer):
    varied = replace(composer, settings=DetectionSceneSettings(input_size=96))
    first, again = varied.compose(0, 5), varied.compose(0, 5)
    np.testing.assert_array_equal(first.image, again.image)
    assert (first.faces, first.ignored) == (again.faces, again.ignored)
    assert any(not np.array_equal(first.image, varied.compose(*place).image) for place in ((0, 6), (1, 5)))


def test_a_face_is_bright_where_its_box_is(composer):
    seen = 0
    for index in range(60):
        scene = composer.compose(0, index)
        for face in scene.faces:
            x, y = (int(value) for value in face.center)
            level = scene.image[y, x].mean()
            seen += level > 60
            assert 18 <= face.height <= 42
    assert seen > 50


def test_scenes_without_heads_have_no_faces(composer):
    bare = with_settings(composer, heads=(1.0,))
    assert all(bare.compose(0, index).faces == () for index in range(10))


@pytest.mark.parametrize("chances", [{"tight": 1.0}, {"collage": 1.0}])
def test_tight_pictures_and_collages_have_faces_that_may_reach_beyond_the_frame(composer, chances):
    scenes = [with_settings(composer, **chances).compose(0, index) for index in range(40)]
    faces = [face for scene in scenes for face in scene.faces]
    assert len(faces) > 20
    assert any(face.clipped(96, 96).area < 0.99 * face.area for face in faces)
    assert all(face.clipped(96, 96).area >= 0.5 * face.area for face in faces)


def negatives_of(folder):
    """Bright red pieces."""
    pool = build_pool(["piece"], folder / "piece", lambda name: np.full((60, 60, 3), (250, 0, 0), np.uint8), 240)
    return TightImages(pool, [Box(0.25, 0.2, 0.5, 0.6)])


@pytest.mark.parametrize("chances", [{"distractors": 1.0}, {"tight": 1.0, "empty": 1.0}, {"collage": 1.0}])
def test_what_looks_like_a_face_is_shown_and_is_none(composer, tmp_path, chances):
    bare = with_settings(composer, heads=(1.0,), drawn=0.0, **chances)
    wrong = replace(with_settings(bare, lookalikes=1.0), negatives=negatives_of(tmp_path))
    reds = []
    for shown in (bare, wrong):
        scenes = [shown.compose(0, index) for index in range(15)]
        if "collage" not in chances:
            assert all(scene.faces == scene.ignored == () for scene in scenes)
        pixels = np.stack([scene.image for scene in scenes]).astype(int)
        reds.append((pixels[..., 0] - pixels[..., 1:].max(-1) > 100).mean())
    assert reds[1] > reds[0] + 0.05


def test_without_negatives_what_looks_like_a_face_is_drawn(composer):
    drawn = with_settings(composer, heads=(1.0,), tight=1.0, empty=1.0, lookalikes=1.0, drawn=0.0)
    assert max(drawn.compose(0, index).image.max() for index in range(5)) > 100  # scenes are dark


def test_settings_that_show_nothing_alike_leave_scenes_as_they_were(composer):
    for index in range(5):
        scenes = [with_settings(composer, distractors=1.0, drawn=drawn).compose(0, index) for drawn in (0.0, 1.0)]
        np.testing.assert_array_equal(scenes[0].image, scenes[1].image)


def test_hard_heads_are_shown_as_often_as_is_set(composer, tmp_path):
    def read(name):
        return np.full((218, 178, 3), (220, 30, 30) if name == "hard" else (30, 30, 220), np.uint8)

    heads = build_pool(["easy"] * 19 + ["hard"], tmp_path / "mixed", read, 240)
    mixed = replace(composer, heads=heads, hard=(19,))

    def share_of_hard(chance):
        scenes = [with_settings(mixed, hard_heads=chance).compose(0, index) for index in range(60)]
        colours = [scene.image[int(face.center[1]), int(face.center[0])] for scene in scenes for face in scene.faces]
        redness = np.array([int(colour[0]) - int(colour[2]) for colour in colours])  # none where a scene shows through
        return (redness > 50).sum() / (np.abs(redness) > 50).sum()

    assert share_of_hard(0.0) < 0.2 < 0.3 < share_of_hard(0.5) < 0.75 and share_of_hard(1.0) == 1.0


def test_a_coarse_scene_has_fewer_pixels_than_it_is_large(composer):
    sharp, coarse = (with_settings(composer, coarse=chance).compose(0, 1).image.astype(int) for chance in (0.0, 1.0))
    steps = [np.abs(np.diff(image[..., 0], axis=1)).max() for image in (sharp, coarse)]
    assert steps[1] < steps[0]


def test_what_lies_in_front_hides_points_by_its_mask():
    canvas = canvas_with(Box(20, 20, 40, 50))
    canvas.paint(np.array([[20, 45], [60, 45], [60, 100], [20, 100]], float), np.array([255.0, 0, 0]), 0.0)
    assert canvas.faces[0].seen.mean() == pytest.approx(0.5, abs=0.1)
    assert (canvas.image[60, 40] == (255, 0, 0)).all() and not canvas.image[30, 40].any()


@pytest.mark.parametrize(
    ("box", "kept", "ignored"),
    [
        (Box(20, 20, 40, 50), 1, 0),
        (Box(-15, 20, 40, 50), 1, 0),  # cut to 62 percent
        (Box(-25, 20, 40, 50), 0, 1),  # to 37
        (Box(-38, 20, 40, 50), 0, 0),
    ],
)
def test_a_face_is_taught_while_enough_of_it_is_seen(composer, box, kept, ignored):
    faces, regions = with_settings(composer, input_size=100)._split(canvas_with(box))
    assert (len(faces), len(regions)) == (kept, ignored)
    assert faces in ((), (box,))


def test_only_the_rectangle_that_a_patch_reaches_is_touched():
    canvas = canvas_with(side=50)
    patch, mask = np.full((10, 10, 3), 200, np.uint8), np.ones((10, 10), np.float32)
    canvas.blend(patch, mask, np.array([[1.0, 0, 20], [0, 1.0, 30]]))
    assert (canvas.image[31:39, 21:29] == 200).all()
    canvas.image[30:40, 20:30] = 0
    assert not canvas.image.any()
    canvas.blend(patch, mask, np.array([[1.0, 0, 90], [0, 1.0, 90]]))
    assert not canvas.image.any()


def test_a_border_hides_what_it_covers():
    canvas = canvas_with(Box(0, 20, 40, 50))
    canvas.surround(20, 0, 100, 100, np.random.default_rng(0))
    assert canvas.faces[0].seen.mean() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("occluder", OCCLUDERS)
def test_occluders_leave_some_of_most_faces(occluder):
    rng, left = np.random.default_rng(0), []
    for _ in range(30):
        canvas = canvas_with(Box(25, 20, 40, 50))
        polygon = occluder(rng) * (40, 50) + (25, 20)
        canvas.paint(polygon, np.array([255.0, 255, 255]), 0.0)
        left.append(canvas.faces[0].seen.mean())
    assert np.mean(left) > 0.3


def test_points_fill_the_ellipse_of_a_box():
    assert len(POINTS) > 80 and (np.hypot(*(POINTS - 0.5).T) < 0.5).all()
