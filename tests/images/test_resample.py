"""Cropping and resizing against sampling written out in double precision; a dot stays where it is at every scale."""

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from facetag.geometry import Box
from facetag.images.resample import crop, resize


def picture(height, width, seed=0, smooth=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.float64)
    for _ in range(smooth):
        for axis in (0, 1):
            pixels = (pixels + np.roll(pixels, 1, axis) + np.roll(pixels, -1, axis)) / 3
    return np.rint(pixels).astype(np.uint8)


def sampled(image, box, width, height, turn=0.0):
    """Bilinear samples at the centres of the output's pixels, edges replicated."""
    across = ((np.arange(width) + 0.5) / width - 0.5) * box.width
    down = ((np.arange(height) + 0.5) / height - 0.5) * box.height
    cosine, sine = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    x = box.center[0] + across[None] * cosine - down[:, None] * sine - 0.5
    y = box.center[1] + across[None] * sine + down[:, None] * cosine - 0.5
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    result = np.zeros((height, width, 3))
    for dy in (0, 1):
        for dx in (0, 1):
            weight = np.abs(1 - dx - (x - left)) * np.abs(1 - dy - (y - top))
            rows, columns = np.clip(top + dy, 0, image.shape[0] - 1), np.clip(left + dx, 0, image.shape[1] - 1)
            result += weight[..., None] * image[rows, columns]
    return result


def averaged(image, width, height):
    """The exact mean over the area of each output pixel."""

    def weights(count, cells):
        edges = np.linspace(0, cells, count + 1)
        low, high = edges[:-1, None], edges[1:, None]
        cell = np.arange(cells)
        return np.clip(np.minimum(high, cell + 1) - np.maximum(low, cell), 0, None) * count / cells

    return np.einsum("yi,xj,ijc->yxc", weights(height, image.shape[0]), weights(width, image.shape[1]), image)


def middle(image, background=0):
    """Centre of mass in pixels."""
    mass = image.astype(np.float64).sum(2) - 3 * background
    rows, columns = np.indices(mass.shape)
    return ((columns + 0.5) * mass).sum() / mass.sum(), ((rows + 0.5) * mass).sum() / mass.sum()


def dotted(height, width, x, y, spread):
    """A soft white dot on black, exactly at (x, y)."""
    rows, columns = np.indices((height, width))
    dot = 255 * np.exp(-((columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2) / (2 * spread**2))
    return np.repeat(np.rint(dot).astype(np.uint8)[..., None], 3, axis=2)


places = st.floats(-30, 60)
lengths = st.floats(4, 40)
counts = st.integers(5, 40)


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (32, 48)])
def test_the_whole_image_is_itself(shape):
    image = picture(*shape)
    np.testing.assert_array_equal(crop(image, Box(0, 0, shape[1], shape[0]), shape[1], shape[0]), image)


@given(x=st.integers(-10, 30), y=st.integers(-10, 30), width=st.integers(1, 20), height=st.integers(1, 20))
def test_whole_pixels_are_copied_and_edges_replicated(x, y, width, height):
    image = picture(20, 24)
    rows, columns = np.clip(np.arange(y, y + height), 0, 19), np.clip(np.arange(x, x + width), 0, 23)
    np.testing.assert_array_equal(crop(image, Box(x, y, width, height), width, height), image[rows][:, columns])


def test_far_outside_is_the_nearest_corner():
    image = picture(9, 9)
    assert (crop(image, Box(500, 400, 20, 30), 5, 5) == image[-1, -1]).all()
    assert (crop(image, Box(-500, -400, 90, 90), 5, 5) == image[0, 0]).all()


@examples(max_examples=60)
@given(places, places, lengths, lengths, counts, counts, st.one_of(st.just(0.0), st.floats(-180, 180)))
def test_enlarging_is_bilinear(x, y, box_width, box_height, width, height, turn):
    assume(width >= box_width and height >= box_height)
    image = picture(40, 36, smooth=2)
    box = Box(x, y, box_width, box_height)
    difference = crop(image, box, width, height, turn) - sampled(image, box, width, height, turn)
    # OpenCV may place samples on a grid of 1/32 pixel
    steepest = max(np.abs(np.diff(image.astype(int), axis=axis)).max() for axis in (0, 1))
    assert np.abs(difference).max() <= 1 + steepest / 16


def test_turning_is_clockwise():
    image = np.zeros((21, 21, 3), np.uint8)
    image[10, 15:] = 255  # to the right of the middle
    turned = crop(image, Box(0, 0, 21, 21), 21, 21, turn=90)  # the box's top now points to the right
    assert turned[:6, 10].min() > 200 and turned[12:].max() == 0


@examples(max_examples=40)
@given(width=st.integers(1, 60), height=st.integers(1, 60), seed=st.integers(0, 9))
def test_shrinking_is_the_mean_over_areas(width, height, seed):
    image = picture(60, 60, seed)
    assert np.abs(resize(image, width, height) - averaged(image, width, height)).max() <= 1


@examples(max_examples=40)
@given(width=st.integers(1, 90), height=st.integers(1, 90))
def test_a_side_that_shrinks_is_averaged_even_if_the_other_grows(width, height):
    image = picture(30, 30)
    expected = averaged(image, min(width, 30), min(height, 30))
    shrunk = np.rint(expected).astype(np.uint8)
    box = Box(0, 0, shrunk.shape[1], shrunk.shape[0])
    difference = resize(image, width, height) - sampled(shrunk, box, width, height)
    assert np.abs(difference).max() <= 2


@pytest.mark.parametrize("shape", [(40, 3000), (3000, 40), (3000, 3000)])
def test_stripes_finer_than_a_pixel_become_grey(shape):
    image = np.zeros((*shape, 3), np.uint8)
    image[(np.indices(shape).sum(0) % 2).astype(bool)] = 255
    for small in (resize(image, 227, 227), crop(image, Box(0, 0, shape[1], shape[0]), 227, 227)):
        shrunk = small if max(shape) == min(shape) else small[20:-20, 20:-20]
        assert shrunk.min() >= 100 and shrunk.max() <= 155


@examples(max_examples=60)
@given(x=st.floats(20, 44), y=st.floats(20, 28), width=st.integers(8, 200), height=st.integers(6, 200))
def test_resizing_leaves_a_dot_in_its_place(x, y, width, height):
    found = middle(resize(dotted(48, 64, x, y, 5), width, height))
    assert found == pytest.approx((x * width / 64, y * height / 48), abs=0.1 * max(1, width / 64, height / 48))


@examples(max_examples=60)
@example(90.0, 90.0, 20.0, 20.5, 100.0, 100.0, 10, 18, 98.0)
@example(90.0, 100.0, 20.0, 20.0, 100.0, 119.0, 94, 71, 89.0)
@given(
    x=st.floats(90, 110), y=st.floats(90, 110), left=st.floats(20, 60), top=st.floats(20, 60),
    box_width=st.floats(100, 140), box_height=st.floats(100, 140), width=st.integers(10, 200),
    height=st.integers(10, 200), turn=st.one_of(st.just(0.0), st.floats(-180, 180)),
)  # fmt: skip
def test_cropping_puts_a_dot_where_the_box_says(x, y, left, top, box_width, box_height, width, height, turn):
    box = Box(left, top, box_width, box_height)
    across, down = x - box.center[0], y - box.center[1]
    cosine, sine = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    across, down = across * cosine + down * sine, down * cosine - across * sine
    assume(abs(across) < box_width / 2 - 25 and abs(down) < box_height / 2 - 25)
    expected = ((across / box_width + 0.5) * width, (down / box_height + 0.5) * height)
    found = middle(crop(dotted(200, 200, x, y, 5), box, width, height, turn))
    # what is turned is averaged before by the lesser of both factors, so the other axis is sampled that much coarser,
    # and a turn mixes the axes; a box that is off by half a pixel is still told
    factors = (max(box_width / width, 1), max(box_height / height, 1))
    part, coarser = (0.2, max(factors) / min(factors)) if turn else (0.1, 1)
    assert found == pytest.approx(expected, abs=part * max(coarser, width / box_width, height / box_height))


@given(
    st.integers(1, 9), st.integers(1, 9), st.integers(1, 20), st.integers(1, 20), st.floats(0.3, 30), st.floats(0.3, 30)
)
def test_what_is_symmetric_stays_symmetric(rows, columns, height, width, box_height, box_width):
    half = picture(rows, columns)
    image = np.vstack([np.hstack([half, half[:, ::-1]]), np.hstack([half, half[:, ::-1]])[::-1]])
    found = crop(image, Box.around(columns, rows, box_width, box_height), width, height).astype(int)
    steps = 255 / 32 + 2
    assert np.abs(found - found[::-1]).max() <= steps and np.abs(found - found[:, ::-1]).max() <= steps


@examples(max_examples=20)
@given(st.floats(0, 360), st.floats(20, 60), st.floats(20, 200))
def test_a_turned_box_inside_the_image_sees_no_replicated_edge(turn, box_width, box_height):
    """Its corners reach further than its sides; what is cut out of the image first must hold them."""
    image = np.full((400, 400, 3), 100, np.uint8)
    rows, columns = np.indices((400, 400))
    image[..., 0] = rows // 2
    image[..., 1] = columns // 2
    box = Box.around(200, 200, box_width, box_height)
    found = crop(image, box, 12, 12, turn)[..., :2]
    # steps of half a level, rounding and averaging make up to 1.6; a replicated edge would make tens
    assert np.abs(found - sampled(image, box, 12, 12, turn)[..., :2]).max() <= 2


def test_sides_beyond_what_opencv_warps():
    image = np.zeros((12, 40_000, 3), np.uint8)
    image[:, 39_000:] = 200
    found = crop(image, Box(38_990, 1, 20, 10), 40, 20)
    assert found[:, :18].max() == 0 and found[:, 22:].min() == 200
    assert crop(image, Box(0, 0, 40_000, 12), 100, 12)[6, [50, 99]].tolist() == [[0] * 3, [200] * 3]


def test_tiny_images():
    dot = np.full((1, 1, 3), 77, np.uint8)
    assert (crop(dot, Box(-5, -5, 11, 11), 227, 227) == 77).all()
    assert (resize(dot, 227, 67) == 77).all() and resize(dot, 227, 67).shape == (67, 227, 3)


def test_inputs_are_left_alone():
    image = picture(30, 30)
    before = image.copy()
    crop(image, Box(2.5, 3.5, 20, 20), 10, 10, 10.0)
    resize(image, 10, 50)
    np.testing.assert_array_equal(image, before)
