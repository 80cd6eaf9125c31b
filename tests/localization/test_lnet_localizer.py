"""From images to boxes. A net of LNet's geometry that answers bright patches of one size says where boxes must be."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from torch import nn
from toy_localizers import FEW, MODEL, PEAKS, SETTINGS, Patches, mean_around
from toy_localizers import patch_localizer as localizer
from toy_localizers import patch_scene as scene

from facetag.errors import DataError, UsageError
from facetag.geometry import Box, Window
from facetag.localization.base import Detection
from facetag.localization.lnet_localizer import LNetLocalizer, LocalizerSettings, logit_of
from facetag.localization.response_maps import (
    Frame,
    PeakSettings,
    as_layer,
    find_peaks,
    peak_to_box,
    refined,
    whole_frame,
)
from facetag.method.scale_space import Layer
from facetag.model import RespondingLNet
from facetag.networks.lnet import map_size
from models import random_model

sides = st.integers(1, 6000)


@given(sides, sides, st.integers(1, 1000))
@example(1, 1, 1)
def test_frames_hold_the_whole_image_alike_on_all_sides(width, height, side):
    frame = whole_frame(width, height, side)
    assert all(length % 16 == 3 and length >= 67 for length in (frame.width, frame.height))
    assert frame.box.center == pytest.approx((width / 2, height / 2))
    scale = side / max(width, height)
    assert (frame.box.width * scale, frame.box.height * scale) == pytest.approx((frame.width, frame.height))
    for length, given_ in ((frame.width, width), (frame.height, height)):
        assert length - given_ * scale >= -1e-4 and (length == 67 or length - given_ * scale < 16)


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


cells = st.integers(0, 12)


@examples(max_examples=40)
@given(cells, cells, st.integers(1, 8), st.floats(0.1, 10), st.floats(-500, 500), st.floats(-500, 500))
def test_cell_k_of_a_layer_lies_on_pixel_16k_plus_17_of_its_input(row, column, refine, scale, x, y):
    frame = Frame(Box(x, y, 227 / scale, 211 / scale), 227, 211)
    response = np.random.default_rng(1).random((13, 13)).astype(np.float32)
    layer = as_layer(response, frame, PeakSettings(refine=refine, smooth=0.0))
    assert layer.scale == pytest.approx(scale)
    # pixel 16 k + 17 lies from 16 k + 17 to 16 k + 18
    expected = x + (16 * column + 17.5) / scale, y + (16 * row + 17.5) / scale
    assert layer.position(row * refine, column * refine) == pytest.approx(expected)
    assert layer.response[row * refine, column * refine] == response[row, column]


def test_layers_are_smoothed_in_cells_whatever_the_refining():
    response = np.zeros((13, 13), np.float32)
    response[6, 6] = 1
    frame = Frame(Box(0, 0, 227, 227), 227, 227)
    for refine in (2, 4):
        fine = as_layer(response, frame, PeakSettings(refine=refine, smooth=1.0)).response
        rows = np.arange(len(fine)) / refine - 6
        variance = (fine.sum(1) * rows**2).sum() / fine.sum()  # a tent has 1/6, less 1/(6 refine^2) than a smooth one
        assert variance == pytest.approx(1 + 1 / 6, abs=0.06)


def test_convention_of_height_ratio_and_offset():
    settings = PeakSettings(height=48.0, ratio=0.75, right=0.1, down=-0.25)
    layer = Layer(np.zeros((9, 9)), x=10.0, y=20.0, step=4.0, scale=2.0)
    box = peak_to_box(layer, Window(0, 0, 8, 8, 3, 5, 1.0), 1.5, settings)
    assert (box.height, box.width) == (32, 24)
    assert box.center == pytest.approx((10 + 5 * 4 + 0.1 * 32, 20 + 3 * 4 - 0.25 * 32))


def bump(row, column, size=2.0, shape=(11, 13)):
    rows, columns = np.indices(shape)
    return np.exp(-((columns - column) ** 2 + (rows - row) ** 2) / size**2)


@examples(max_examples=30)
@given(st.floats(2, 10), st.floats(2, 8), st.sampled_from([2, 4, 8]))
def test_refining_finds_places_between_cells(x, y, refine):
    """And one bump stays one peak, however near to the map's edge."""
    frame = Frame(Box(0, 0, 227, 195), 227, 195)
    layer = as_layer(bump(y, x).astype(np.float32), frame, PeakSettings(refine=refine))
    ((box, _),) = find_peaks([layer], PeakSettings(refine=refine))
    assert box.center == pytest.approx((16 * x + 17.5, 16 * y + 17.5), abs=6.5)


def test_a_peak_is_over_the_threshold_and_stronger_than_in_other_scales():
    weak, strong = (Layer(height * bump(5, 6), 0.0, 0.0, 16.0, scale) for height, scale in ((1.0, 0.5), (3.0, 1.0)))
    ((box, response),) = find_peaks([weak, strong], PEAKS)
    assert response == 3.0 and box.height == 56, "a scale at the end is the layer's own"
    assert find_peaks([weak], PeakSettings(threshold=1.0)) == []
    assert len(find_peaks([weak], PeakSettings(threshold=0.99))) == 1


@examples(max_examples=8)
@given(
    width=st.integers(304, 420), aspect=st.floats(0.4, 1), share=st.floats(0.1, 0.9), x=st.floats(0, 1),
    y=st.floats(0, 1),
)  # fmt: skip
@example(width=304, aspect=1.0, share=0.1, x=0.3, y=0.8)
@example(width=304, aspect=1.0, share=0.9, x=0.0, y=1.0)
def test_the_box_is_where_the_patch_was_drawn_and_as_large(width, aspect, share, x, y):
    side = share * width
    height = round(max(aspect * width, 1.1 * side))
    patch = Box(0.03 * width + x * (0.94 * width - side), 0.03 * height + y * (0.94 * height - side), side, side)
    image, finder = scene(width, height, patch), localizer(SETTINGS)
    (heads,) = finder.head_regions([image])
    assert heads[0].box.iou(patch) > 0.6
    ((face, *_),) = finder.faces([image], [heads])
    assert face.box.iou(patch) > 0.7


@pytest.mark.parametrize("aspect", [0.1, 0.2, 5, 10])
def test_slender_images_are_not_stretched(aspect):
    height = round(120 * max(1 / aspect, 1))
    width = round(height * aspect)
    patch = Box.around(width / 2 + 7, height / 2 - 5, 100, 100)
    ((face, *_),) = localizer(SETTINGS)([scene(width, height, patch)])
    assert face.box.iou(patch) > 0.7


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_turned_and_mirrored_images_give_turned_and_mirrored_boxes(turns, mirrored):
    patch = Box(60, 110, 90, 90)
    image, drawn = scene(300, 260, patch), scene(300, 260, patch) > 0
    for pixels in (image, drawn):
        pixels[:] = pixels[:, ::-1] if mirrored else pixels
    image, drawn = np.rot90(image, turns), np.rot90(drawn[..., 0], turns)
    rows, columns = np.flatnonzero(drawn.any(1)), np.flatnonzero(drawn.any(0))
    expected = Box(columns[0], rows[0], len(columns), len(rows))
    ((face, *_),) = localizer()([np.ascontiguousarray(image)])
    assert face.box.iou(expected) > 0.75


TWO = Box(60, 80, 130, 130), Box(330, 230, 90, 90)


def two_patches():
    return np.maximum(scene(500, 400, TWO[0], level=200), scene(500, 400, TWO[1], level=255))


def test_two_patches_are_two_faces_the_surer_first():
    image = two_patches()
    (faces,) = localizer()([image])
    assert [face.box.iou(patch) > 0.7 for face, patch in zip(faces, TWO[::-1], strict=False)] == [True, True]
    assert [face.score for face in faces] == sorted((face.score for face in faces), reverse=True)
    ((only,),) = localizer().dominant([image])
    assert only == faces[0]
    ((strongest,),) = localizer(replace(FEW, head_regions=1))([image])
    assert strongest.box.iou(TWO[1]) > 0.7


def test_heads_below_head_score_are_not_looked_at_but_by_the_dominant_face():
    image = two_patches()
    (heads,) = localizer(SETTINGS).head_regions([image])
    finder = localizer(replace(SETTINGS, head_region_score=heads[1].score))
    assert finder.head_regions([image]) == [heads[:2]]
    assert len(heads) > 2 and finder.head_regions([image], minimum=0.0) == [heads]
    nothing = localizer(replace(SETTINGS, head_region_score=heads[0].score + 1e-6))
    assert nothing([image]) == [[]] and nothing.dominant([image]) == localizer(SETTINGS).dominant([image])


@pytest.mark.parametrize("most", [1, 3])
def test_at_most_so_many_heads_the_strongest(most):
    (heads,) = localizer(SETTINGS).head_regions([two_patches()])
    assert [head.score for head in heads] == sorted((head.score for head in heads), reverse=True)
    assert len(heads) > 3
    assert localizer(replace(SETTINGS, head_regions=most)).head_regions([two_patches()]) == [heads[:most]]


def test_scores_below_the_setting_are_dropped_but_the_dominant_face_stays():
    image = scene(300, 300, Box(100, 90, 100, 100))
    face = localizer()([image])[0][0]
    unsure = localizer(replace(FEW, score=face.score + 0.001))
    assert unsure([image]) == [[]]
    assert unsure.dominant([image]) == [[face]]
    assert localizer(replace(FEW, score=face.score))([image])[0][0] == face


IMAGE, HEAD = scene(300, 300, Box(100, 90, 100, 100)), Detection(Box(110, 95, 100, 120), 0.7)


def face_at_the_head(bias=0.0, **changes):
    ((face,),) = localizer(replace(FEW, **changes), bias=bias).faces([IMAGE], [[HEAD]], minimum=0.0)
    return face


def test_the_score_is_the_peaks_logit_with_trust_slope_and_offset():
    finder = localizer()
    (layers,) = finder.layers(finder.lnet_s, [IMAGE], [finder.head_region_frames(HEAD.box)], PEAKS)
    peak = max(response for _, response in find_peaks(layers, PEAKS))
    assert 0.5 < peak < 10
    assert logit_of(face_at_the_head().score) == pytest.approx(peak)
    assert logit_of(face_at_the_head(bias=-1.5).score) == pytest.approx(peak - 1.5)
    assert logit_of(face_at_the_head(trust=0.3).score) == pytest.approx(peak + 0.3 * math.log(0.7 / 0.3))
    scaled = face_at_the_head(bias=-1.5, trust=0.3, slope=0.5, offset=0.25)
    assert logit_of(scaled.score) == pytest.approx(0.5 * (peak - 1.5 + 0.3 * math.log(0.7 / 0.3)) + 0.25)


def test_a_heads_score_is_the_sigmoid_of_its_response_with_the_bias():
    ((plain, *_),), ((biased, *_),) = (localizer(bias=bias).head_regions([IMAGE]) for bias in (0.0, -2.0))
    assert logit_of(biased.score) == pytest.approx(logit_of(plain.score) - 2)
    assert biased.box == plain.box


@given(st.floats(0, 1))
def test_logits_of_scores_are_finite_and_come_back(score):
    assert math.isfinite(logit_of(score))
    assert 1 / (1 + math.exp(-logit_of(score))) == pytest.approx(score, abs=2e-12)


def test_blending_goes_from_the_faces_box_to_the_heads():
    own = face_at_the_head()
    assert face_at_the_head(blend=1.0).box.iou(HEAD.box) == pytest.approx(1)
    half = face_at_the_head(blend=0.5)
    assert half.score == own.score
    assert half.box.center == pytest.approx(np.add(own.box.center, HEAD.box.center) / 2)
    assert half.box.height == pytest.approx(math.sqrt(own.box.height * 120))
    assert half.box.width == pytest.approx(math.sqrt(own.box.width * 100))


def test_lnet_s_sees_squares_around_the_implied_face():
    finder = localizer(replace(FEW, around=2.5, below=0.2, crop_scales=(0.5, 1.0, 2.0)))
    square = finder.around(HEAD.box)
    assert square.center == pytest.approx((160, 155 + 0.2 * 120))
    assert square.width == square.height == pytest.approx(300)
    frames = finder.head_region_frames(HEAD.box)
    assert [(frame.width, frame.height) for frame in frames] == [(131, 131)] * 3
    assert [frame.box.width for frame in frames] == pytest.approx([600, 300, 150])
    assert all(frame.box.center == pytest.approx(square.center) for frame in frames)


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_zooms_mend_a_head_of_a_wrong_size(factor):
    patch = Box(100, 90, 100, 100)
    heads = [[Detection(patch.enlarged(factor), 0.9)]]
    ((alone,),) = localizer(replace(FEW, crop_scales=(1.0,))).faces([IMAGE], heads)
    ((zoomed,),) = localizer(replace(FEW, crop_scales=(0.7, 0.84, 1.0, 1.19, 1.41))).faces([IMAGE], heads)
    assert abs(math.log(zoomed.box.height / 100)) < 0.11 < 0.15 < abs(math.log(alone.box.height / 100))


class RightEdges(Patches):
    """Sees what its mirror image does not: bright on the left of a cell, dark on its right."""

    def forward(self, images):
        grey = images.mean(1, keepdim=True)
        return (mean_around(grey, 33) - mean_around(torch.roll(grey, -17, 3), 33)).clamp_min(0)


def test_mirroring_is_the_mean_of_both_views():
    finder = localizer()
    finder.lnet_o = RespondingLNet(RightEdges(), torch.ones(1))
    batch = np.random.default_rng(0).integers(0, 256, (3, 99, 131, 3), dtype=np.uint8)
    plain, other = (list(finder.respond(finder.lnet_o, view)) for view in (batch, batch[:, :, ::-1]))
    both = list(finder.respond(finder.lnet_o, batch, mirror=True))
    for one, two, mean in zip(plain, other, both, strict=True):
        assert (one != two[:, ::-1]).any()
        np.testing.assert_allclose(mean, (one + two[:, ::-1]) / 2, atol=1e-7)
    again = list(finder.respond(finder.lnet_o, batch[:, :, ::-1], mirror=True))
    np.testing.assert_allclose([response[:, ::-1] for response in again], both, atol=1e-7)


def test_a_mirroring_localizer_mirrors_its_boxes():
    mirrored = replace(PEAKS, mirror=True)
    finder = localizer(replace(FEW, head_region=mirrored, face=mirrored))
    finder.lnet_o = finder.lnet_s = RespondingLNet(RightEdges(), torch.ones(1))
    image = scene(300, 260, Box(60, 110, 90, 90))
    (faces,), (others,) = (finder.dominant([view]) for view in (image, np.ascontiguousarray(image[:, ::-1])))
    flipped = Box(300 - others[0].box.right, others[0].box.y, others[0].box.width, others[0].box.height)
    assert faces[0].box.iou(flipped) > 0.9


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (16, 16), (1, 300), (300, 1), (40, 5000), (5000, 40), (67, 67)])
def test_odd_sizes_give_boxes_that_show_in_the_image_or_none(shape):
    images = [np.full((*shape, 3), level, np.uint8) for level in (0, 255)]
    images.append(np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8))
    images.append(scene(shape[1], shape[0], Box.around(shape[1] / 2, shape[0] / 2, *(2 * [max(0.5 * min(shape), 1)]))))
    for finder in (localizer(SETTINGS), LNetLocalizer(MODEL)):
        for image in images:
            (faces,) = finder([image])
            for face in (*faces, *finder.head_regions([image])[0]):
                assert np.isfinite([face.box.x, face.box.y, face.box.width, face.box.height, face.score]).all()
                assert face.box.clipped(shape[1], shape[0]).area > 0
    assert localizer(SETTINGS)([images[0]]) == [[]]
    assert not 16 <= max(shape) < 100 or localizer(SETTINGS)([images[3]]) != [[]]


class Everywhere(nn.Module):
    """Answers the most at the top left cell, wherever it looks."""

    def forward(self, images):
        rows, columns = map_size(images.shape[2]), map_size(images.shape[3])
        place = torch.arange(rows)[:, None] + torch.arange(columns)
        return (1 / (1.0 + place)).expand(len(images), 1, rows, columns)


def test_what_lies_beyond_the_image_is_neither_head_nor_face():
    """A slender image is shown with what its edges go on to."""
    finder, image = localizer(replace(SETTINGS, input_sizes=(76,))), np.zeros((20, 400, 3), np.uint8)
    finder.lnet_o = RespondingLNet(Everywhere(), torch.ones(1))
    frame = whole_frame(400, 20, 76)
    (layers,) = finder.layers(finder.lnet_o, [image], [[frame]], replace(PEAKS, height=4.0))
    assert find_peaks(layers, replace(PEAKS, height=4.0)) != []
    assert localizer_heads(finder, image, height=4.0) == []
    assert len(localizer_heads(finder, image, height=56.0)) == 1
    finder.lnet_s = finder.lnet_o
    finder.settings = replace(finder.settings, face=replace(PEAKS, height=20.0))
    head = [[Detection(Box(10, 0, 20, 20), 0.9)]]
    assert finder.faces([image], head, minimum=0.0) == [[]]
    assert len(finder.faces([np.zeros((400, 400, 3), np.uint8)], [[Detection(Box(200, 200, 20, 20), 0.9)]])[0]) == 1


def localizer_heads(finder, image, height):
    finder.settings = replace(finder.settings, head_region=replace(PEAKS, height=height))
    return finder.head_regions([image])[0]


def test_nothing_responds_nothing_is_found():
    image = scene(300, 200)
    assert localizer()([image, image]) == localizer().head_regions([image, image]) == [[], []]
    assert localizer()([]) == []


def test_doubles_are_one_face():
    """Two heads whose faces coincide."""
    image = scene(400, 400, Box(150, 150, 100, 100))
    heads = [Detection(Box(152, 155, 95, 95), 1.0), Detection(Box(148, 146, 105, 105), 0.5)]
    assert len(localizer().faces([image], [heads])[0]) == 1
    never = replace(FEW, nms_iou=1.0, nms_containment=1.0)
    assert len(localizer(never).faces([image], [heads])[0]) == 2


def test_scales_that_would_enlarge_too_much_are_left_out():
    def seen(size, enlarge):
        finder = localizer(replace(SETTINGS, input_sizes=(227, 451, 899), enlarge=enlarge))
        finder.head_regions([scene(size, size)])
        return sorted({batch[2] for batch in finder.lnet_o.net.batches})

    assert seen(100, 1.0) == seen(10, 2.0) == [227], "the first never is"
    assert seen(226, 2.0) == [227, 451]
    assert seen(225, 2.0) == [227]
    assert seen(900, 1.0) == [227, 451, 899]


@pytest.fixture(scope="module")
def real():
    """Real nets with random weights."""
    return LNetLocalizer(MODEL)


@pytest.fixture(scope="module")
def photographs():
    rng = np.random.default_rng(3)
    shapes = [(90, 120), (120, 90), (90, 120), (200, 131), (131, 131), (67, 300), (16, 16), (120, 160)]
    return [rng.integers(0, 256, (*shape, 3), dtype=np.uint8) // (1 + index % 2) for index, shape in enumerate(shapes)]


@pytest.mark.parametrize("mirror", [False, True])
def test_batches_and_order_change_nothing(photographs, mirror):
    """To the last bit, with real convolutions: only frames of one size share a batch, of a fixed size."""
    settings = LNetLocalizer(MODEL).settings
    head, face = (replace(peaks, mirror=mirror) for peaks in (settings.head_region, settings.face))
    real = LNetLocalizer(
        MODEL, settings=replace(settings, head_region=head, face=face, crop_scales=(0.8, 1.0), score=0.0)
    )
    alone = [real([photograph])[0] for photograph in photographs]
    assert sum(map(len, alone)) >= 8
    assert real(photographs) == alone
    order = np.random.default_rng(0).permutation(len(photographs))
    assert real([photographs[index] for index in order]) == [alone[index] for index in order]
    assert real(photographs[:3] * 2) == alone[:3] * 2


def test_layers_come_back_to_their_frames(real, photographs):
    """Frames of several sizes and images, in any order: each layer is the one that it is alone."""
    frames = [[whole_frame(image.shape[1], image.shape[0], side) for side in (99, 131)] for image in photographs]
    frames[2] = []
    together = real.layers(real.lnet_o, photographs, frames, real.settings.head_region)
    assert [len(layers) for layers in together] == [2, 2, 0, 2, 2, 2, 2, 2]
    for image, of_image, layers in zip(photographs, frames, together, strict=True):
        for frame, layer in zip(of_image, layers, strict=True):
            ((alone,),) = real.layers(real.lnet_o, [image], [[frame]], real.settings.head_region)
            np.testing.assert_array_equal(layer.response, alone.response)
            assert (layer.x, layer.y, layer.step, layer.scale) == (alone.x, alone.y, alone.step, alone.scale)


def test_equally_strong_heads_have_one_order_in_any_company():
    """The second image has the first's frame at the larger scale and another at the smaller, so it comes in between."""
    image = np.maximum(scene(400, 300, Box(40, 100, 80, 80)), scene(400, 300, Box(280, 100, 80, 80)))
    other = np.full((304, 400, 3), 255, np.uint8)
    finder = localizer(replace(FEW, input_sizes=(108, 131)))
    frames = [[whole_frame(each.shape[1], each.shape[0], side) for side in (108, 131)] for each in (image, other)]
    assert [one.height == two.height for one, two in zip(*frames, strict=True)].count(True) == 1
    (alone,) = finder.head_regions([image])
    assert len(alone) >= 2
    assert finder.head_regions([other, image])[1] == alone


def test_settings_come_from_the_model():
    model = replace(MODEL, localizer={"input_sizes": [99], "head_region": {"refine": 2}})
    settings = LNetLocalizer(model).settings
    assert settings == LocalizerSettings(input_sizes=(99,), head_region=PeakSettings(refine=2))
    with pytest.raises(DataError, match=r"model\.json"):
        LNetLocalizer(replace(model, localizer={"input_size": 99}))


FRACTIONS = ("head_region_score", "head_region_iou", "blend", "score", "nms_iou", "nms_containment")


@pytest.mark.parametrize(
    ("cls", "values"),
    [
        *[(PeakSettings, {"threshold": value}) for value in (-0.1, math.nan)],
        *[(PeakSettings, {name: value}) for name in ("height", "ratio") for value in (0.0, -1.0, math.nan)],
        (PeakSettings, {"refine": 0}),
        (PeakSettings, {"smooth": -0.5}),
        *[(LocalizerSettings, {"input_sizes": value}) for value in ((), (227, 0), (227, 99), (99, 99))],
        *[(LocalizerSettings, {"crop_scales": value}) for value in ((), (0.0,), (1.0, 0.5), (1.0, 1.0))],
        *[(LocalizerSettings, {name: 0}) for name in ("enlarge", "around", "head_regions", "slope")],
        (LocalizerSettings, {"trust": -0.1}),
        (LocalizerSettings, {"crop_size": 66}),
        *[(LocalizerSettings, {name: value}) for name in FRACTIONS for value in (-0.1, 1.1)],
    ],
)
def test_settings_out_of_range_are_refused(cls, values):
    (name,) = values
    with pytest.raises(UsageError, match=rf"^{name} = .* is out of range; make it "):
        cls(**values)


def test_only_crops_seen_alike_from_both_ends_can_be_mirrored():
    LocalizerSettings(crop_size=200)
    LocalizerSettings(crop_size=195, face=PeakSettings(mirror=True))
    with pytest.raises(UsageError, match=r"^crop_size = 200 .*16 n \+ 3"):
        LocalizerSettings(crop_size=200, face=PeakSettings(mirror=True))


def test_settings_at_the_ends_of_their_ranges_are_taken():
    PeakSettings(threshold=0, refine=1, smooth=0)
    ends = dict.fromkeys(FRACTIONS, 0.0)
    LocalizerSettings(input_sizes=(1,), crop_size=67, head_regions=1, trust=0, **ends)
    LocalizerSettings(**dict.fromkeys(FRACTIONS, 1.0))


def test_doubles_of_heads_go_by_the_settings():
    one, other, last = (Detection(Box(x, 0, 4, 4), 1 - x / 10) for x in (0, 2, 7))  # squares of 10: IoU 2/3 and less
    by_iou = {iou: localizer(replace(FEW, head_region_iou=iou))._strongest([one, other, last]) for iou in (0.6, 0.7)}
    assert LocalizerSettings().head_region_iou == 0.6
    assert by_iou == {0.6: [one, last], 0.7: [one, other, last]}


@pytest.mark.gpu
def test_a_gpu_finds_the_same_faces(photographs):
    expected = LNetLocalizer(MODEL)(photographs)
    finder = LNetLocalizer(MODEL, torch.device("cuda"))
    found = finder(photographs)
    assert [len(faces) for faces in found] == [len(faces) for faces in expected]
    for faces, others in zip(found, expected, strict=True):
        for face, other in zip(faces, others, strict=True):
            assert face.box.iou(other.box) > 0.9 and face.score == pytest.approx(other.score, abs=1e-2)
    assert [finder([photograph])[0] for photograph in photographs] == found


def test_photographs_are_not_filled_up_in_bfloat16_either():
    """Sixteen at once is for a GPU, and for training pictures of one shape."""
    model = random_model()
    for words, together in (({}, 1), ({"half": True}, 1), ({"half": True, "alike": True}, 16)):
        seen = []
        finder = LNetLocalizer(model, settings=SETTINGS, **words)
        finder.lnet_o.net.register_forward_pre_hook(lambda _, inputs, seen=seen: seen.append(len(inputs[0])))
        finder.head_regions([np.zeros((40, 60, 3), np.uint8)])
        assert set(seen) == {together}
