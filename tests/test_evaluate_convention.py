from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facetag.datasets.webfaces import Photograph
from facetag.errors import DataError
from facetag.evaluate import convention
from facetag.evaluate.convention import (
    Looked,
    Pairs,
    best_overlaps,
    fit_box,
    fit_convention,
    medians,
    pair,
    search,
    with_settings,
)
from facetag.evaluate.localization import examine, measure_localization
from facetag.geometry import Box, Window
from facetag.localizer import Localizer, LocalizerSettings, Seen, WindowSettings, map_to_box
from models import random_model

TRUE = WindowSettings(threshold=0.1, relative=0.5, size=1.4, ratio=0.8, right=0.05, down=0.3)


def windows_and_targets(count: int, settings: WindowSettings = TRUE) -> Pairs:
    """Windows of random places and sizes, and the very boxes that `settings` make of them."""
    rng = np.random.default_rng(0)
    windows = np.column_stack([rng.uniform(50, 150, (count, 2)), rng.uniform(20, 60, count)])
    targets = []
    for x, y, side in windows:
        tall = settings.size * side
        box = Box.around(x + settings.right * tall, y + settings.down * tall, settings.ratio * tall, tall)
        targets.append((box.x, box.y, box.width, box.height))
    return Pairs(windows, np.array(targets), np.arange(count), count)


def test_exact_pairs_give_the_settings_back():
    fitted = fit_box(windows_and_targets(40), replace(TRUE, size=1, right=0, down=0))
    assert (fitted.recall, fitted.overlap) == pytest.approx((1, 1))
    found = fitted.settings
    assert (found.size, found.ratio, found.right, found.down) == pytest.approx((1.4, 0.8, 0.05, 0.3))
    assert (found.threshold, found.relative, found.refine) == (0.1, 0.5, 1)


def test_a_third_of_strays_does_not_move_the_medians():
    pairs = windows_and_targets(60)
    pairs.windows[:20, :2] += np.random.default_rng(1).uniform(-15, 15, (20, 2))
    found = medians(pairs, TRUE)
    assert (found.size, found.right, found.down) == pytest.approx((1.4, 0.05, 0.3), abs=0.06)


def test_windows_far_from_their_face_do_not_count_for_the_medians():
    pairs = windows_and_targets(60)
    pairs.windows[:50, :2] += 500
    assert medians(pairs, TRUE).down == pytest.approx(0.3)


def test_climbing_gains_recall_where_medians_are_not_best():
    """60 windows that are too large outvote 40 in the median, but differ so much that few are hit at once."""
    pairs = windows_and_targets(100)
    pairs.windows[:60, 2] *= np.geomspace(1.6, 3, 60)
    fitted = fit_box(pairs, TRUE)
    assert fitted.recall == (best_overlaps(pairs, fitted.settings) >= 0.5).mean()
    assert fitted.recall > (best_overlaps(pairs, medians(pairs, TRUE)) >= 0.5).mean() + 0.1


cells = st.integers(0, 8)


@given(cells, cells, cells, cells, st.integers(1, 4), st.floats(0.5, 2), st.floats(0.5, 1.5), st.floats(-1, 1))
def test_overlaps_are_those_of_the_localizers_own_boxes(top, left, high, wide, refine, size, ratio, offset):
    settings = WindowSettings(refine=refine, size=size, ratio=ratio, right=offset, down=-offset)
    window = Window(top, left, top + high, left + wide, top, left, 1.0)
    plain = map_to_box(window, refine, WindowSettings())
    target = Box(40, 50, 80, 100)
    pairs = Pairs(np.array([[*plain.center, plain.width]]), np.array([[40.0, 50, 80, 100]]), np.array([1]), 3)
    expected = map_to_box(window, refine, settings).iou(target)
    assert best_overlaps(pairs, settings) == pytest.approx([0, expected, 0])


def test_the_best_window_of_a_photograph_counts():
    pairs = windows_and_targets(4)
    shared = Pairs(pairs.windows, pairs.targets[[0, 0, 2, 2]], np.array([0, 0, 1, 1]), 2)
    assert best_overlaps(shared, TRUE) == pytest.approx([1, 1])


def blob(row: float, column: float, size: float, peak: float = 1.0, side: int = 13) -> np.ndarray:
    rows, columns = np.indices((side, side))
    return (peak * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / size**2)).astype(np.float32)


def test_the_strongest_windows_are_paired():
    two = blob(2, 2, 1) + blob(9, 9, 1, peak=2)
    looked = [Looked(0, two, Box(0, 0, 10, 10)), Looked(0, blob(5, 5, 1, peak=1.5), Box(0, 0, 20, 20))]
    settings = WindowSettings(threshold=0.1)
    middles = [9, 5, 2]
    for most in (1, 2, 3):
        pairs = pair(looked, 1, settings, most)
        assert pairs.windows[:, 0].tolist() == [16 * cell + 17.5 for cell in middles[:most]]
    assert pairs.targets[:, 3].tolist() == [10, 20, 10]
    assert pairs.owners.tolist() == [0, 0, 0]


def test_search_chooses_the_threshold_whose_windows_follow_the_face():
    """A wide weak skirt of random size lies around each core; only windows cut above the skirt follow the face."""
    rng = np.random.default_rng(3)
    looked = []
    for owner in range(30):
        row, column = rng.integers(4, 8, 2)
        size = int(rng.integers(1, 4))
        response = np.zeros((13, 13), np.float32)
        reach = int(rng.integers(0, 4))
        response[max(row - reach, 0) : row + size + reach, max(column - reach, 0) : column + size + reach] = 0.45
        response[row : row + size, column : column + size] = 1
        face = map_to_box(Window(row, column, row + size - 1, column + size - 1, row, column, 1), 1, TRUE)
        looked.append(Looked(owner, response, face))
    fitted = search(looked, 30, WindowSettings(threshold=0.1, ratio=TRUE.ratio), most=1)
    assert fitted.settings.relative >= 0.5
    assert fitted.overlap > 0.9 and fitted.recall == 1
    assert fitted.settings.size == pytest.approx(TRUE.size, rel=0.15)


def test_maps_without_a_response_are_said():
    with pytest.raises(DataError, match="responds near none"):
        search([Looked(0, np.zeros((13, 13), np.float32), Box(0, 0, 9, 9))], 1, WindowSettings(), most=1)


class BrightLocalizer(Localizer):
    """A localizer whose nets respond to brightness: every cell answers the mean of its 16 pixels."""

    def look(self, lnet, batch):
        grey = batch.mean(axis=3).astype(np.float32) / 255
        count = (batch.shape[1] - 35) // 16 + 1, (batch.shape[2] - 35) // 16 + 1
        high, wide = (16 * number for number in count)
        maps = grey[:, 9 : 9 + high, 9 : 9 + wide].reshape(-1, count[0], 16, count[1], 16).mean(axis=(2, 4))
        return [Seen(response, float(response.max())) for response in maps]


def bright(**changes) -> BrightLocalizer:
    settings = LocalizerSettings(
        sides=(163,), crop_side=163, head=WindowSettings(threshold=0.1), face=WindowSettings(threshold=0.1), score=0.1
    )
    return BrightLocalizer(random_model(), settings=replace(settings, **changes))


def bright_faces(folder: Path, count: int) -> list[Photograph]:
    """Dark photographs with one bright forehead each: the upper half of the face."""
    rng = np.random.default_rng(0)
    photographs = []
    for index in range(count):
        height = float(rng.uniform(60, 110))
        face = Box(float(rng.uniform(30, 150)), float(rng.uniform(30, 80)), 0.8 * height, height)
        image = np.zeros((220, 260, 3), np.uint8)
        image[round(face.y) : round(face.y + height / 2), round(face.x) : round(face.right)] = 255
        path = folder / f"{index}.png"
        path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
        photographs.append(Photograph(path, (face,), "tune"))
    return photographs


@pytest.mark.parametrize("passes", [1, 2])
def test_the_fitted_convention_makes_the_cascade_find_faces(tmp_path, monkeypatch, passes):
    monkeypatch.setattr(convention, "REFINE", (1, 2))
    monkeypatch.setattr(convention, "RELATIVE", (0.3, 0.5))
    photographs = bright_faces(tmp_path, 16)
    localizer = bright(passes=passes)
    before = measure_localization(examine(photographs, localizer), 0.1).single
    fitted = fit_convention(localizer, photographs)
    assert fitted.photographs == 16
    assert fitted.head.settings.ratio == 1
    assert fitted.face.settings.ratio == pytest.approx(0.8)
    assert fitted.face.settings.down > 0.1  # the forehead lies above the middle of the face
    after = measure_localization(
        examine(photographs, bright(passes=passes, head=fitted.head.settings, face=fitted.face.settings)), 0.1
    ).single
    assert after.kept[2] >= 0.9 > 0.5 > before.kept[2]
    if passes == 1:
        assert after.kept[2] == pytest.approx(fitted.face.recall, abs=1 / 16)


def test_changed_settings_leave_the_localizer_as_it_was():
    localizer = bright()
    assert with_settings(localizer, heads=3).settings.heads == 3
    assert localizer.settings.heads == 32


def test_no_photograph_is_said():
    with pytest.raises(DataError, match="no photograph with a single face"):
        fit_convention(bright(), [])
