"""Augmentation changes what it says and nothing else, and gives the same picture for the same generator."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from facetag.datasets.augment import (
    ColourSettings,
    center_square,
    compressed,
    flip,
    grey,
    jitter_colour,
    noisy,
    one_of_ten_crops,
    random_square,
    relit,
)


def picture(height=20, width=30, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


class Chosen:
    """A generator whose next numbers are known."""

    def __init__(self, uniform=(), random=1.0):
        self.numbers, self.chance = iter(uniform), random

    def uniform(self, low, high, size=None):
        found = [next(self.numbers) for _ in range(size or 1)]
        assert all(low <= value <= high for value in found)
        return np.array(found) if size else found[0]

    def random(self):
        return self.chance


shares = st.floats(0, 1)
sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))


@examples(max_examples=60)
@given(sizes, shares, shares, shares, shares, st.integers(0, 99))
def test_colours_keep_shape_and_type_and_follow_the_generator(size, jitter, grey, blur, jpeg, seed):
    image = picture(*size)
    before, settings = image.copy(), ColourSettings(jitter, grey, blur, jpeg)
    found = jitter_colour(image, np.random.default_rng(seed), settings)
    assert found.shape == image.shape and found.dtype == np.uint8
    np.testing.assert_array_equal(jitter_colour(image, np.random.default_rng(seed), settings), found)
    np.testing.assert_array_equal(image, before)


@given(st.integers(0, 99))
def test_nothing_allowed_is_nothing_changed(seed):
    image = picture(seed=seed)
    np.testing.assert_array_equal(jitter_colour(image, np.random.default_rng(seed), ColourSettings()), image)


def jittered(image, contrast=0.0, saturation=0.0, brightness=0.0):
    return jitter_colour(image, Chosen((contrast, saturation, brightness)), ColourSettings(jitter=1.0))


def test_no_jitter_drawn_is_the_picture_itself():
    np.testing.assert_array_equal(jittered(picture()), picture())


@pytest.mark.parametrize("contrast", [-1.0, -0.5, 0.3, 1.0])
@pytest.mark.parametrize("brightness", [-1.0, -0.2, 0.1, 1.0])
def test_contrast_and_brightness_are_what_they_say_to_their_ends(contrast, brightness):
    image = picture()
    expected = np.clip(image * (1 + contrast) + 255 * brightness, 0, 255)
    assert np.abs(jittered(image, contrast, 0.0, brightness) - expected).max() <= 0.51


@pytest.mark.parametrize("saturation", [-1.0, -0.4, 0.5, 1.0])
def test_saturation_moves_colours_from_their_grey(saturation):
    image = picture()
    plain = image @ np.array([0.299, 0.587, 0.114])
    expected = np.clip(plain[..., None] + (1 + saturation) * (image - plain[..., None]), 0, 255)
    assert np.abs(jittered(image, saturation=saturation) - expected).max() <= 1.1


@pytest.mark.parametrize("level", [0, 255])
def test_black_and_white_survive_every_jitter(level):
    image = np.full((5, 6, 3), level, np.uint8)
    assert (jittered(image, 0.5, 1.0) == level).all()
    assert (jittered(image, 0.0, -1.0) == level).all()


def test_grey_is_luminance_of_rgb():
    image = np.zeros((1, 3, 3), np.uint8)
    image[0, 0, 0] = image[0, 1, 1] = image[0, 2, 2] = 255
    assert grey(image)[0].tolist() == [[76] * 3, [150] * 3, [29] * 3]


def test_compression_keeps_colours_apart():
    image = np.zeros((16, 32, 3), np.uint8)
    image[:, :16, 0], image[:, 16:, 2] = 255, 255
    assert np.abs(compressed(image, 90).astype(int) - image).mean() < 6
    noisy = picture(32, 32)
    assert (
        np.abs(compressed(noisy, 30) - noisy.astype(int)).mean()
        > np.abs(compressed(noisy, 90) - noisy.astype(int)).mean()
    )


@pytest.mark.parametrize(("settings", "changes"), [
    (ColourSettings(grey=1), lambda found: (found == found[..., :1]).all()),
    (ColourSettings(blur=1), lambda found: np.abs(np.diff(found.astype(int), axis=1)).mean() < 80),
    (ColourSettings(jpeg=1), lambda found: not np.array_equal(found, picture())),
])  # fmt: skip
def test_certain_changes_happen(settings, changes):
    for seed in range(5):
        assert changes(jitter_colour(picture(), np.random.default_rng(seed), settings))


def test_chances_are_kept():
    settings, image = ColourSettings(grey=0.3), picture(2, 2)
    rng = np.random.default_rng(0)
    greys = sum(bool((jitter_colour(image, rng, settings) == grey(image)).all()) for _ in range(1000))
    assert 240 < greys < 360


def test_half_are_mirrored():
    rng, image = np.random.default_rng(0), picture()
    found = [flip(image, rng) for _ in range(400)]
    mirrored = [np.array_equal(each, image[:, ::-1]) for each in found]
    assert 150 < sum(mirrored) < 250
    assert all(np.array_equal(each, image) or turned for each, turned in zip(found, mirrored, strict=True))
    assert all(each.flags.c_contiguous for each in found)


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 40), st.integers(0, 99))
def test_squares_have_their_side(height, width, side, seed):
    image, rng = picture(height, width), np.random.default_rng(seed)
    for found in (random_square(image, rng, side), center_square(image, side), one_of_ten_crops(image, rng, side)):
        assert found.shape == (side, side, 3) and found.dtype == np.uint8


def test_the_central_square():
    image = picture(10, 16)
    np.testing.assert_array_equal(center_square(image, 10), image[:, 3:13])
    np.testing.assert_array_equal(center_square(image.transpose(1, 0, 2), 10), image.transpose(1, 0, 2)[3:13])


def test_random_squares_reach_every_place_and_size():
    """Each pixel tells its own place, so a crop tells its own."""
    rows, columns = np.indices((40, 60))
    image = np.stack([rows, columns, rows], axis=2).astype(np.uint8)
    rng = np.random.default_rng(0)
    sides, tops, lefts = [], [], []
    for _ in range(600):
        found = random_square(image, rng, 80, smallest=0.5)
        sides.append(int(found[-1, 0, 0]) - int(found[0, 0, 0]) + 1)
        tops.append(found[0, 0, 0])
        lefts.append(found[0, 0, 1])
    assert min(sides) in (20, 21) and max(sides) in (39, 40)
    assert min(tops) == 0 and max(tops) >= 18 and min(lefts) == 0 and max(lefts) >= 38


def test_ten_crops_are_ten():
    image = picture(8, 8)
    rng = np.random.default_rng(0)
    found = {one_of_ten_crops(image, rng, 7).tobytes() for _ in range(300)}
    middle = [(0, 0), (0, 1), (1, 0), (1, 1)]  # at a margin of one pixel the central patch is the first corner's
    expected = {
        np.ascontiguousarray(patch).tobytes()
        for top, left in middle
        for patch in (image[top : top + 7, left : left + 7], image[top : top + 7, left : left + 7][:, ::-1])
    }
    assert found == expected
    wide = {one_of_ten_crops(picture(64, 64), rng, 56).tobytes() for _ in range(400)}
    assert len(wide) == 10


def test_light_changes_tones_and_not_their_order():
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    means = []
    for seed in range(40):
        found = relit(ramp, np.random.default_rng(seed))[0, :, 0].astype(int)
        assert (np.diff(found) >= 0).all()
        means.append(found.mean())
    assert min(means) < 60 and max(means) > 190


def test_noise_is_as_strong_as_it_may_be_and_has_no_colour_now_and_then():
    even = np.full((60, 60, 3), 128, np.uint8)
    found = [noisy(even, np.random.default_rng(seed)).astype(int) for seed in range(30)]
    assert all(3 < image.std() < 47 and abs(image.mean() - 128) < 3 for image in found)
    assert {bool((image == image[..., :1]).all()) for image in found} == {True, False}


def test_who_asks_for_no_light_and_noise_gets_the_pictures_of_before():
    """A training that went on must not draw other pictures because of settings that it does not use."""
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    one, other = np.random.default_rng(5), np.random.default_rng(5)
    settings = ColourSettings(jitter=0.2, grey=0.5, blur=0.5, jpeg=0.5)
    jitter_colour(image, one, settings)
    other.uniform(-0.2, 0.2, 2)
    other.uniform(-0.2, 0.2)
    drawn = [other.random(), other.random()]
    if drawn[1] < 0.5:
        other.uniform(0.5, 1)
    if other.random() < 0.5:
        other.integers(25, 90)
    assert one.random() == other.random()
    for asked in (ColourSettings(light=1.0), ColourSettings(noise=1.0)):
        changed = jitter_colour(image, np.random.default_rng(5), asked)
        assert changed.shape == image.shape and (changed != image).any()


def test_a_coarser_picture_keeps_its_size_and_loses_its_detail():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (60, 40, 3), np.uint8)
    coarse = [jitter_colour(picture, rng, ColourSettings(shrunk=1.0)) for _ in range(8)]
    assert all(one.shape == picture.shape for one in coarse)
    assert all(one.std() < picture.std() for one in coarse) and min(one.std() for one in coarse) < 0.7 * picture.std()
