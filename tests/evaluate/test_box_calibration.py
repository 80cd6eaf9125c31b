from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_localizers import FEW, PEAKS, Bright
from toy_localizers import flat_scene as patches
from toy_localizers import patch_localizer as localizer
from toy_localizers import patch_scene as scene

from facetag.datasets.webfaces import AnnotatedImage
from facetag.errors import DataError
from facetag.evaluate.box_calibration import (
    CenterBoxCalibration,
    LayersAndTruth,
    face_layers,
    fit_box_calibration,
    fit_center_boxes,
    fit_peaks,
    fit_scores,
    medians,
    near,
    strongest,
    with_settings,
)
from facetag.evaluate.image_batches import no_progress
from facetag.evaluate.localization import Examined, examine, measure_localization
from facetag.geometry import Box
from facetag.localization.base import Detection
from facetag.localization.center_localizer import CenterLocalizer, CenterLocalizerSettings
from facetag.localization.lnet_localizer import logit_of
from facetag.localization.response_maps import PeakSettings
from facetag.method.scale_space import Layer
from models import center_model

TRUE = PeakSettings(threshold=0.1, height=60.0, ratio=0.8, right=0.05, down=0.3)


def box_by(settings: PeakSettings, x: float, y: float, scale: float) -> Box:
    tall = settings.height / scale
    return Box.around(x + settings.right * tall, y + settings.down * tall, settings.ratio * tall, tall)


positive, offsets = st.floats(10, 200), st.floats(-0.5, 0.5)


@given(positive, offsets, offsets, st.integers(0, 99))
def test_exact_pairs_give_the_settings_back_at_once(height, right, down, seed):
    rng = np.random.default_rng(seed)
    start = PeakSettings(height=height, ratio=0.8, right=right, down=down)
    peaks = [(*rng.uniform(50, 150, 2), rng.uniform(0.3, 3)) for _ in range(9)]
    found = medians(start, [(box_by(start, *peak), box_by(TRUE, *peak)) for peak in peaks])
    assert (found.height, found.right, found.down) == pytest.approx((60, 0.05, 0.3))


def test_a_third_of_strays_does_not_move_the_medians():
    rng = np.random.default_rng(1)
    peaks = [(*rng.uniform(50, 150, 2), rng.uniform(0.3, 3)) for _ in range(60)]
    pairs = [(box_by(TRUE, *peak), box_by(TRUE, *peak)) for peak in peaks]
    pairs[:20] = [(box.shifted(*rng.uniform(-15, 15, 2)), truth) for box, truth in pairs[:20]]
    found = medians(TRUE, pairs)
    assert (found.height, found.right, found.down) == pytest.approx((60, 0.05, 0.3), abs=0.06)


@pytest.mark.parametrize(("dx", "dy", "expected"), [(0, 0, True), (40, 50, True), (41, 0, False), (0, -51, False)])
def test_near_is_a_middle_in_the_face_enlarged_twice(dx, dy, expected):
    face = Box(10, 20, 40, 50)
    assert near(Box.around(face.center[0] + dx, face.center[1] + dy, 5, 7), face) == expected


def blob(x: float, y: float, scale: float, peak: float = 1.0) -> list[Layer]:
    """Three scales of a blob that is strongest at the middle one."""
    rows, columns = np.indices((60, 60)) * 4
    shape = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 400)
    return [
        Layer(share * peak * shape, 0.0, 0.0, 4.0, scale * 2**power) for power, share in ((-1, 0.5), (0, 1), (1, 0.5))
    ]


def test_fitting_finds_size_and_offset_and_says_what_they_reach():
    rng = np.random.default_rng(2)
    looked = []
    for index in range(30):
        x, y = 4 * rng.integers(15, 45, 2)
        scale = rng.uniform(0.8, 2)
        truth = box_by(TRUE, x, y, scale)
        looked.append(LayersAndTruth(blob(x, y, scale), truth if index else truth.shifted(500, 0)))
    fitted = fit_peaks(looked, PeakSettings(threshold=0.1, height=40.0))
    found = fitted.settings
    assert (found.height, found.ratio, found.right, found.down) == pytest.approx((60, 0.8, 0.05, 0.3))
    assert found.threshold == 0.1
    assert (fitted.recall, fitted.overlap) == pytest.approx((29 / 30, 29 / 30))
    overlaps = [strongest(one.layers, found).iou(one.truth) for one in looked]
    assert np.mean(overlaps) == pytest.approx(fitted.overlap)


def test_the_strongest_peak_counts():
    layers = [
        replace(one, response=one.response + two.response)
        for one, two in zip(blob(60, 60, 1), blob(180, 160, 1, peak=2), strict=True)
    ]
    assert strongest(layers, PeakSettings()).center == pytest.approx((180, 160), abs=0.1)
    assert strongest(layers, PeakSettings(threshold=9.0)) is None


def test_nets_that_respond_near_no_face_are_said():
    with pytest.raises(DataError, match="responds near none"):
        fit_peaks([LayersAndTruth(blob(60, 60, 1), Box(900, 900, 9, 9))], PeakSettings())
    with pytest.raises(DataError, match="no head was found near any"):
        fit_peaks([], PeakSettings())


FACE = Box(0, 0, 40, 50)


def examined(*boxes: tuple[bool, float]) -> list[Examined]:
    """A photograph each, with a right or a wrong box of this score."""
    photograph = AnnotatedImage(Path("a"), (FACE,), "tune")
    return [
        Examined(photograph, [Detection(FACE.shifted(0 if right else 99, 0), score)], 100) for right, score in boxes
    ]


def test_scores_say_how_sure_a_face_is_and_cut_at_a_tenth_of_a_false_positive():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, 3000)
    right = rng.random(3000) < 1 / (1 + np.exp(-(1.5 * logits - 0.5)))
    boxes = list(zip(right.tolist(), (1 / (1 + np.exp(-logits))).tolist(), strict=True))
    found = fit_scores(examined(*boxes))
    assert (found.slope, found.offset) == pytest.approx((1.5, -0.5), abs=0.2)
    kept = (found.slope * logits + found.offset) >= logit_of(found.score) - 1e-9
    assert (kept & ~right).sum() == 300
    assert found.recall == pytest.approx((kept & right).sum() / 3000)


def test_scores_that_say_nothing_are_refused():
    with pytest.raises(DataError, match=r"surest boxes .* wrong"):
        fit_scores(examined((False, 0.9), (True, 0.5)))
    for boxes in ([(True, 0.9), (True, 0.8)], [(True, 0.9)] + [(True, 0.2)] * 20 + [(False, 0.8), (False, 0.7)]):
        with pytest.raises(DataError, match="do not tell right boxes from wrong"):
            fit_scores(examined(*boxes))


def bright_foreheads(folder: Path, count: int) -> list[AnnotatedImage]:
    """Dark photographs with one bright forehead each: the upper half of the face; in every fourth, a weak one and
    a strong decoy."""
    rng = np.random.default_rng(0)
    photographs = []
    for index in range(count):
        side = float(rng.uniform(50, 90))
        face = Box(float(rng.uniform(20, 60)), float(rng.uniform(20, 90)), side, 1.6 * side)
        image = scene(300, 260, Box(face.x, face.y, side, side), level=255 if index % 4 else 130)
        if index % 4 == 0:
            image = np.maximum(image, scene(300, 260, Box(200, 100, 80, 80), level=180))
        path = folder / f"{index}.png"
        path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
        photographs.append(AnnotatedImage(path, (face,), "tune"))
    return photographs


def test_the_fitted_convention_makes_the_cascade_find_faces(tmp_path):
    photographs, small = bright_foreheads(tmp_path, 12), replace(PEAKS, height=36.0)
    finder = localizer(replace(FEW, head_region=small, face=small))
    before = measure_localization(examine(photographs, finder), 0.0).single
    fitted = fit_box_calibration(finder, photographs)
    assert fitted.images == 12
    assert fitted.face.settings.ratio == fitted.head_region.settings.ratio == pytest.approx(1 / 1.6)
    assert fitted.face.settings.down > 0.1  # the forehead lies above the middle of the face
    assert fitted.scoring.slope > 0
    changed = with_settings(finder, head_region=fitted.head_region.settings, face=fitted.face.settings)
    after = measure_localization(examine(photographs, changed), 0.0).single
    assert after.every[2] >= 0.9 > 0.5 > before.every[2]
    alone = fit_box_calibration(finder, photographs, heads_alone=True)
    assert (alone.head_region, alone.face, alone.scoring) == (fitted.head_region, None, None)


def test_heads_far_from_the_face_show_no_faces_layers(tmp_path):
    photographs = bright_foreheads(tmp_path, 2)
    assert len(list(face_layers(localizer(FEW), photographs, no_progress))) == 2
    lost = [replace(photograph, boxes=(Box(280, 240, 9, 9),)) for photograph in photographs]
    assert list(face_layers(localizer(FEW), lost, no_progress)) == []


def test_changed_settings_leave_the_localizer_as_it_was():
    finder = localizer()
    assert with_settings(finder, head_regions=3).settings.head_regions == 3
    assert finder.settings.head_regions == 32


def test_no_photograph_is_said():
    with pytest.raises(DataError, match="no photograph with a single face"):
        fit_box_calibration(localizer(), [])


SETTINGS = CenterLocalizerSettings(input_size=160, height=0.7, right=0.3, down=-0.1, slope=2.0, offset=-9.0, score=0.9)
TALL = 40.0


def white_cells(folder: Path, count: int, decoys: int) -> list[AnnotatedImage]:
    """Dark photographs, a white cell in each, which lies above and left of the center of a face half as high again as
    the net takes it for; beside it a grey one where no face is, in the last `decoys` a whiter one."""
    photographs = []
    for index in range(count):
        row, column = 4 + index % 7, 3 + index % 5
        cell, other = Box(8 * column, 8 * row, 8, 8), Box(8 * 15, 8 * (20 - row), 8, 8)
        decoy = 130 + 2 * index if index < count - decoys else 252
        image = np.maximum(patches(160, 160, cell, level=200 + index), patches(160, 160, other, level=decoy))
        x, y = cell.center
        path = folder / f"{index}.png"
        path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
        photographs.append(AnnotatedImage(path, (Box.around(x + 3, y + 12, 48, 60),), "tune"))
    return photographs


def bright_net() -> CenterLocalizer:
    return CenterLocalizer(replace(center_model(), center_net=Bright(TALL)), settings=SETTINGS)


def test_a_centre_networks_boxes_follow_the_annotators_after_the_fit(tmp_path):
    photographs, finder = white_cells(tmp_path, 20, decoys=2), bright_net()
    before = measure_localization(examine(photographs, finder), 0.0).single
    fitted = fit_box_calibration(finder, photographs)
    assert isinstance(fitted, CenterBoxCalibration) and fitted.images == 20
    found = fitted.settings
    assert (found.width, found.height) == pytest.approx((1.5, 1.5), rel=1e-4)
    assert (found.right, found.down) == pytest.approx((0.05, 0.2), rel=1e-4)
    assert replace(found, width=1.0, height=0.7, right=0.3, down=-0.1) == SETTINGS == finder.settings
    assert fitted.scoring.slope > 0 and fitted.scoring.recall == 1.0
    scoring = {name: getattr(fitted.scoring, name) for name in ("slope", "offset", "score")}
    boxes = {name: getattr(found, name) for name in ("width", "height", "right", "down")}
    changed = with_settings(finder, **boxes, **scoring)
    after = measure_localization(examine(photographs, changed), changed.settings.score).single
    assert after.every[2] == 1.0 > before.every[2]
    assert sum(len(faces) for faces in changed([patches(160, 160, Box(80, 80, 8, 8), level=210)])) == 1


def test_a_centre_network_that_finds_no_face_is_said(tmp_path):
    lost = [replace(photograph, boxes=(Box(0, 150, 6, 8),)) for photograph in white_cells(tmp_path, 2, 0)]
    with pytest.raises(DataError, match="the centre network responds near none of the faces; train it longer"):
        fit_center_boxes(bright_net(), lost)
