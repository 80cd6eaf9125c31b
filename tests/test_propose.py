"""Proposals are made once, kept by what made them, and made anew when that changed."""

from pathlib import Path

import numpy as np
import pytest

from facetag.errors import DataError
from facetag.geometry import Box
from facetag.localizer import Located
from facetag.training.propose import as_box, kept, propose_faces


class FakeLocalizer:
    """Finds a face of the picture's size in every picture but black ones."""

    def dominant(self, images: list[np.ndarray]) -> list[list[Located]]:
        return [[Located(Box(1, 2, image.shape[1], image.shape[0]), 0.5)] if image.any() else [] for image in images]


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


def test_kept_boxes_are_used_again_only_under_the_same_key(tmp_path: Path) -> None:
    path, made = tmp_path / "deep" / "faces.npz", []

    def make() -> np.ndarray:
        made.append(1)
        return np.full((2, 5), len(made), np.float32)

    assert (kept(path, "a", make) == 1).all()
    assert (kept(path, "a", make) == 1).all() and len(made) == 1
    assert (kept(path, "b", make) == 2).all() and len(made) == 2
    assert [entry.name for entry in path.parent.iterdir()] == ["faces.npz"]


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 torn"])
def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "faces.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="delete it"):
        kept(path, "a", lambda: np.zeros((1, 5), np.float32))
