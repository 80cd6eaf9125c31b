"""Localization in one look. A net that answers where a picture is bright says where boxes must be."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from photographs import smooth_image
from toy_localizers import TALL, Bright
from toy_localizers import flat_scene as scene

from facetag.errors import ModelError, UsageError
from facetag.geometry import Box
from facetag.images.resample import resize
from facetag.localization.center_localizer import (
    MOST_TOGETHER,
    CachedImage,
    CenterLocalizer,
    CenterLocalizerSettings,
    localizer_of,
    together,
)
from facetag.localization.lnet_localizer import LNetLocalizer
from facetag.networks.center_net import DEEPEST, STRIDE
from facetag.settings import plain
from models import center_model, random_model

LNETS, MODEL = random_model(), center_model()
SETTINGS = CenterLocalizerSettings(input_size=128)


def localizer(settings=SETTINGS, tall=TALL):
    return CenterLocalizer(replace(MODEL, center_net=Bright(tall)), settings=settings)


def random_center_localizer(**changes):
    settings = {"input_size": 64, "least": -9.0, "score": 0.5, "nms_iou": 0.7, "nms_containment": 1.0, **changes}
    return CenterLocalizer(MODEL, settings=CenterLocalizerSettings(**settings))


@pytest.mark.parametrize(("width", "height"), [(128, 128), (800, 200), (300, 900), (61, 47), (3000, 2000)])
def test_boxes_are_in_pixels_of_the_picture(width, height):
    scale = max(width, height) / 128
    side = 16 * scale
    for x, y in ((0.3, 0.5), (0.6, 0.4)):
        patch = Box.around(x * width, y * height, side, side)
        found = localizer()([scene(width, height, patch)])[0][0]
        assert found.box.height == pytest.approx(TALL * scale, rel=0.02)
        assert found.box.width == pytest.approx(0.8 * TALL * scale, rel=0.02)
        assert found.box.center == pytest.approx(patch.center, abs=STRIDE * scale)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 2), (2, 1), (3000, 1), (1, 3000), (4000, 2500), (32, 31)])
def test_odd_pictures_have_finite_boxes_that_show_some_of_them(width, height):
    bright = localizer().every([np.full((height, width, 3), 255, np.uint8)])[0]
    for face in (*bright, *random_center_localizer().every([np.full((height, width, 3), 99, np.uint8)])[0]):
        assert np.isfinite([face.box.x, face.box.y, face.box.width, face.box.height, face.score]).all()
        assert face.box.clipped(width, height).area > 0 and 0 <= face.score <= 1
    assert bright


def test_where_nothing_responds_there_is_no_face():
    black = scene(100, 80)
    assert localizer()([black]) == localizer().every([black]) == localizer().dominant([black]) == [[]]
    assert localizer()([]) == []


def test_what_lies_beyond_the_picture_is_no_face():
    """The net sees the last row again and again below a picture; a face there is none of the picture's."""
    image = scene(128, 36, Box(48, 8, 8, 8), Box(0, 35, 128, 1))
    (face,) = localizer(tall=8.0).every([image])[0]
    assert face.box.center == pytest.approx((52, 12))


@examples(max_examples=40)
@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from([32, 64, 128, 256, 288]))
@example(1, 1, 256)
@example(300, 1, 256)
def test_a_picture_is_seen_whole_in_its_proportions(width, height, side):
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    view, scale, _ = localizer(replace(SETTINGS, input_size=side)).view(CachedImage(image), side)
    shown = round(width / scale[0]), round(height / scale[1])
    assert max(shown) == side
    assert min(shown) == max(round(min(width, height) * (side / max(width, height))), 1)
    np.testing.assert_array_equal(view[: shown[1], : shown[0]], resize(image, *shown))
    assert all(length % DEEPEST == 0 for length in view.shape[:2])
    assert (view[shown[1] :, :] == view[shown[1] - 1]).all()
    assert (view[:, shown[0] :] == view[:, shown[0] - 1 : shown[0]]).all()


def test_few_shapes_are_met():
    finder = localizer(replace(SETTINGS, input_size=256))
    shapes = {finder.view(CachedImage(np.zeros((60, width, 3), np.uint8)), 256)[0].shape for width in range(1, 240)}
    assert len(shapes) == 7  # four upright, the square one among them, and three lying


FINER = replace(SETTINGS, finer_sizes=(256,), small=30.0)
LEAST = -3.0  #: logit of a hint; a black cell has -10, a speck in a large picture a few more
SPECK = Box(240, 240, 16, 16)  #: of a picture of 512 x 512: a cell of the finer pass, a quarter of one of the first


def test_large_pictures_are_looked_at_again_for_small_faces():
    image = scene(512, 512, SPECK)
    assert localizer(tall=16.0)([image]) == [[]]
    ((face,),) = localizer(FINER, tall=16.0)([image])
    assert face.box.height == pytest.approx(32) and face.box.center == pytest.approx(SPECK.center, abs=8)


def test_what_is_not_small_is_left_to_the_first_look():
    assert localizer(FINER, tall=32.0)([scene(512, 512, SPECK)]) == [[]]
    ((face,),) = localizer(replace(FINER, small=33.0), tall=32.0)([scene(512, 512, SPECK)])
    assert face.box.height == pytest.approx(64)


def test_a_face_that_both_looks_see_is_one():
    both = replace(FINER, input_size=224, small=256.0)
    ((face,),) = localizer(both, tall=40.0)([scene(512, 512, SPECK)])
    assert face.box.height == pytest.approx(80)  # the finer pass is surer here
    ((face,),) = localizer(replace(both, finer_sizes=()), tall=40.0)([scene(512, 512, SPECK)])
    assert face.box.height == pytest.approx(91.4, abs=0.1)


def test_small_pictures_are_not_looked_at_again():
    finder = localizer(replace(FINER, mirror=True))
    finder([scene(255, 255), scene(256, 200)])
    assert [shape[-1] for shape in finder.net.batches] == [128, 128, 256]  # with the mirror image, and without


def test_a_finer_look_may_wait_for_a_hint_of_a_small_face():
    hinted, blank = scene(512, 512, Box(256, 256, 24, 24)), scene(512, 512)
    for triggers, looks in (((), 2), ((LEAST,), 1), ((3.0,), 0)):
        for ask in ("__call__", "dominant", "every"):
            finder = localizer(replace(FINER, triggers=triggers, slope=0.5, offset=-1.0), tall=8.0)
            getattr(finder, ask)([hinted, blank])
            seen = sum(shape[0] for shape in finder.net.batches if shape[-1] == 256)
            assert seen == 8 * looks, (triggers, ask)  # without hints one by one, and always filled up to eight
        assert [len(faces) > 0 for faces in finder.faces([hinted, blank], 0.5)] == [looks > 0, False]


def test_a_hint_of_a_large_face_is_none():
    finder = localizer(replace(FINER, triggers=(LEAST,)), tall=40.0)
    finder([scene(512, 512, Box(200, 200, 64, 64))])
    assert all(shape[-1] == 128 for shape in finder.net.batches)


class Lazy:
    """A picture that has few pixels at hand."""

    def __init__(self, whole, scale):
        self.width, self.height, self.whole, self.asked = whole.shape[1], whole.shape[0], whole, []
        self.less = resize(whole, self.width // scale, self.height // scale)

    def at(self, side):
        self.asked.append(side)
        return self.less if max(self.less.shape) >= side else self.whole


def test_a_finer_look_asks_for_the_pixels_that_it_needs():
    for read_size, asked in ((256, [128, 256, 416]), (128, [128, 416])):  # at once what the finest will need
        lazy = Lazy(scene(512, 512, SPECK), 2)
        ((face,),) = localizer(replace(FINER, finer_sizes=(256, 416), read_size=read_size), tall=16.0)([lazy])
        assert lazy.asked == asked
        assert face.box.center == pytest.approx(SPECK.center, abs=8)  # in pixels of the whole


def test_a_picture_may_be_enlarged_for_a_finer_look():
    for enlarged, looks in ((1.0, [128]), (1.25, [128]), (1.28, [128, 256])):
        finder = localizer(replace(FINER, enlarged=enlarged))
        finder([scene(200, 201)])
        assert [shape[-1] for shape in finder.net.batches] == looks


@pytest.mark.parametrize(("side", "small", "looks"), [(256, 15.0, 1), (256, 17.0, 2), (416, 25.0, 1), (416, 27.0, 2)])
def test_small_is_what_a_finer_look_would_see_small(side, small, looks):
    """A face of 32 of 512 pixels has 16 of 256 and 26 of 416."""
    finder = localizer(replace(FINER, finer_sizes=(side,), triggers=(LEAST,), small=small), tall=8.0)
    finder([scene(512, 512, Box(256, 256, 32, 32))])
    assert [shape[-1] for shape in finder.net.batches] == [128, side][:looks]


def test_what_a_finer_look_finds_is_a_hint_for_the_next_however_faint():
    """The first look's face, 32 of 512 pixels high, is small at 256 alone; the second's, of 16, is also at 416."""
    settings = replace(FINER, finer_sizes=(256, 416), triggers=(LEAST, LEAST), small=20.0)
    for image, sides in ((scene(512, 512, Box(256, 256, 32, 32)), [128, 256, 416]), (scene(512, 512), [128])):
        finder = localizer(settings, tall=8.0)
        assert finder.faces([image], 0.99999) == [[]]
        assert [shape[-1] for shape in finder.net.batches] == sides


def test_each_finer_look_has_a_hint_of_its_own():
    for triggers, sides in (((LEAST, 30.0), [128, 256]), ((30.0, LEAST), [128, 416])):
        finder = localizer(replace(FINER, finer_sizes=(256, 416), triggers=triggers, small=100.0), tall=8.0)
        finder([scene(512, 512, Box(256, 256, 24, 24))])
        assert [shape[-1] for shape in finder.net.batches] == sides
    with pytest.raises(UsageError, match="one of each of finer"):
        replace(FINER, triggers=(1.0, 2.0))


def test_many_faint_faces_are_a_hint_where_one_is_none():
    """n as faint as one have a hint that is ln(n) / 2 larger."""
    specks = [Box(x, y, 32, 32) for x in range(32, 448, 96) for y in range(32, 448, 96)]  # each just one cell
    logit = 20 * 128 / 255 - 10
    for count in (1, 5, 25):
        for over, looks in ((-0.01, 2), (0.01, 1)):
            finder = localizer(replace(FINER, triggers=(logit + np.log(count) / 2 + over,), small=17.0), tall=8.0)
            finder([scene(512, 512, *specks[:count], level=128)])
            assert [shape[-1] for shape in finder.net.batches] == [128, 256][:looks], (count, over)
    for ask in ("__call__", "dominant", "every"):  # whatever the least score that is asked for
        finder = localizer(replace(FINER, triggers=(-4.0,), small=17.0), tall=8.0)
        getattr(finder, ask)([scene(512, 512, *specks, level=80)])  # logits of -3.7
        assert [shape[-1] for shape in finder.net.batches] == [128], ask


def test_a_thorough_search_takes_every_look_that_the_picture_has_pixels_for():
    settings = replace(FINER, triggers=(30.0,), thorough=(416, 512))
    finder = localizer(settings, tall=8.0)
    blank = [scene(512, 512), scene(420, 300), scene(200, 200)]
    finder(blank)
    assert {shape[-1] for shape in finder.net.batches} == {128}
    sure = finder.thorough()
    finder.net.batches.clear()
    sure(blank)
    assert [shape[-1] for shape in finder.net.batches if shape[-1] > 128] == [256, 416, 512, 256, 416]
    assert finder.settings == settings
    assert sure.thorough().settings == sure.settings


def test_a_thorough_search_asks_for_pixels_once_beyond_the_first_look():
    """Whatever the picture itself keeps: here nothing."""
    whole = scene(600, 500, SPECK)
    sure = localizer(replace(FINER, read_size=128, thorough=(416, 512)), tall=16.0).thorough()
    lazy = [Lazy(whole, 3), Lazy(whole, 3)]
    assert sure(lazy) == sure([whole, whole])
    assert [each.asked for each in lazy] == [[128, 512], [128, 512]]


@pytest.mark.parametrize("thorough", [(200,), (256,), (512, 416), (1 << 14,)])
def test_thorough_looks_ascend_from_the_finer_ones(thorough):
    with pytest.raises(UsageError, match=r"thorough = .* ascending"):
        replace(FINER, thorough=thorough)


@pytest.mark.parametrize("finer_sizes", [(64,), (128,), (300,), (512, 512), (512, 256), (1 << 14,)])
def test_finer_looks_ascend_from_the_first(finer_sizes):
    with pytest.raises(UsageError, match="ascending"):
        replace(SETTINGS, finer_sizes=finer_sizes)


@examples(max_examples=30)
@given(st.floats(0, 1), st.floats(0.1, 5), st.floats(-3, 3))
def test_faces_over_a_score_are_those_of_all_that_have_it(score, slope, offset):
    """Of the faint ones no boxes are made, which leaves the answer as it is."""
    finder = random_center_localizer(slope=slope, offset=offset)
    images = pictures()[-3:]
    for every, some in zip(finder.every(images), finder.faces(images, score), strict=True):
        kept = [face for face in every if face.score >= score]
        assert {face.score for face in some} >= {face.score for face in kept}
        assert all(face.score >= score for face in some)


def test_company_is_of_no_account_in_the_finer_look_either():
    finder, images = random_center_localizer(input_size=64, finer_sizes=(96, 128), mirror=True), pictures()
    assert finder.every(images) == [finder.every([image])[0] for image in images]


def pictures():
    rng = np.random.default_rng(1)
    sizes = [(48, 64)] * (MOST_TOGETHER + 3) + [(64, 48), (30, 64), (200, 90), (64, 64), (1, 1)]
    return [resize(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8), width, height) for height, width in sizes]


def test_no_answer_depends_on_its_company():
    finder, images = random_center_localizer(), pictures()
    alone = [finder.every([image])[0] for image in images]
    assert sum(map(len, alone)) > len(images) and all(alone)
    assert finder.every(images) == alone
    order = np.random.default_rng(2).permutation(len(images))
    for shuffled in (order, order[::-1], order[: MOST_TOGETHER + 1]):
        assert finder.every([images[place] for place in shuffled]) == [alone[place] for place in shuffled]


def test_the_net_always_sees_as_many_pictures():
    finder = localizer()
    finder(pictures())
    assert finder.net.batches and {shape[0] for shape in finder.net.batches} == {MOST_TOGETHER}
    assert len(finder.net.batches) == 2 + len({shape[2:] for shape in finder.net.batches}) - 1


def test_fewer_large_pictures_are_seen_at_once():
    assert [together(side, side) for side in (64, 256, 320, 512, 1024)] == [8, 8, 5, 2, 1]
    finder = localizer(replace(SETTINGS, input_size=512, finer_sizes=(1024,)))
    finder([scene(1024, 1024)] * 3)
    assert [shape[0] for shape in finder.net.batches] == [2, 2, 1, 1, 1]


def test_all_ways_to_ask_agree():
    finder, images = random_center_localizer(), pictures()
    every = finder.every(images)
    assert all(sorted(found, key=lambda face: -face.score) == found for found in every)
    assert finder.dominant(images) == [found[:1] for found in every]
    sure = [[face for face in found if face.score >= finder.settings.score] for found in every]
    assert finder(images) == sure and any(sure)
    assert finder.faces(images, 0.56) == [[face for face in found if face.score >= 0.56] for found in every]


def test_the_convention_resizes_a_box_about_its_middle_and_then_moves_it_by_its_heights():
    image = scene(128, 128, Box(48, 56, 8, 8))
    (plain_one,) = localizer()([image])[0]
    assert plain_one.box.center == pytest.approx((52, 60))
    assert (plain_one.box.width, plain_one.box.height) == pytest.approx((32, 40))
    (moved,) = localizer(replace(SETTINGS, width=1.5, height=1.5, right=0.1, down=-0.2))([image])[0]
    assert (moved.box.width, moved.box.height) == pytest.approx((48, 60))
    assert moved.box.center == pytest.approx((52 + 6, 60 - 12))
    (wide,) = localizer(replace(SETTINGS, width=1.25))([image])[0]
    assert (wide.box.width, wide.box.height) == pytest.approx((40, 40))


@pytest.mark.parametrize(("slope", "offset"), [(1.0, 0.0), (0.3, -1.0), (50.0, 1e4), (50.0, -1e4)])
def test_a_score_says_how_sure_a_logit_is(slope, offset):
    finder = localizer(replace(SETTINGS, slope=slope, offset=offset))
    (face,) = finder.every([scene(128, 128, Box(48, 56, 8, 8), level=204)])[0]
    expected = 1 / (1 + np.exp(-np.clip(slope * 6.0 + offset, -500, 500)))
    assert face.score == pytest.approx(expected, abs=1e-6)


def test_logits_under_the_least_are_not_looked_at():
    weak = scene(128, 128, Box(48, 56, 8, 8), level=85)  # a logit of -3.33
    assert len(localizer().every([weak])[0]) == 1
    assert localizer(replace(SETTINGS, least=-3.0)).every([weak]) == [[]]


def test_doubles_are_dropped_the_weaker_ones():
    faces = [Box(48, 56, 8, 8), Box(72, 56, 8, 8)]
    image = np.maximum(scene(128, 128, faces[0], level=220), scene(128, 128, faces[1], level=250))
    for settings, expected in (
        (SETTINGS, [76, 52]),
        (replace(SETTINGS, nms_iou=0.1), [76]),
        (replace(SETTINGS, nms_containment=0.2), [76]),
    ):
        assert [face.box.center[0] for face in localizer(settings)([image])[0]] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *itertools.product(["input_size"], [0, -32, 16, 33, 100]),
        *itertools.product(["small"], [0.2, 0.0, -64.0, float("nan")]),
        *itertools.product(["filling", "filling_doubt", "smallest"], [-0.1, float("inf"), float("nan")]),
        *itertools.product(["enlarged"], [0.9, 9.0, float("inf"), float("nan")]),
        *itertools.product(["width", "height", "slope"], [0.0, -1.0, float("nan")]),
        *itertools.product(["score", "nms_iou", "nms_containment"], [-0.1, 1.1, float("nan")]),
    ],
)
def test_settings_out_of_their_range_are_refused(name, value):
    with pytest.raises(UsageError, match=rf"{name} = .* of the localizer is out of range; make it "):
        CenterLocalizerSettings(**{name: value})


def test_in_bfloat16_it_answers_nearly_the_same():
    images = pictures()[-3:]
    whole = random_center_localizer()
    half = localizer_of(replace(MODEL, localizer=plain(whole.settings)), half=True)
    assert half.every(images) != whole.every(images)
    for few, many in zip(half.dominant(images), whole.dominant(images), strict=True):
        assert few[0].score == pytest.approx(many[0].score, abs=0.02)


def test_a_model_is_localised_by_what_it_has():
    with pytest.raises(ModelError, match=r"^random has no centre network; localise by its LNets$"):
        CenterLocalizer(LNETS)
    with pytest.raises(ModelError, match=r"^center_net has no LNets; localise by its centre network$"):
        LNetLocalizer(MODEL)
    assert isinstance(localizer_of(LNETS), LNetLocalizer)
    assert isinstance(localizer_of(MODEL), CenterLocalizer)


def test_a_localizer_has_the_settings_of_its_model():
    settings = CenterLocalizerSettings(input_size=64, down=0.25, score=0.7)
    assert localizer_of(replace(MODEL, localizer=plain(settings))).settings == settings
    assert CenterLocalizer(MODEL, settings=SETTINGS).settings == SETTINGS
    with pytest.raises(UsageError, match="input_size = 65"):
        localizer_of(replace(MODEL, localizer={"input_size": 65}))


def test_with_mirror_a_picture_and_its_mirror_image_have_mirrored_faces():
    """Whole multiples of the net's steps, so that nothing is filled up and cells mirror onto cells."""
    picture = smooth_image(3, 96, 128)
    changes = {"input_size": 128, "score": 0.0, "nms_iou": 1.0}
    (plain_faces,) = random_center_localizer(**changes)([picture])
    both = random_center_localizer(**changes, mirror=True)
    (faces,), (turned,) = both([picture]), both([np.ascontiguousarray(picture[:, ::-1])])
    assert faces and [face.score for face in faces] != [face.score for face in plain_faces]
    rows = sorted((face.score, face.box.x, face.box.y, face.box.height) for face in faces)
    back = sorted((face.score, 128 - face.box.right, face.box.y, face.box.height) for face in turned)
    np.testing.assert_allclose(rows, back, atol=1e-3)


CLOSE = replace(SETTINGS, close_size=192, border=0.25, close=0.5)


@pytest.mark.parametrize(("width", "height"), [(128, 128), (800, 600), (300, 900), (61, 47), (1, 1)])
def test_the_close_look_has_a_border_and_boxes_in_pixels_of_the_picture(width, height):
    longer = max(width, height)
    found = localizer(replace(CLOSE, least=9.0), tall=96.0)([np.full((height, width, 3), 255, np.uint8)])[0]
    heights = {round(face.box.height / longer * 128, 1) for face in found}
    assert all(value == pytest.approx(96, rel=0.01) for value in heights) and heights
    pixels, scale, around = localizer(CLOSE).view(CachedImage(np.full((height, width, 3), 9, np.uint8)), 192, 0.25)
    assert around == 32 and max(pixels.shape) == 192
    assert scale[0 if width >= height else 1] == pytest.approx(longer / 128)


def test_a_face_that_fills_the_picture_is_found_in_the_close_look_alone():
    """Here the network answers one size; in the close look that is a larger part of the picture."""
    image = scene(64, 64, Box(24, 24, 8, 8))
    for close, expected in ((0.6, {20, 40}), (0.9, {20})):
        finder = localizer(replace(CLOSE, close_size=96, close=close, nms_iou=1.0, nms_containment=1.0), tall=40.0)
        sizes = {round(face.box.height) for face in finder.every([image])[0]}
        assert [shape[-1] for shape in finder.net.batches] == [128, 96] and sizes == expected


@pytest.mark.parametrize(("tall", "logit"), [(60.0, 6.0), (70.0, 4.5)])
def test_a_face_that_fills_the_picture_has_to_be_surer(tall, logit):
    image = scene(128, 128, Box(48, 56, 8, 8), level=204)  # a logit of 6
    doubting = localizer(replace(SETTINGS, filling=0.5, filling_doubt=1.5, slope=0.5, offset=-1.0), tall=tall)
    (face,) = doubting.every([image])[0]
    assert face.score == pytest.approx(1 / (1 + np.exp(1.0 - 0.5 * logit)), abs=1e-6)
    assert doubting.faces([image], face.score + 1e-6) == [[]] and doubting.faces([image], face.score) == [[face]]


def test_faces_of_a_few_pixels_are_dropped():
    for width, smallest, count in ((128, 23.5, 1), (128, 24.5, 0), (64, 23.5, 0), (256, 40.0, 1)):
        image = scene(width, width, Box(56, 56, 8, 8).scaled(width / 128))
        found = localizer(replace(SETTINGS, smallest=smallest), tall=24.0)([image])[0]
        assert len(found) == count, (width, smallest)


def test_a_picture_with_a_sure_smaller_face_is_not_looked_at_closely():
    image = scene(128, 128, Box(56, 56, 8, 8))
    for hint, sides in ((5.0, [128]), (50.0, [128, 192])):
        finder = localizer(replace(CLOSE, close_logit=hint), tall=24.0)
        finder([image])
        assert [shape[-1] for shape in finder.net.batches] == sides
    finder = localizer(replace(CLOSE, close_logit=5.0), tall=80.0)  # what it sees fills the picture
    finder([image])
    assert [shape[-1] for shape in finder.net.batches] == [128, 192]


def test_company_is_of_no_account_in_the_close_look():
    finder, images = random_center_localizer(input_size=64, close_size=96), pictures()
    assert finder.every(images) == [finder.every([image])[0] for image in images]
