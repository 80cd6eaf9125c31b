"""Heads are hard whose face a model does not surely find."""

import sys

import hard_heads
import numpy as np
import pytest
from PIL import Image
from support.small_celeba import write_celeba

from facetag.images.decode import read_image
from facetag.training.data import DataFolder
from facetag.training.finetune import split_training

ROOT = hard_heads.Path(__file__).parents[2]


@pytest.mark.parametrize("height", hard_heads.HEIGHTS)
def test_a_head_stands_in_the_middle_of_its_frame_at_the_asked_height(height):
    whole, half = (np.full((218 // part, 178 // part, 3), 250, np.uint8) for part in (1, 2))
    for head in (whole, half):
        canvas, face = hard_heads.framed(head, height)
        assert canvas.shape == (hard_heads.FRAME, hard_heads.FRAME, 3) and face.height == pytest.approx(height)
        x, y = (int(value) for value in face.center)
        assert canvas[y, x].min() == 250 and canvas[0, 0].max() == 127


def test_what_shows_no_face_is_hard_and_a_face_is_not(tmp_path, monkeypatch, capsys):
    data = tmp_path / "data"
    write_celeba(data / "celeba", (60, 0, 0))
    paths = split_training(DataFolder(data).celeba(), 0.05).train.paths
    astronaut = Image.fromarray(read_image(str(ROOT / "examples/photos/astronaut.jpg")).pixels)
    for path in paths[::2]:
        astronaut.crop((130, 0, 310, 220)).resize((178, 218)).save(path)
    monkeypatch.setattr(sys, "argv", ["hard_heads.py", "--data", str(data)])
    hard_heads.main()
    assert capsys.readouterr().out.splitlines()[-1].endswith(f"{len(paths[1::2])} of {len(paths)} heads are hard")
    assert DataFolder(data).hard_heads() == {str(path) for path in paths[1::2]}
