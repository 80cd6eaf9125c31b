"""Composed scenes: the same for the same (seed, epoch, index), tagged with their heads, faces where they are said."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from facetag.datasets.augment import ColourSettings
from facetag.datasets.scenes import (
    ALIGNED_FACE,
    Scene,
    SceneComposer,
    SceneSettings,
    head_height,
    log_uniform,
    moved_box,
    other_height,
    paste,
    soft_mask,
)
from facetag.errors import UsageError
from facetag.geometry import Box

#: Colours tell who is in a scene: heads are blue and further, backgrounds stay in red and green.
BACKGROUND = np.random.default_rng(0).integers(0, 120, (90, 130, 3), dtype=np.uint8) * np.array([1, 1, 0], np.uint8)
HEADS = [np.full((218, 178, 3), (0, 0, 255 - 40 * number), np.uint8) for number in range(4)]
ATTRIBUTES = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 0]], np.int8)
SETTINGS = SceneSettings(input_size=96, colour=ColourSettings(0.2, 0.1, 0.1, 0.1))


def read(path):
    return BACKGROUND if path.startswith("scene") else HEADS[int(path)]


def composer(seed=0, **changes):
    backgrounds = [["scene0"], ["scene1", "scene2"]]
    return SceneComposer(read, ["0", "1", "2", "3"], ATTRIBUTES, backgrounds, replace(SETTINGS, **changes), seed)


def same(scene: Scene, other: Scene):
    return (
        np.array_equal(scene.image, other.image)
        and np.array_equal(scene.attributes, other.attributes)
        and scene.faces == other.faces
    )


@examples(max_examples=30)
@given(st.integers(0, 99), st.integers(0, 1_000_000), st.integers(0, 3))
def test_the_same_place_is_the_same_scene(seed, epoch, index):
    first = composer(seed).compose(epoch, index)
    assert same(first, composer(seed).compose(epoch, index))
    assert first.image.shape == (96, 96, 3) and first.image.dtype == np.uint8
    for other in (composer(seed + 1).compose(epoch, index), composer(seed).compose(epoch + 1, index)):
        assert not np.array_equal(first.image, other.image)


def test_pictures_that_are_read_are_left_alone():
    before = [head.copy() for head in (*HEADS, BACKGROUND)]
    for index in range(20):
        composer().compose(0, index % 4)
    assert all(np.array_equal(*pair) for pair in zip(before, (*HEADS, BACKGROUND), strict=True))


def test_bare_scenes_show_nobody_and_say_so():
    for index in range(10):
        scene = composer(heads=(1.0,), colour=ColourSettings()).compose(index, 0)
        assert scene.faces == () and not scene.attributes.any()
        assert scene.image[..., 2].max() == 0


@pytest.mark.parametrize("index", range(4))
def test_one_head_gives_its_own_tags(index):
    for epoch in range(5):
        scene = composer(heads=(0.0, 1.0), colour=ColourSettings()).compose(epoch, index)
        assert scene.attributes.tolist() == [*ATTRIBUTES[index], 1]
        assert len(scene.faces) == 1
        assert scene.image[..., 2].max() == HEADS[index][0, 0, 2]


def test_tags_of_several_heads_are_their_union():
    seen = set()
    for epoch in range(60):
        scene = composer(heads=(0.0, 0.0, 1.0)).compose(epoch, 0)
        assert len(scene.faces) == 2
        seen.add(tuple(scene.attributes.tolist()))
    assert seen == {(1, 0, 0, 1), (1, 1, 0, 1)}, "head 0 always, with any of the four"


def test_numbers_of_heads_follow_their_chances():
    counts = (
        np.bincount([len(composer(input_size=16).compose(epoch, 0).faces) for epoch in range(800)], minlength=3) / 800
    )
    assert counts == pytest.approx(SETTINGS.heads, abs=0.06)


@pytest.mark.parametrize("heads", [(), (0.5, 0.4), (1.5, -0.5), (0.0,)])
def test_chances_that_do_not_add_up_are_refused(heads):
    with pytest.raises(UsageError, match="add up to 1"):
        SceneSettings(heads=heads)


def middle(mass):
    rows, columns = np.indices(mass.shape) + 0.5
    return np.array([(columns * mass).sum() / mass.sum(), (rows * mass).sum() / mass.sum()])


def dots(*places):
    """A patch with a soft dot at each place, a channel each."""
    rows, columns = np.indices((218, 178)) + 0.5
    patch = [np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 72) for x, y in places]
    return np.rint(255 * np.stack(patch, axis=2)).astype(np.uint8)


def inside(place, side, reach):
    return (place > reach).all() and (place < side - reach).all()


@pytest.mark.parametrize("rotation", [0.0, 25.0, 180.0])
def test_what_is_pasted_lies_where_the_transform_says(rotation):
    center = ALIGNED_FACE.center
    places = np.array([center, (center[0] + 25, center[1]), (center[0], center[1] - 25)])
    checked = 0
    for seed in range(40):
        scene = np.zeros((300, 300, 3), np.uint8)
        height = np.geomspace(60, 360, 40)[seed]
        transform = paste(scene, dots(*places), np.random.default_rng(seed), height, rotation)
        expected = places @ transform[:, :2].T + transform[:, 2]
        scale = np.hypot(*transform[:, 0])
        assert 218 * np.hypot(*transform[:, 1]) == pytest.approx(height, abs=0.51)
        for channel in range(3):
            if inside(expected[channel], 300, 25 * scale):
                assert middle(scene[..., channel].astype(float)) == pytest.approx(expected[channel], abs=0.3)
                checked += 1
        box = moved_box(ALIGNED_FACE, transform)
        assert box.center == pytest.approx(expected[0])
        assert box.height == pytest.approx(116 * np.hypot(*(expected[2] - expected[0])) / 25)
        assert box.width == pytest.approx(92 * np.hypot(*(expected[1] - expected[0])) / 25)
    assert checked > 40


def test_faces_are_said_where_they_are_even_if_mirrored():
    head = dots(ALIGNED_FACE.center, ALIGNED_FACE.center, ALIGNED_FACE.center)
    black = np.zeros((90, 90, 3), np.uint8)
    settings = SceneSettings(input_size=200, heads=(0.0, 1.0), smallest=0.3, largest=0.9, distractors=0.0)
    scenes = SceneComposer(lambda path: head if path == "head" else black, ["head"], ATTRIBUTES[:1], [["b"]], settings)
    checked = 0
    for epoch in range(40):
        scene = scenes.compose(epoch, 0)
        (box,) = scene.faces
        if inside(np.array(box.center), 200, box.height / 3):
            assert middle(scene.image[..., 0].astype(float)) == pytest.approx(box.center, abs=0.3)
            checked += 1
    assert checked > 15


def test_places_turns_and_sizes_range_as_set():
    settings, patch = SceneSettings(input_size=100, smallest=0.5, largest=0.8), np.zeros((218, 178, 3), np.uint8)
    found = [
        paste(np.zeros((100, 100, 3), np.uint8), patch, rng, head_height(rng, settings), 30.0)
        for rng in map(np.random.default_rng, range(300))
    ]
    heights = np.array([218 * np.hypot(*transform[:, 1]) for transform in found])
    turns = np.degrees([np.arctan2(transform[0, 1], transform[0, 0]) for transform in found])
    places = np.array([transform @ (89, 109, 1) for transform in found])
    assert 49 <= heights.min() < 52 and 78 < heights.max() <= 81
    assert -31 < turns.min() < -25 and 25 < turns.max() < 31
    assert places.min() >= 0 and places.max() <= 100 and (np.ptp(places, axis=0) > 55).all()


@pytest.mark.parametrize("height", [20, 100, 250, 400])
def test_middles_stay_in_the_scene_however_large_the_head(height):
    patch = np.zeros((218, 178, 3), np.uint8)
    scene = np.zeros((100, 100, 3), np.uint8)
    places = [paste(scene, patch, np.random.default_rng(s), height, 20.0) @ (89, 109, 1) for s in range(60)]
    reach = sorted((0.25 * height, 100 - 0.25 * height))
    assert reach[0] - 0.6 <= np.min(places) < reach[0] + 5 and reach[1] - 5 < np.max(places) <= reach[1] + 0.6


def test_logarithms_are_drawn_evenly():
    rng = np.random.default_rng(0)
    drawn = np.log([log_uniform(rng, 0.5, 8.0) for _ in range(4000)])
    shares = np.histogram(drawn, np.log([0.5, 1, 2, 4, 8]))[0] / 4000
    assert shares == pytest.approx([0.25] * 4, abs=0.03)


def test_others_are_well_under_or_well_over_the_sizes_that_have_tags():
    settings = SceneSettings(input_size=100, smallest=0.5, largest=0.8, tiniest=0.1, hugest=3.0, margin=1.25)
    heights = np.array([other_height(np.random.default_rng(seed), settings) for seed in range(600)])
    small, large = heights[heights < 60], heights[heights > 60]
    assert 10 <= small.min() < 10.5 and 39 < small.max() <= 40
    assert 100 <= large.min() < 102 and 290 < large.max() <= 300
    assert len(small) / 600 == pytest.approx(0.5, abs=0.07)


def test_a_head_of_another_size_shows_and_brings_no_tag():
    """Heads are blue: a bare scene is blue where the other lies, and says that nobody is there."""
    seen = []
    for epoch in range(60):
        scene = composer(heads=(1.0,), others=0.5, smallest=0.5, largest=0.8, colour=ColourSettings()).compose(epoch, 0)
        assert scene.faces == () and not scene.attributes.any()
        seen.append(scene.image[..., 2].any())
    assert 0.3 < np.mean(seen) < 0.7


def test_the_other_lies_behind_and_leaves_tags_as_they_are():
    for epoch in range(30):
        scene = composer(heads=(0.0, 1.0), others=1.0, distractors=0.0, colour=ColourSettings()).compose(epoch, 1)
        assert scene.attributes.tolist() == [*ATTRIBUTES[1], 1]
        (face,) = scene.faces
        x, y = (int(np.clip(place, 0, 95)) for place in face.center)
        if inside(np.array(face.center), 96, 2):
            assert abs(int(scene.image[y, x, 2]) - 215) <= 2, "head 1, whatever is behind it"


@pytest.mark.parametrize("values", [{"tiniest": 0.3}, {"hugest": 1.5}, {"margin": 0.9}, {"margin": 4.0}])
def test_others_without_room_beside_the_tagged_sizes_are_refused(values):
    SceneSettings(**values)
    with pytest.raises(UsageError, match="leave no room"):
        SceneSettings(others=0.5, **values)


def test_moved_box_of_a_plain_scaling():
    assert moved_box(Box(10, 20, 30, 40), np.array([[2.0, 0, 5], [0, 0.5, -1]])) == Box(25, 9, 60, 20)


@given(st.integers(2, 60), st.integers(2, 60), st.integers(0, 50))
def test_masks_are_soft_shares(height, width, seed):
    mask = soft_mask(height, width, np.random.default_rng(seed))
    assert mask.shape == (height, width) and mask.dtype == np.float32
    assert mask.min() >= 0 and mask.max() <= 1 + 1e-6
    if min(height, width) >= 20:
        assert mask[height // 2, width // 2] > 0.5 > mask[0, 0]
