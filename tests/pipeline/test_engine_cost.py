"""Guards of speed: ratios within one run, never a time. Measured were 2.2 and 1.1; the bounds leave room for noise."""

import io
import statistics
import time
from collections.abc import Callable

import pytest
import torch
from photographs import make_photographs

from facetag.attributes import ATTRIBUTES
from facetag.evaluate.speed import STEP, compare
from facetag.formats.writers import WRITERS
from facetag.images.discover import discover
from facetag.localization.center_localizer import localizer_of
from facetag.networks.anet import HEIGHT, WIDTH, ANet
from facetag.pipeline.face_sources import located_by
from facetag.pipeline.loader import LoadedImage, ReadSettings, read
from facetag.pipeline.stages import Cascade, Tagging, answer_batch, answers
from facetag.tagger import Tagger
from models import tiny_model

pytestmark = pytest.mark.timing


def test_one_pass_over_nine_views_is_faster_than_patch_by_patch():
    torch.manual_seed(0)
    views = torch.rand(8, 3, HEIGHT + 2 * STEP, WIDTH + 2 * STEP)
    compared = compare(ANet().eval(), "nine views", views, repeats=5)
    assert compared.shipped < 0.75 * compared.patches


def test_the_engine_costs_little_beside_its_stages(tmp_path):
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

    assert median_ratio(through_the_engine, bare, turns=5) < 1.3


def median_ratio(work: Callable[[], None], next_to: Callable[[], None], turns: int) -> float:
    """Processor time of the one over that of the other, the median over turns after one that warms up."""
    ratios = [_spent(work) / _spent(next_to) for _ in range(turns + 1)]
    return statistics.median(ratios[1:])


def _spent(work: Callable[[], None]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start
