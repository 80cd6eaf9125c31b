"""The same bytes whatever the batch, the workers and the memory: `predict` and `localize` on real files."""

import cv2
import numpy as np
import pytest
from photographs import smooth_image
from PIL import Image

from facetag import cli
from facetag.errors import ExitCode
from facetag.localization.lnet_localizer import LNetLocalizer
from facetag.networks.lnet import LNet
from models import GREY

SIZES = [(90, 120), (120, 90), (90, 121), (16, 16), (300, 80), (200, 260), (64, 64), (91, 120)]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Thirty pictures of many shapes and kinds, with some that cannot be answered between them."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(24):
        pixels = smooth_image(number, *SIZES[number % len(SIZES)])
        suffix = ("jpg", "png", "webp")[number % 3]
        Image.fromarray(pixels).save(folder / f"{number:02}.{suffix}")
    tags = Image.Exif()
    tags[274] = 6
    Image.fromarray(smooth_image(30)).save(folder / "turned.jpg", exif=tags)
    Image.fromarray(smooth_image(31)[..., 0]).save(folder / "12-grey.png")
    Image.fromarray(np.full((90, 120, 3), GREY, np.uint8)).save(folder / "07-nothing.png")
    (folder / "03-empty.jpg").touch()
    data = cv2.imencode(".jpg", smooth_image(32, 200, 300))[1].tobytes()
    (folder / "18-truncated.jpg").write_bytes(data[: len(data) * 2 // 3])
    (folder / "21-text.png").write_text("no image")
    return folder


@pytest.fixture
def output_of(photos, model_folder, monkeypatch, capfdbinary):
    """Runs a command over the folder; answers its standard output."""
    monkeypatch.chdir(photos.parent)

    def run(command, *arguments):
        words = [command, photos.name, "--model", str(model_folder), "-q", *map(str, arguments)]
        assert cli.run(words) == ExitCode.SOME_FAILED
        return capfdbinary.readouterr().out

    return run


@pytest.mark.parametrize("command", ["predict", "localize"])
def test_no_batch_and_no_number_of_workers_changes_a_byte(output_of, command):
    outputs = {
        (batch, workers): output_of(command, "--batch", batch, "--workers", workers)
        for batch, workers in [(1, 1), (7, 8), (64, 1), (64, 8)]
    }
    first = outputs[1, 1]
    assert len(first.splitlines()) > 30
    assert [key for key, output in outputs.items() if output != first] == []


@pytest.mark.parametrize("batch", [7, 64])
def test_memory_that_runs_out_changes_no_byte(output_of, monkeypatch, batch):
    """Once for good above three photographs, and now and then in the middle of a net."""
    whole = output_of("predict", "--batch", batch)
    heads, forward = LNetLocalizer.head_regions, LNet.forward
    failed = {"heads": 0, "forward": 0}
    calls = 0

    def short_heads(self, images, minimum=None):
        if len(images) > 3:
            failed["heads"] += 1
            raise RuntimeError("CUDA out of memory")
        return heads(self, images, minimum)

    def short_forward(self, images):
        nonlocal calls
        calls += 1
        if calls % 50 == 20:
            failed["forward"] += 1
            raise MemoryError
        return forward(self, images)

    monkeypatch.setattr(LNetLocalizer, "head_regions", short_heads)
    monkeypatch.setattr(LNet, "forward", short_forward)
    assert output_of("predict", "--batch", batch) == whole
    assert failed["heads"] >= 1 and failed["forward"] >= 2
