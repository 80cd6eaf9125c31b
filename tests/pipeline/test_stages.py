import threading
import time
from dataclasses import replace
from threading import Lock

import cv2
import numpy as np
import pytest
import torch

from facetag.attributes import ATTRIBUTES, attribute_indices
from facetag.errors import UnreadableImage
from facetag.geometry import Box
from facetag.localization.base import Detection
from facetag.localization.lnet_localizer import LNetLocalizer
from facetag.pipeline import stages as pipeline
from facetag.pipeline.batch_size import BatchSize
from facetag.pipeline.face_sources import Found, aligned, located_by
from facetag.pipeline.failures import OUT_OF_MEMORY, is_out_of_memory
from facetag.pipeline.items import Answer, LoadedImage
from facetag.pipeline.loader import ReadSettings, read
from facetag.pipeline.stages import Cascade, Tagging, answer_batch, answers
from facetag.pipeline.timing import Stage, Stopwatch
from facetag.results import FaceResult, ImageResult, Status
from facetag.tagger import Tagger
from models import GREY, random_model, tiny_model

EVERY = range(len(ATTRIBUTES))


@pytest.fixture(scope="module")
def model():
    return random_model()


@pytest.fixture(scope="module")
def cascade(model):
    return Cascade(located_by(LNetLocalizer(model)), Tagging(Tagger(model), EVERY, model.thresholds))


def picture(seed, height=90, width=120):
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def photos(*sizes):
    return [LoadedImage(f"{number}.png", picture(number, *size)) for number, size in enumerate(sizes)]


def found(*faces, warning=""):
    return lambda batch, clock: [
        Found(tuple(Detection(Box(*box), score) for box, score in faces), warning) for _ in batch
    ]


def test_records_hold_what_is_written(cascade):
    (record,) = cascade(photos((90, 120)))
    assert (record.status, record.width, record.height) == (Status.OK, 120, 90)
    assert [face.score for face in record.faces] == sorted((face.score for face in record.faces), reverse=True)
    for face in record.faces:
        assert list(face.probabilities) == list(ATTRIBUTES)
        assert all(round(p, 4) == p and 0 <= p <= 1 for p in (face.score, *face.probabilities.values()))
        assert all(round(side, 1) == side for side in (face.box.x, face.box.y, face.box.width, face.box.height))
        assert face.tags == tuple(name for name, p in face.probabilities.items() if p >= 0.5)


def test_boxes_have_no_negative_zero():
    (record,) = Cascade(found(((-0.04, 0.06, 10.25, 9), 0.12345)))(photos((90, 120)))
    assert str(record.faces[0]) == str(FaceResult(Box(0.0, 0.1, 10.2, 9.0), 0.1235))


def test_only_chosen_attributes_are_answered_by_the_thresholds_given(model):
    chosen = attribute_indices(["Smiling", "hair"])
    full = Tagging(Tagger(model), EVERY, model.thresholds)
    (all_faces,) = Cascade(aligned, full)(photos((218, 178)))
    everything = all_faces.faces[0].probabilities
    thresholds = model.thresholds.copy()
    exact = everything["Smiling"]
    thresholds[ATTRIBUTES.index("Smiling")] = exact
    (record,) = Cascade(aligned, replace(full, chosen=chosen, thresholds=thresholds))(photos((218, 178)))
    face = record.faces[0]
    assert face.probabilities == {ATTRIBUTES[index]: everything[ATTRIBUTES[index]] for index in chosen}
    assert "Smiling" in face.tags
    thresholds[ATTRIBUTES.index("Smiling")] = exact + 1e-6
    (record,) = Cascade(aligned, replace(full, chosen=chosen, thresholds=thresholds))(photos((218, 178)))
    assert "Smiling" not in record.faces[0].tags
    assert set(record.faces[0].tags) == set(face.tags) - {"Smiling"}


def test_small_faces_are_left_out():
    find = found(((0, 0, 50, 19.96), 0.9), ((0, 0, 10, 19.9), 0.8))
    (record,) = Cascade(find, min_face=20)(photos((90, 120)))
    assert [face.score for face in record.faces] == [0.9]
    assert Cascade(find, min_face=21)(photos((90, 120)))[0].status is Status.NO_FACE


def test_remarks_of_reading_and_finding_share_a_line():
    photo = replace(photos((9, 9))[0], warning="truncated JPEG")
    (record,) = Cascade(found(warning="not in boxes.csv"))([photo])
    assert record == ImageResult("0.png", Status.NO_FACE, "truncated JPEG; not in boxes.csv", 9, 9)


@pytest.mark.parametrize("error", [ValueError("odd"), UnreadableImage("odd")])
def test_only_the_photograph_at_fault_fails(error):
    def find(batch, clock):
        if any(photo.path == "1.png" for photo in batch):
            raise error
        return found(((1, 2, 3, 4), 0.5))(batch, clock)

    batch = [*photos((9, 9), (8, 7), (9, 9)), Answer(ImageResult("x", Status.UNREADABLE, "no"))]
    results = answer_batch(batch, Cascade(find))
    assert [answer.record.status for answer in results][::2] == [Status.OK, Status.OK]
    assert [answer.image for answer in results] == [*batch[:3], None]
    failed = results[1].record
    assert (failed.path, failed.width, failed.height, failed.faces) == ("1.png", 7, 8, ())
    assert failed.status is (Status.FAILED if isinstance(error, ValueError) else Status.UNREADABLE)
    assert "odd" in failed.error
    assert results[3] is batch[3]


class Failing:
    """A cascade that memory suffices for only up to so many photographs, and not at all for some."""

    def __init__(self, cascade, most, error, vast=()):
        self.cascade, self.most, self.error, self.vast = cascade, most, error, vast
        self.tried = []

    def __call__(self, photos, clock=None, **_):
        self.tried.append(len(photos))
        if len(photos) > self.most or any(photo.path in self.vast for photo in photos):
            raise self.error
        return self.cascade(photos, clock)


OUT_OF_MEMORY_ERRORS = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    cv2.error("OpenCV alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 99 bytes"),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY_ERRORS, ids=str)
def test_out_of_memory_halves_the_batch_and_the_answers_stay(error):
    batch = photos(*[(9, 9 + number) for number in range(7)])
    whole = Cascade(found(((1, 2, 3, 4), 0.5)))
    failing = Failing(whole, 2, error)
    size = BatchSize(16)
    assert [answer.record for answer in answer_batch(batch, failing, size)] == whole(batch)
    assert failing.tried == [7, 3, 1, 1, 1, 1, 1, 1, 1] and size.now == 1


@pytest.mark.parametrize("error", [ValueError("out of memory"), RuntimeError("shape"), cv2.error("bad")], ids=str)
def test_other_errors_are_no_want_of_memory(error):
    assert not is_out_of_memory(error)


def test_one_photograph_too_large_fails_alone():
    batch = photos(*[(9, 9)] * 8)
    failing = Failing(Cascade(found()), 99, MemoryError(), vast=["5.png"])
    records = [answer.record for answer in answer_batch(batch, failing)]
    assert [record.status for record in records].count(Status.NO_FACE) == 7
    assert records[5] == ImageResult("5.png", Status.FAILED, OUT_OF_MEMORY, 9, 9)


def test_the_batch_grows_again_when_memory_suffices_for_a_while():
    size, sizes = BatchSize(8), []
    size.ran_out(2)
    for _ in range(3 * 16):
        sizes.append(size.now)
        answer_batch(photos(*[(9, 9)] * size.now), Cascade(found()), size)
    assert sizes == [1] * 16 + [2] * 16 + [4] * 16 and size.now == 8


def test_a_run_that_memory_runs_short_in_answers_the_same(cascade, tmp_path):
    paths = [str(tmp_path / f"{number}.png") for number in range(9)]
    for number, path in enumerate(paths):
        cv2.imwrite(path, picture(number))
    failing = Failing(cascade, 3, MemoryError())
    unbroken, short = (
        [answer.record for answer in answers(paths, each, ReadSettings(batch=8))] for each in (cascade, failing)
    )
    assert short == unbroken
    assert failing.tried[:3] == [8, 4, 2]  # and from then on no batch is larger
    assert max(failing.tried[3:]) == 2


def test_the_time_of_each_stage_is_told(cascade, tmp_path):
    path = str(tmp_path / "a.png")
    cv2.imwrite(path, picture(0))
    clock = Stopwatch()
    list(answers([path], cascade, ReadSettings(), clock))
    told = {stage for stage, seconds in clock.seconds.items() if seconds > 0}
    assert told == {Stage.DISCOVER, Stage.DECODE, Stage.WAIT, Stage.LNET_O, Stage.LNET_S, Stage.ANET}


@pytest.mark.timing
def test_decoding_runs_beside_looking():
    """Sleeping stands for work, so that the ratio does not hang on how busy the machine is."""

    def slow_read(path, settings):
        time.sleep(0.02)
        return LoadedImage(path, np.zeros((9, 9, 3), np.uint8))

    def slow_find(batch, clock):
        time.sleep(0.02 * len(batch))
        return [Found(()) for _ in batch]

    clock = Stopwatch()
    start = time.perf_counter()
    settings = ReadSettings(workers=1, batch=4)
    assert len(list(answers(map(str, range(40)), Cascade(slow_find), settings, clock, slow_read))) == 40
    one_after_the_other = 2 * clock.seconds[Stage.DECODE]
    assert time.perf_counter() - start < 0.75 * one_after_the_other


def test_the_engine_answers_what_its_stages_answer(tmp_path):
    paths = [str(tmp_path / f"{number}.png") for number in range(4)]
    for number, path in enumerate(paths):
        cv2.imwrite(path, picture(number))
    settings = ReadSettings(batch=2)
    cascade = Cascade(located_by(LNetLocalizer(tiny_model())))

    def bare():
        read_all = [read(path, settings) for path in paths]
        return cascade(read_all[:2]) + cascade(read_all[2:])

    def engine():
        return [answer.record for answer in answers(paths, cascade, settings)]

    assert engine() == bare()


def test_a_run_answers_the_same_whatever_the_batch_the_workers_and_the_lookers(cascade, tmp_path):
    sizes = [(90, 120), (120, 90), (90, 121), (16, 16), (300, 80), (200, 200), (90, 120), (64, 64), (90, 120)]
    paths = [str(tmp_path / f"{number}.png") for number in range(len(sizes))]
    for number, (path, size) in enumerate(zip(paths, sizes, strict=True)):
        cv2.imwrite(path, np.full((*size, 3), GREY, np.uint8) if number == 5 else picture(number, *size))
    paths.insert(4, str(tmp_path / "missing.jpg"))
    runs = [
        [
            answer.record
            for answer in answers(
                paths, cascade, ReadSettings(batch=batch, workers=workers, inference_workers=inference_workers)
            )
        ]
        for batch, workers, inference_workers in ((1, 1, 1), (3, 4, 1), (16, 1, 1), (16, 4, 1), (1, 1, 3), (3, 4, 2))
    ]
    assert [record.path for record in runs[0]] == paths
    assert {record.status for record in runs[0]} == {Status.OK, Status.NO_FACE, Status.UNREADABLE}
    assert all(run == runs[0] for run in runs[1:])


@pytest.mark.parametrize("shape", [(67, 99), (67, 67)])
def test_a_response_is_the_same_to_the_last_bit_alone_and_together(model, shape):
    """What the rounding of records could hide: a convolution takes another kernel for another number of inputs."""
    localizer = LNetLocalizer(model)
    batch = np.random.default_rng(3).integers(0, 256, (9, *shape, 3), dtype=np.uint8)
    for lnet in (localizer.lnet_o, localizer.lnet_s):
        alone = [next(iter(localizer.respond(lnet, batch[index : index + 1]))) for index in range(9)]
        for count, step in ((9, 1), (5, -1), (2, 1)):
            together = localizer.respond(lnet, np.ascontiguousarray(batch[::step][:count]))
            for response, single in zip(together, alone[::step][:count], strict=True):
                np.testing.assert_array_equal(response, single)


def test_boxes_and_probabilities_are_the_same_to_the_last_bit_alone_and_together(model):
    localizer, tagger = LNetLocalizer(model), Tagger(model)
    images = [picture(seed, *size) for seed, size in enumerate([(90, 120), (200, 90)] * 3)]
    together = localizer(images)
    assert together == [localizer([image])[0] for image in images]
    assert localizer.dominant(images[::-1])[::-1] == [localizer.dominant([image])[0] for image in images]
    regions = [tagger.region(image, face.box) for image, faces in zip(images, together, strict=True) for face in faces]
    assert len(regions) > 6
    alone = np.concatenate([tagger([region]).probabilities for region in regions])
    np.testing.assert_array_equal(tagger(regions).probabilities, alone)


class Crowded:
    """Faces are found only while at most so many photographs are looked at, by whatever threads."""

    def __init__(self, most):
        self.most, self.now, self.lock = most, 0, Lock()

    def __call__(self, photos, clock):
        with self.lock:
            self.now += len(photos)
            crowded = self.now > self.most
        try:
            time.sleep(0.002)
            if crowded:
                raise MemoryError
            return found(((1, 2, 3, 4), 0.5))(photos, clock)
        finally:
            with self.lock:
                self.now -= len(photos)


@pytest.mark.parametrize("inference_workers", [1, 4])
def test_no_photograph_fails_for_the_memory_that_others_take(tmp_path, inference_workers):
    paths = [str(tmp_path / f"{number}.png") for number in range(40)]
    for number, path in enumerate(paths):
        cv2.imwrite(path, picture(number, 9, 9))
    settings = ReadSettings(batch=8, inference_workers=inference_workers)
    statuses = {answer.record.status for answer in answers(paths, Cascade(Crowded(1)), settings)}
    assert statuses == {Status.OK}


@pytest.mark.parametrize("inference_workers", [1, 3])
def test_an_error_of_ours_ends_the_run_instead_of_holding_it(tmp_path, inference_workers, monkeypatch):
    """Threads that decode wait for room meanwhile; they are sent home."""
    paths = [str(tmp_path / f"{number}.png") for number in range(30)]
    for number, path in enumerate(paths):
        cv2.imwrite(path, picture(number, 20, 20))
    monkeypatch.setattr(pipeline, "answer_batch", Failing(None, 0, RuntimeError("ours")))
    before = {thread for thread in threading.enumerate() if thread.is_alive()}
    with pytest.raises(RuntimeError, match="ours") as raised:
        list(
            answers(
                paths, Cascade(found()), ReadSettings(batch=2, batch_pixels=500, inference_workers=inference_workers)
            )
        )
    assert raised.traceback  # which keeps the frames of those that failed
    deadline = time.monotonic() + 10
    while {thread for thread in threading.enumerate() if thread.is_alive()} - before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not {thread for thread in threading.enumerate() if thread.is_alive()} - before
