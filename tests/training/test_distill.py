"""How the student is taught: what photographs say, what the loss asks for and what it leaves alone."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from facetag.datasets.scenes import SceneComposer, SceneSettings
from facetag.geometry import Box
from facetag.method.middles import wanted_maps
from facetag.training.distill import Lessons, Photographs, middle_loss, taught
from facetag.training.loop import LoopSettings
from facetag.training.recipe import StudentStage
from models import NARROW

CELLS, STRIDE = 16, 8
FACES = (Box.around(30, 40, 24, 30), Box.around(90, 84, 48, 60))
DOUBTFUL = (Box(8, 96, 30, 24),)


def wanted(faces=FACES, doubtful=DOUBTFUL, far=1.0):
    return torch.from_numpy(wanted_maps(faces, doubtful, (CELLS, CELLS), STRIDE, far).stacked())[None]


def perfect(maps):
    """What a net that has learned all would answer: (1, 4, H, W)."""
    heat, _, _, size, right, down = maps.unbind(1)
    return torch.stack([torch.where(heat == 1, 20.0, -20.0), size, right, down], 1)


def test_scores_of_the_lnets_say_what_a_box_teaches():
    rows = [
        (0, 1, 2, 3, 4, 0.5),
        (2, 5, 6, 7, 8, 0.49),
        (2, 9, 9, 9, 9, 0.02),
        (0, 1, 1, 1, 1, 0.019),
        (2, 2, 2, 2, 2, 1),
    ]
    found = taught(["a", "b", "c"], np.array(rows, np.float32), sure=0.5, doubt=0.02)
    assert found.paths == ["a", "b", "c"]
    assert found.faces == [[Box(1, 2, 3, 4)], [], [Box(2, 2, 2, 2)]]
    assert found.doubtful == [[], [], [Box(5, 6, 7, 8), Box(9, 9, 9, 9)]]


def test_nothing_found_teaches_that_there_is_nothing():
    found = taught(["a"], np.zeros((0, 6), np.float32), 0.5, 0.02)
    assert (found.faces, found.doubtful) == ([[]], [[]])


def test_perfect_maps_cost_nothing():
    maps = wanted()
    assert float(middle_loss(perfect(maps), maps, 2.0)) < 1e-3


def changed(answer, channel, row, column, by):
    answer = answer.clone()
    answer[0, channel, row, column] += by
    return answer


@pytest.mark.parametrize(
    ("channel", "row", "column", "by"),
    [
        (0, 5, 3, -40.0),  # a face that is missed
        (0, 2, 12, 40.0),  # one that is none
        (1, 5, 3, 0.5),  # too large
        (1, 5, 3, -0.5),  # too small
        (2, 5, 3, 1.0),
        (3, 5, 3, -1.0),
    ],
)
def test_whatever_is_wrong_costs_something(channel, row, column, by):
    maps = wanted()
    right = perfect(maps)
    assert float(middle_loss(changed(right, channel, row, column, by), maps, 2.0)) > 0.02
    less = changed(right, channel, row, column, by / 2 if channel else by * 0.6)
    assert float(middle_loss(less, maps, 2.0)) < float(middle_loss(changed(right, channel, row, column, by), maps, 2.0))


def test_of_boxes_away_from_middles_and_of_doubtful_cells_nothing_is_learned():
    maps = wanted()
    torch.manual_seed(0)
    answer = torch.randn(1, 4, CELLS, CELLS, requires_grad=True)
    middle_loss(answer, maps, 2.0).backward()
    gradient = answer.grad[0]
    _, heat_weight, near, *_ = maps[0]
    assert (heat_weight == 0).sum() == 12 and 1 < (near == 1).sum() < 40
    assert not gradient[0][heat_weight == 0].any() and gradient[0][heat_weight > 0].all()
    for channel in (1, 2, 3):
        assert not gradient[channel][near == 0].any() and gradient[channel][near == 1].all()


def test_far_from_faces_being_wrong_counts_as_much_as_is_set():
    alarm = changed(perfect(wanted()), 0, 2, 12, 22.0)
    whole, quarter = (float(middle_loss(alarm, wanted(far=far), 0.0)) for far in (1.0, 0.25))
    assert quarter == pytest.approx(whole / 4, rel=1e-3)


def test_size_and_place_count_by_their_weight_and_by_the_size_of_the_face():
    maps = wanted()
    wrong = changed(perfect(maps), 1, 5, 3, 0.5)
    at_one, at_three = (float(middle_loss(wrong, maps, weight)) for weight in (1.0, 3.0))
    assert at_three == pytest.approx(3 * at_one, rel=1e-3) and float(middle_loss(wrong, maps, 0.0)) < 1e-3
    of_small, of_large = (
        float(middle_loss(changed(perfect(maps), 2, row, column, 1.0), maps, 1.0)) for row, column in ((5, 3), (10, 11))
    )
    assert of_small == pytest.approx(2 * of_large, rel=1e-2)


def test_pictures_without_a_face_have_a_finite_loss_and_teach():
    maps = wanted((), ())
    answer = torch.zeros(1, 4, CELLS, CELLS, requires_grad=True)
    loss = middle_loss(answer, maps, 2.0)
    loss.backward()
    assert torch.isfinite(loss) and (answer.grad[0, 0] > 0).all() and not answer.grad[0, 1:].any()


STAGE = StudentStage(
    photographs=0.5, far=0.25, scenes=SceneSettings(side=64, heads=(0.0, 1.0)), net=NARROW, loop=LoopSettings(seed=3)
)


@pytest.fixture
def photographs(tmp_path):
    """Two: one of a face, one of none."""
    paths = [str(tmp_path / name) for name in ("a.png", "b.png")]
    for path, level in zip(paths, (200, 90), strict=True):
        cv2.imwrite(path, np.full((80, 120, 3), level, np.uint8))
    return Photographs(paths, [[Box(40, 20, 32, 40)], []], [[], [Box(0, 0, 120, 80)]])


def lessons(photographs, share):
    def read(name):
        return np.full((218, 178, 3), 10 if name == "head" else 40, np.uint8)

    scenes = SceneComposer(read, ["head"] * 3, np.zeros((3, 40), np.int8), [["bare"]], STAGE.scenes, 3)
    return Lessons(scenes, photographs, replace(STAGE, photographs=share))


def test_a_lesson_is_a_picture_and_its_wanted_maps(photographs):
    both = lessons(photographs, 0.5)
    assert len(both) == 3
    for epoch in range(8):
        image, maps = both[epoch, 1]
        assert image.shape == (64, 64, 3) and image.dtype == np.uint8 and maps.shape == (6, 8, 8)
        crowd, far = both.crowd(epoch, 1)
        np.testing.assert_array_equal(image, crowd.image)
        expected = wanted_maps(crowd.faces, crowd.doubtful, (8, 8), 8, far).stacked()
        np.testing.assert_array_equal(maps.numpy(), expected)
        again, _ = both[epoch, 1]
        np.testing.assert_array_equal(image, again)


@pytest.mark.parametrize(("share", "expected"), [(0.0, {1.0}), (0.5, {0.25, 1.0}), (1.0, {0.25})])
def test_a_share_of_the_lessons_is_photographs(photographs, share, expected):
    made = [lessons(photographs, share).crowd(epoch, index) for epoch in range(10) for index in range(3)]
    assert {far for _, far in made} == expected
    for crowd, far in made:
        bright = crowd.image.max() > 60
        assert bright == (far == 0.25), "composed pictures are dark, photographs bright"


def test_without_photographs_all_lessons_are_composed():
    assert lessons(Photographs((), (), ()), 1.0).crowd(0, 0)[1] == 1.0
