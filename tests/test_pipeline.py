from dataclasses import replace

import cv2
import numpy as np
import pytest

from facetag.attributes import ATTRIBUTES, attribute_indices
from facetag.batch.finders import Found, aligned, located_by
from facetag.batch.pipeline import Cascade, Tagging, answer_batch, answers
from facetag.batch.reading import Photo, ReadSettings
from facetag.errors import UnreadableImage
from facetag.geometry import Box
from facetag.localizer import Localizer, Located
from facetag.records import FaceRecord, ImageRecord, Status
from facetag.tagger import Tagger
from models import GREY, random_model

EVERY = range(len(ATTRIBUTES))


@pytest.fixture(scope="module")
def model():
    return random_model()


@pytest.fixture(scope="module")
def cascade(model):
    return Cascade(located_by(Localizer(model)), Tagging(Tagger(model), EVERY, model.thresholds))


def picture(seed, height=90, width=120):
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def photos(*sizes):
    return [Photo(f"{number}.png", picture(number, *size)) for number, size in enumerate(sizes)]


def found(*faces, warning=""):
    return lambda batch, clock: [Found(tuple(Located(Box(*box), score) for box, score in faces), warning) for _ in batch]


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
    assert str(record.faces[0]) == str(FaceRecord(Box(0.0, 0.1, 10.2, 9.0), 0.1235))


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
    assert record == ImageRecord("0.png", Status.NO_FACE, "truncated JPEG; not in boxes.csv", 9, 9)


@pytest.mark.parametrize("error", [ValueError("odd"), UnreadableImage("odd")])
def test_only_the_photograph_at_fault_fails(error):
    def find(batch, clock):
        if any(photo.path == "1.png" for photo in batch):
            raise error
        return found(((1, 2, 3, 4), 0.5))(batch, clock)

    batch = [*photos((9, 9), (8, 7), (9, 9)), ImageRecord("x", Status.UNREADABLE, "no")]
    results = answer_batch(batch, Cascade(find))
    assert [answer.record.status for answer in results][::2] == [Status.OK, Status.OK]
    assert [answer.photo for answer in results] == [*batch[:3], None]
    failed = results[1].record
    assert (failed.path, failed.width, failed.height, failed.faces) == ("1.png", 7, 8, ())
    assert failed.status is (Status.FAILED if isinstance(error, ValueError) else Status.UNREADABLE)
    assert "odd" in failed.error
    assert results[3].record is batch[3]


def test_a_run_answers_the_same_whatever_the_batch_and_the_workers(cascade, tmp_path):
    sizes = [(90, 120), (120, 90), (90, 121), (16, 16), (300, 80), (200, 200), (90, 120), (64, 64), (90, 120)]
    paths = [str(tmp_path / f"{number}.png") for number in range(len(sizes))]
    for number, (path, size) in enumerate(zip(paths, sizes, strict=True)):
        cv2.imwrite(path, np.full((*size, 3), GREY, np.uint8) if number == 5 else picture(number, *size))
    paths.insert(4, str(tmp_path / "missing.jpg"))
    runs = [
        [answer.record for answer in answers(paths, cascade, ReadSettings(batch=batch, workers=workers))]
        for batch, workers in ((1, 1), (3, 4), (16, 1), (16, 4))
    ]
    assert [record.path for record in runs[0]] == paths
    assert {record.status for record in runs[0]} == {Status.OK, Status.NO_FACE, Status.UNREADABLE}
    assert all(run == runs[0] for run in runs[1:])


@pytest.mark.parametrize("shape", [(67, 99), (67, 67)])
def test_a_response_is_the_same_to_the_last_bit_alone_and_together(model, shape):
    """What the rounding of records could hide: a convolution takes another kernel for another number of inputs."""
    localizer = Localizer(model)
    batch = np.random.default_rng(3).integers(0, 256, (9, *shape, 3), dtype=np.uint8)
    for lnet in (localizer.lnet_o, localizer.lnet_s):
        alone = [localizer.look(lnet, batch[index : index + 1])[0] for index in range(9)]
        for count, step in ((9, 1), (5, -1), (2, 1)):
            together = localizer.look(lnet, np.ascontiguousarray(batch[::step][:count]))
            for seen, single in zip(together, alone[::step][:count], strict=True):
                np.testing.assert_array_equal(seen.response, single.response)
                assert seen.score == single.score


def test_boxes_and_probabilities_are_the_same_to_the_last_bit_alone_and_together(model):
    localizer, tagger = Localizer(model), Tagger(model)
    images = [picture(seed, *size) for seed, size in enumerate([(90, 120), (200, 90)] * 3)]
    together = localizer(images)
    assert together == [localizer([image])[0] for image in images]
    assert localizer.dominant(images[::-1])[::-1] == [localizer.dominant([image])[0] for image in images]
    regions = [tagger.region(image, face.box) for image, faces in zip(images, together, strict=True) for face in faces]
    assert len(regions) > 6
    alone = np.concatenate([tagger([region]).probabilities for region in regions])
    np.testing.assert_array_equal(tagger(regions).probabilities, alone)
