"""Guards of speed: ratios within one run, never a time. Measured were 0.3 and 1.05; bounds leave room for noise."""

import io
import time
from collections.abc import Callable

import pytest
import torch
from photographs import make_photographs

from facetag.attributes import ATTRIBUTES
from facetag.evaluate.speed import STEP, interweaved, patch_by_patch
from facetag.formats.writers import WRITERS
from facetag.images.discover import discover
from facetag.localization.center_localizer import localizer_of
from facetag.networks.anet import HEIGHT, WIDTH, ANet
from facetag.pipeline.face_sources import located_by
from facetag.pipeline.items import LoadedImage
from facetag.pipeline.loader import ReadSettings, read
from facetag.pipeline.stages import Cascade, Tagging, answer_batch, answers
from facetag.tagger import Tagger
from models import tiny_model

pytestmark = pytest.mark.timing


@pytest.fixture
def one_thread():
    """torch's threads wait for each other in loops, and on a busy machine that costs more than what they do."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_one_pass_over_nine_views_is_faster_than_patch_by_patch(one_thread):
    torch.manual_seed(0)
    net, views = ANet().eval(), torch.rand(8, 3, HEIGHT + 2 * STEP, WIDTH + 2 * STEP)
    with torch.inference_mode():
        assert ratio(lambda: interweaved(net, views), lambda: patch_by_patch(net, views), turns=5) < 0.75


def test_the_engine_costs_little_beside_its_stages(one_thread, tmp_path):
    model = tiny_model()
    tagging = Tagging(Tagger(model), range(len(ATTRIBUTES)), model.thresholds)
    cascade = Cascade(located_by(localizer_of(model)), tagging)
    paths = list(discover([str(make_photographs(tmp_path / "photos", 8, (320, 240)))]))
    settings = ReadSettings(workers=1, batch=8)

    def through_the_engine() -> None:
        writer = WRITERS["csv"](io.StringIO(), ATTRIBUTES)
        for answer in answers(paths, cascade, settings):
            writer.write(answer.record)
        writer.finish()

    def bare() -> None:
        answer_batch([item for path in paths if isinstance(item := read(path, settings), LoadedImage)], cascade)

    assert ratio(through_the_engine, bare, turns=6) < 1.3


def ratio(work: Callable[[], object], next_to: Callable[[], object], turns: int) -> float:
    """Processor time of the one over that of the other, each the least of turns after one that warms up: what else the
    machine does can only add to it."""
    spent = [(_spent(work), _spent(next_to)) for _ in range(turns + 1)][1:]
    return min(own for own, _ in spent) / min(other for _, other in spent)


def _spent(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start
