"""How the centre network is trained: what the loss asks for and what it leaves alone, and which scenes it is shown."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from facetag.datasets.detection_scenes import DetectionSceneComposer, DetectionSceneSettings
from facetag.datasets.image_pool import build_pool
from facetag.geometry import Box
from facetag.method.center_heatmap import heatmap_targets
from facetag.training.train_center_net import SceneSamples, box_iou, center_loss

CELLS, STRIDE = 16, 8
FACES = (Box.around(30, 40, 24, 30), Box.around(90, 84, 48, 60))
IGNORED = (Box(8, 96, 30, 24),)


def targets_of(faces=FACES, ignored=IGNORED, far=1.0):
    return torch.from_numpy(heatmap_targets(faces, ignored, (CELLS, CELLS), STRIDE, far).stacked())[None]


def perfect(maps):
    """What a network that has learned all would answer: (1, 5, H, W)."""
    return torch.cat([torch.where(maps[:, :1] == 1, 20.0, -20.0), maps[:, 3:]], 1)


def test_perfect_maps_cost_nothing():
    maps = targets_of()
    assert float(center_loss(perfect(maps), maps, 2.0)) < 1e-3


def changed(answer, channel, row, column, by):
    answer = answer.clone()
    answer[0, channel, row, column] += by
    return answer


@pytest.mark.parametrize(
    ("channel", "row", "column", "by"),
    [
        (0, 5, 3, -40.0),  # a face that is missed
        (0, 2, 12, 40.0),  # one that is none
        (3, 5, 3, 0.5),  # too wide
        (4, 5, 3, -0.5),  # too low
        (1, 5, 3, 1.0),
        (2, 5, 3, -1.0),
    ],
)
def test_whatever_is_wrong_costs_something(channel, row, column, by):
    maps = targets_of()
    right = perfect(maps)
    assert float(center_loss(changed(right, channel, row, column, by), maps, 2.0)) > 0.02
    less = changed(right, channel, row, column, by / 2 if channel else by * 0.6)
    assert float(center_loss(less, maps, 2.0)) < float(center_loss(changed(right, channel, row, column, by), maps, 2.0))


def test_of_boxes_away_from_centres_and_of_ignored_cells_nothing_is_learned():
    maps = targets_of()
    torch.manual_seed(0)
    answer = (perfect(maps) + torch.randn(1, 5, CELLS, CELLS)).clamp(-5, 5).requires_grad_()
    center_loss(answer, maps, 2.0).backward()
    gradient = answer.grad[0]
    _, heat_weight, near, *_ = maps[0]
    assert (heat_weight == 0).sum() == 12 and 1 < (near > 0).sum() < 40
    assert not gradient[0][heat_weight == 0].any() and gradient[0][heat_weight > 0].all()
    for channel in (1, 2, 3, 4):
        assert not gradient[channel][near == 0].any() and gradient[channel][near > 0].any()


def test_far_from_faces_being_wrong_counts_as_much_as_is_set():
    alarm = changed(perfect(targets_of()), 0, 2, 12, 22.0)
    whole, quarter = (float(center_loss(alarm, targets_of(far=far), 0.0)) for far in (1.0, 0.25))
    assert quarter == pytest.approx(whole / 4, rel=1e-3)


def test_boxes_count_by_their_weight_and_by_the_size_of_the_face():
    maps = targets_of()
    wrong = changed(perfect(maps), 3, 5, 3, 0.5)
    at_one, at_three = (float(center_loss(wrong, maps, weight)) for weight in (1.0, 3.0))
    assert at_three == pytest.approx(3 * at_one, rel=1e-3) and float(center_loss(wrong, maps, 0.0)) < 1e-3
    of_small, of_large = (
        float(center_loss(changed(perfect(maps), 1, row, column, 1.0), maps, 1.0)) for row, column in ((5, 3), (10, 11))
    )
    assert of_small > 1.3 * of_large


def test_pictures_without_a_face_have_a_finite_loss_and_teach():
    maps = targets_of((), ())
    answer = torch.zeros(1, 5, CELLS, CELLS, requires_grad=True)
    loss = center_loss(answer, maps, 2.0)
    loss.backward()
    assert torch.isfinite(loss) and (answer.grad[0, 0] > 0).all() and not answer.grad[0, 1:].any()


def test_iou_of_boxes_by_centre_and_logs_of_sides():
    boxes = (Box(0, 0, 4, 6), Box(1, 2, 4, 6)), (Box(0, 0, 4, 6), Box(50, 2, 4, 6))
    for a, b in boxes:
        rows = [torch.tensor([[*box.center, np.log(box.width), np.log(box.height)]]) for box in (a, b)]
        assert float(box_iou(*rows)) == pytest.approx(a.iou(b), abs=1e-5)


@pytest.fixture
def composer(tmp_path):
    def read(name):
        return np.full((218, 178, 3), 10 if name == "head" else 40, np.uint8)

    heads, scenes = (build_pool([name] * 3, tmp_path / name, read, 240) for name in ("head", "bare"))
    return DetectionSceneComposer(heads, (), scenes, [(0, 3, 1.0)], DetectionSceneSettings(input_size=64), 3)


def test_a_sample_is_a_scene_and_its_targets(composer):
    samples = SceneSamples(composer, 5, 32, 2)
    assert len(samples) == 5
    for epoch, side in ((0, 32), (1, 32), (2, 64), (9, 64)):
        image, maps = samples[epoch, 4]
        assert image.shape == (side, side, 3) and image.dtype == np.uint8 and maps.shape == (7, side // 8, side // 8)
        scene = replace(composer, settings=replace(composer.settings, input_size=side)).compose(epoch, 4)
        np.testing.assert_array_equal(image, scene.image)
        expected = heatmap_targets(scene.faces, scene.ignored, (side // 8, side // 8), 8).stacked()
        np.testing.assert_array_equal(maps.numpy(), expected)
