"""Proposals are made once, kept by what made them, and made anew when that changed."""

from pathlib import Path

import numpy as np
import pytest

from facetag.datasets.scenes import Scene
from facetag.errors import DataError
from facetag.geometry import Box
from facetag.localization.base import Detection
from facetag.training import examples
from facetag.training.examples import HeadRegionCrops
from facetag.training.propose import as_box, cached, propose_faces, propose_head_regions
from facetag.training.recipe import CropStage


class FakeLocalizer:
    """Finds a face of the picture's size in every picture but black ones."""

    def dominant(self, images: list[np.ndarray]) -> list[list[Detection]]:
        return [[Detection(Box(1, 2, image.shape[1], image.shape[0]), 0.5)] if image.any() else [] for image in images]


def test_boxes_come_in_order_over_several_batches_and_nan_where_there_is_none() -> None:
    sizes = {f"{side}": side for side in range(1, 151)}

    def read(path: str) -> np.ndarray:
        return np.full((sizes[path], 7, 3), 0 if path == "100" else 9, np.uint8)

    seen: list[tuple[int, int]] = []
    boxes = propose_faces(FakeLocalizer(), read, list(sizes), lambda done, total: seen.append((done, total)))  # type: ignore[arg-type]
    assert boxes.shape == (150, 5) and boxes.dtype == np.float32
    assert np.isnan(boxes[99]).all()
    found = np.delete(np.arange(150), 99)
    assert (boxes[found, 3] == found + 1).all()
    assert as_box(boxes[4]) == Box(1, 2, 7, 5)
    assert seen[-1] == (150, 150)


class FakeHeads:
    """Two heads in every scene whose first pixel is odd; squares lie 10 pixels under twice as large."""

    def head_regions(self, images: list[np.ndarray], minimum: float) -> list[list[Detection]]:
        assert minimum == 0, "a crop is needed of every scene, however weak its head"
        found = [Detection(Box(4, 6, 20, 30), 0.25), Detection(Box(0, 0, 9, 9), 0.125)]
        return [found if image[0, 0, 0] % 2 else [] for image in images]

    def around(self, face: Box) -> Box:
        return face.enlarged(2.0).shifted(0, 10)


class Scenes:
    """Scene (epoch, index) is all 10 epoch + index, with tags 1, and its heads are three."""

    heads = ("a", "b", "c")

    def compose(self, epoch: int, index: int) -> Scene:
        return Scene(np.full((80, 80, 3), 10 * epoch + index, np.uint8), np.ones(41, np.float32), ())


def test_heads_are_proposed_as_the_square_around_the_strongest_epoch_by_epoch() -> None:
    boxes = propose_head_regions(FakeHeads(), Scenes(), 2, lambda *_: None)  # type: ignore[arg-type]
    assert boxes.shape == (6, 5)
    odd = [index for index, place in enumerate((0, 1, 2, 10, 11, 12)) if place % 2]
    assert (~np.isnan(boxes[:, 0])).nonzero()[0].tolist() == odd
    assert (boxes[odd] == (-6, 1, 40, 60, 0.25)).all()


def shown(monkeypatch: pytest.MonkeyPatch, **changes: float) -> tuple[list[float], list[bool]]:
    """Widths of the crops of 200 epochs of a square of 40 pixels, and whether each has its tags."""
    widths: list[float] = []

    def cut(image: np.ndarray, box: Box, width: int, height: int) -> np.ndarray:
        widths.append(box.width)
        return np.zeros((height, width, 3), np.uint8)

    monkeypatch.setattr(examples, "crop", cut)
    squares = np.tile(np.array([20, 20, 40, 40, 1], np.float32), (3, 1))
    crops = HeadRegionCrops(Scenes(), squares, CropStage(input_size=67, **changes))  # type: ignore[arg-type]
    tags = [crops[epoch, 1][1] for epoch in range(200)]
    assert all(tag.unique().numel() == 1 for tag in tags)
    return widths, [bool(tag.any()) for tag in tags]


def test_crops_of_another_size_bring_no_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    widths, tagged = shown(monkeypatch, others=0.5, nearest=1.5, furthest=3.0)
    assert 0.35 < np.mean(tagged) < 0.65
    right = np.array(tagged)
    factors = np.abs(np.log(np.array(widths) / 40))
    assert factors[right] == pytest.approx(0)
    assert (factors[~right] >= np.log(1.5) - 1e-9).all() and (factors[~right] <= np.log(3) + 1e-9).all()
    larger = (np.array(widths) > 40)[~right].mean()
    assert 0.3 < larger < 0.7


def test_no_crop_is_of_another_size_unless_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    widths, tagged = shown(monkeypatch)
    assert all(tagged) and set(widths) == {40.0}


def test_kept_boxes_are_used_again_only_under_the_same_key(tmp_path: Path) -> None:
    path, made = tmp_path / "deep" / "faces.npz", []

    def make() -> np.ndarray:
        made.append(1)
        return np.full((2, 5), len(made), np.float32)

    assert (cached(path, "a", make) == 1).all()
    assert (cached(path, "a", make) == 1).all() and len(made) == 1
    assert (cached(path, "b", make) == 2).all() and len(made) == 2
    assert [entry.name for entry in path.parent.iterdir()] == ["faces.npz"]


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 torn"])
def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "faces.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="delete it"):
        cached(path, "a", lambda: np.zeros((1, 5), np.float32))
