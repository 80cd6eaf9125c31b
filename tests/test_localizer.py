"""From images to boxes. A net that answers brightness, cell by cell with LNet's geometry, says where boxes must be."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from facetag.errors import DataError, UsageError
from facetag.geometry import Box, Window
from facetag.localizer import (
    Localizer,
    LocalizerSettings,
    Located,
    WindowSettings,
    find_windows,
    map_to_box,
    refined,
    scaled_shape,
)
from facetag.model import RespondingLNet
from facetag.networks.lnet import map_side
from models import random_model


class Brightness(nn.Module):
    """One channel: the mean of the 17 pixels around pixel 16 k + 17, each way."""

    def __init__(self):
        super().__init__()
        self.batches = []

    def forward(self, images):
        self.batches.append(tuple(images.shape))
        answer = F.avg_pool2d(images.mean(1, keepdim=True)[:, :, 9:, 9:], 17, 16)
        assert answer.shape[2:] == (map_side(images.shape[2]), map_side(images.shape[3]))
        return answer


#: A patch falls from its middle to half at its edge, where half a cell sees it: a quarter of the peak.
FINE = WindowSettings(relative=0.25, refine=8)
#: LNet_o's square is twice as large as the bright patch; LNet_s answers the patch itself.
SETTINGS = LocalizerSettings(head=replace(FINE, size=2.0), face=FINE, around=2.0, score=0.0)

MODEL = random_model()


def localizer(settings=SETTINGS):
    bright = RespondingLNet(Brightness(), torch.ones(1))
    return Localizer(replace(MODEL, lnet_o=bright, lnet_s=bright), settings=settings)


def scene(width, height, *boxes, level=255):
    """Bright patches on black."""
    image = np.zeros((height, width, 3), np.uint8)
    rows, columns = np.indices((height, width)) + 0.5
    for box in boxes:
        x, y = box.center
        away = np.maximum(np.abs(columns - x) / (box.width / 2), np.abs(rows - y) / (box.height / 2))
        image[away <= 1] = (level * (1 - away / 2))[away <= 1, None].astype(np.uint8)
    return image


@pytest.mark.parametrize(("row", "column"), [(0, 0), (3, 5), (12, 1)])
def test_a_cell_is_the_16_pixels_around_its_centre(row, column):
    box = map_to_box(Window(row, column, row, column, row, column, 1.0), 1, WindowSettings())
    assert box == Box(16 * column + 9.5, 16 * row + 9.5, 16, 16)
    # pixel 16 k + 17 lies from 16 k + 17 to 16 k + 18
    assert box.center == (16 * column + 17.5, 16 * row + 17.5)


cells = st.integers(0, 12)


@given(cells, cells, cells, cells, st.integers(1, 8))
def test_refined_cells_lie_between_the_centres(top, left, more_down, more_right, refine):
    coarse = Window(top, left, top + more_down, left + more_right, top, left, 1.0)
    fine = Window(*(refine * edge for edge in (coarse.top, coarse.left, coarse.bottom, coarse.right)), 0, 0, 1.0)
    shape = WindowSettings(size=1.0, ratio=(more_right + 1 / refine) / (more_down + 1 / refine))
    box = map_to_box(fine, refine, shape)
    assert box.center == pytest.approx(map_to_box(coarse, 1, WindowSettings()).center)
    area = (16 * more_down + 16 / refine) * (16 * more_right + 16 / refine)
    assert box.height**2 == pytest.approx(area)


@pytest.mark.parametrize("refine", [1, 2, 3, 8])
def test_refining_is_linear_between_cells_and_keeps_them(refine):
    response = np.random.default_rng(0).random((4, 5)).astype(np.float32)
    fine = refined(response, refine)
    assert fine.shape == (3 * refine + 1, 4 * refine + 1)
    np.testing.assert_array_equal(fine[::refine, ::refine], response)
    for row in range(fine.shape[0]):
        for column in range(fine.shape[1]):
            (top, y), (left, x) = divmod(row, refine), divmod(column, refine)
            corners = response[top : top + 2, left : left + 2].astype(np.float64)
            corners = np.pad(corners, ((0, 2 - corners.shape[0]), (0, 2 - corners.shape[1])), "edge")
            y, x = y / refine, x / refine
            assert fine[row, column] == pytest.approx(np.array([1 - y, y]) @ corners @ np.array([1 - x, x]))


def test_convention_of_size_ratio_and_offset():
    settings = WindowSettings(size=2.0, ratio=0.75, right=0.1, down=-0.25)
    box = map_to_box(Window(2, 1, 3, 8, 2, 1, 1.0), 1, settings)  # 2 x 8 cells: 32 x 128 px, the side of a square 64
    x, y = 16 * 4.5 + 17.5, 16 * 2.5 + 17.5
    assert box.height == 128 and box.width == 96
    assert box.center == pytest.approx((x + 0.1 * 128, y - 0.25 * 128))


def test_windows_keep_what_is_near_their_peaks_response():
    response = np.zeros((5, 9), np.float32)
    response[2] = (0, 1, 3, 8, 10, 8, 3, 1, 0)
    (window,) = find_windows(response, WindowSettings(relative=0.5))
    assert (window.top, window.left, window.bottom, window.right) == (2, 3, 2, 5)
    assert (window.peak_row, window.peak_column, window.score) == (2, 4, 10.0)
    (window,) = find_windows(response, WindowSettings(relative=0.1))
    assert (window.left, window.right) == (1, 7)
    (window,) = find_windows(response, WindowSettings(relative=1.0))
    assert (window.left, window.right) == (4, 4)
    assert find_windows(response, WindowSettings(threshold=10.0)) == []


@examples(max_examples=30)
@given(st.floats(2, 10), st.floats(2, 8), st.sampled_from([2, 4, 8]))
def test_refining_finds_places_between_cells(x, y, refine):
    """And one bump stays one peak, however near to the map's edge."""
    rows, columns = np.indices((11, 13))
    response = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 4).astype(np.float32)
    (window,) = find_windows(response, WindowSettings(relative=0.5, refine=refine))
    box = map_to_box(window, refine, WindowSettings())
    assert box.center == pytest.approx((16 * x + 17.5, 16 * y + 17.5), abs=16 / refine + 1)


@given(st.integers(1, 6000), st.integers(1, 6000), st.integers(67, 1000))
def test_scaled_sides_are_symmetric_and_of_the_image_alone(width, height, side):
    scaled = scaled_shape(np.empty((height, width, 0), np.uint8), side)
    assert all(s % 16 == 3 and s >= 67 for s in scaled)
    assert abs(max(scaled) - side) <= 8
    for found, given_ in zip(scaled, (width, height), strict=True):
        assert found == 67 or abs(found - given_ * side / max(width, height)) <= 8


@examples(max_examples=25)
@given(
    width=st.integers(120, 900), height=st.integers(120, 900), share=st.floats(0.25, 0.5), x=st.floats(0, 1),
    y=st.floats(0, 1),
)  # fmt: skip
def test_the_box_is_where_the_patch_was_drawn(width, height, share, x, y):
    side = share * min(width, height)
    patch = Box(0.1 * width + x * (0.8 * width - side), 0.1 * height + y * (0.8 * height - side), side, side)
    image = scene(width, height, patch)
    (heads,) = localizer().heads([image])
    assert heads[0].box.width == pytest.approx(heads[0].box.height)
    ((face,),) = localizer()([image])
    assert face.box.iou(patch) > 0.75
    assert face.box.center == pytest.approx(patch.center, abs=0.08 * side)


@pytest.mark.parametrize("aspect", [0.1, 0.2, 5, 10])
def test_slender_images_are_not_stretched_for_the_second_look(aspect):
    """LNet_o sees no side under 67 pixels, so that a slender image is stretched there; boxes must come out square."""
    height = round(200 / min(aspect, 1)) if aspect < 1 else 200
    width = round(height * aspect)
    patch = Box.around(width / 2 + 7, height / 2 - 9, 110, 110)
    ((face,),) = localizer()([scene(width, height, patch)])
    assert face.box.iou(patch) > 0.75


@pytest.mark.parametrize("share", [0.1, 0.2, 0.4, 0.8])
def test_small_and_large_faces_on_several_scales(share):
    settings = replace(SETTINGS, sides=(227, 451), head=replace(FINE, size=1.5))
    patch = Box.around(430, 380, 800 * share, 800 * share)
    ((face,),) = localizer(settings)([scene(900, 800, patch)])
    assert face.box.iou(patch) > 0.75


def test_two_patches_are_two_faces_the_surer_first():
    large, small = Box(60, 80, 130, 130), Box(330, 230, 90, 90)
    image = np.maximum(scene(500, 400, large, level=200), scene(500, 400, small, level=255))
    (faces,) = localizer()([image])
    assert [face.box.iou(patch) > 0.7 for face, patch in zip(faces, (small, large), strict=True)] == [True, True]
    assert faces[0].score > faces[1].score > 0
    ((only,),) = localizer().dominant([image])
    assert only == faces[0]
    (strongest,) = localizer(replace(SETTINGS, heads=1))([image])
    assert strongest == faces[:1]


def test_scores_below_the_setting_are_dropped_but_the_dominant_face_stays():
    image = scene(300, 300, Box(100, 90, 100, 100))
    ((face,),) = localizer()([image])
    unsure = localizer(replace(SETTINGS, score=face.score + 0.01))
    assert unsure([image]) == [[]]
    assert unsure.dominant([image]) == [[face]]
    assert localizer(replace(SETTINGS, score=face.score))([image]) == [[face]]


def test_the_score_is_the_heads_answer():
    """sigmoid(mean of the signed response + bias), as the head that was trained would have said."""
    image = scene(227, 227, Box(80, 80, 70, 70))
    finder = localizer()
    finder.lnet_s = RespondingLNet(finder.lnet_s.net, torch.tensor([-2.0]), bias=0.5)
    inputs = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
    (seen,) = finder.look(finder.lnet_s, image[None])
    expected = torch.sigmoid(-2 * Brightness()(inputs).mean() + 0.5)
    assert seen.score == pytest.approx(float(expected))
    assert seen.response.max() == 0, "what weighs against a face is no response"


@pytest.mark.parametrize(
    "shape", [(1, 1), (2, 3), (16, 16), (1, 300), (300, 1), (40, 5000), (5000, 40), (67, 67), (226, 228)]
)
@pytest.mark.parametrize("level", [0, 255])
def test_odd_sizes_give_boxes_or_none(shape, level):
    image = np.full((*shape, 3), level, np.uint8)
    (faces,) = localizer()([image])
    assert bool(faces) == (level > 0)
    assert all(np.isfinite([face.box.x, face.box.y, face.box.width, face.box.height]).all() for face in faces)
    assert localizer().dominant([image])[0] == faces[:1]


def test_nothing_responds_nothing_is_found():
    image = scene(300, 200)
    assert localizer()([image, image]) == localizer().heads([image, image]) == [[], []]
    assert localizer()([]) == []


def test_passes_look_again_around_the_face_found():
    """The first square is far off; the second is the one that the face implies."""
    settings = replace(SETTINGS, head=replace(FINE, size=3.0, right=0.2, down=-0.2), below=0.1, passes=2)
    image = scene(600, 500, Box(250, 200, 100, 100))
    finder, squares = localizer(settings), []
    cut = finder.x_s
    finder.x_s = lambda image, square: squares.append(square) or cut(image, square)
    ((again,),) = finder([image])
    ((once,),) = localizer(replace(settings, passes=1))([image])
    assert len(squares) == 2 and squares[1] == finder.around(once.box)
    x, y = once.box.center
    assert squares[1].center == pytest.approx((x, y + 0.1 * once.box.height))
    assert squares[1].width == squares[1].height == pytest.approx(2 * once.box.height)
    assert again.box.iou(Box(250, 200, 100, 100)) > 0.85


def test_doubles_are_one_face():
    """Two heads whose faces coincide."""
    image = scene(400, 400, Box(150, 150, 100, 100))
    heads = [Located(Box.around(195, 205, 210, 210), 1.0), Located(Box.around(210, 200, 240, 240), 0.5)]
    finder = localizer()
    assert len(finder.faces([image], [heads])[0]) == 1
    never = replace(SETTINGS, double_iou=1.0, double_containment=1.0)
    assert len(localizer(never).faces([image], [heads])[0]) == 2


def test_scales_that_would_enlarge_too_much_are_left_out():
    def seen(size, enlarge):
        finder = localizer(replace(SETTINGS, sides=(227, 451, 899), enlarge=enlarge))
        finder.heads([scene(size, size)])
        return sorted({batch[2] for batch in finder.lnet_o.net.batches})

    assert seen(100, 1.0) == seen(10, 2.0) == [227], "the first never is"
    assert seen(226, 2.0) == [227, 451]
    assert seen(225, 2.0) == [227]
    assert seen(900, 1.0) == [227, 451, 899]


@pytest.fixture(scope="module")
def real():
    """Real nets with random weights."""
    return Localizer(MODEL)


@pytest.fixture(scope="module")
def photographs():
    rng = np.random.default_rng(3)
    shapes = [(90, 120), (120, 90), (90, 120), (200, 131), (131, 131), (67, 300), (16, 16), (120, 160)]
    return [rng.integers(0, 256, (*shape, 3), dtype=np.uint8) // (1 + index % 2) for index, shape in enumerate(shapes)]


def test_batches_and_order_change_nothing(real, photographs):
    """To the last bit, with real convolutions: only images of one scaled shape share a batch, of a fixed size."""
    alone = [real([photograph])[0] for photograph in photographs]
    assert sum(map(len, alone)) >= 8
    assert real(photographs) == alone
    for seed in range(2):
        order = np.random.default_rng(seed).permutation(len(photographs))
        assert real([photographs[index] for index in order]) == [alone[index] for index in order]
    assert real(photographs[:3] * 3) == alone[:3] * 3


def test_equally_strong_heads_of_two_scales_have_one_order_in_any_company():
    """The second image has the first's shape at the larger scale and another at the smaller, so it comes in between."""
    finder = localizer(replace(SETTINGS, sides=(227, 451), head=WindowSettings()))
    image, other = (np.full((height, 400, 3), 255, np.uint8) for height in (300, 304))
    assert [scaled_shape(image, side) == scaled_shape(other, side) for side in (227, 451)] == [False, True]
    (alone,) = finder.heads([image])
    assert len({head.score for head in alone}) == 1
    assert finder.heads([other, image])[1] == alone


def test_settings_come_from_the_model():
    model = replace(MODEL, localizer={"sides": [99], "head": {"refine": 2}})
    settings = Localizer(model).settings
    assert settings == LocalizerSettings(sides=(99,), head=WindowSettings(refine=2))
    with pytest.raises(DataError, match=r"model\.json"):
        Localizer(replace(model, localizer={"side": 99}))


@pytest.mark.parametrize(
    ("cls", "values"),
    [
        *[(WindowSettings, {"threshold": value}) for value in (-0.1, math.nan)],
        *[(WindowSettings, {"relative": value}) for value in (0.0, 1.1)],
        *[(WindowSettings, {name: value}) for name in ("size", "ratio") for value in (0.0, -1.0)],
        (WindowSettings, {"refine": 0}),
        (WindowSettings, {"smooth": -0.5}),
        *[(LocalizerSettings, {"sides": value}) for value in ((), (227, 0))],
        *[(LocalizerSettings, {name: 0}) for name in ("enlarge", "around", "passes", "heads")],
        (LocalizerSettings, {"crop_side": 66}),
        *[
            (LocalizerSettings, {name: value})
            for name in ("head_iou", "score", "double_iou", "double_containment")
            for value in (-0.1, 1.1)
        ],
    ],
)
def test_settings_out_of_range_are_refused(cls, values):
    (name,) = values
    with pytest.raises(UsageError, match=rf"^{name} = .* is out of range; make it "):
        cls(**values)


def test_settings_at_the_ends_of_their_ranges_are_taken():
    WindowSettings(threshold=0, relative=1, refine=1, smooth=0)
    LocalizerSettings(
        sides=(1,), crop_side=67, passes=1, heads=1, head_iou=0, score=0, double_iou=1, double_containment=1
    )


def test_doubles_of_heads_go_by_the_settings():
    one, other, last = (Located(Box(x, 0, 10, 10), 1 - x / 10) for x in (0, 2, 7))  # IoU 2/3 and less
    by_iou = {iou: localizer(replace(SETTINGS, head_iou=iou))._strongest([one, other, last]) for iou in (0.6, 0.7)}
    assert LocalizerSettings().head_iou == 0.6
    assert by_iou == {0.6: [one, last], 0.7: [one, other, last]}


@pytest.mark.gpu
def test_a_gpu_finds_the_same_faces(photographs):
    expected = Localizer(MODEL)(photographs)
    finder = Localizer(MODEL, torch.device("cuda"))
    found = finder(photographs)
    assert [len(faces) for faces in found] == [len(faces) for faces in expected]
    for faces, others in zip(found, expected, strict=True):
        for face, other in zip(faces, others, strict=True):
            assert face.box.iou(other.box) > 0.9 and face.score == pytest.approx(other.score, abs=1e-2)
    assert [finder([photograph])[0] for photograph in photographs] == found
