import hashlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from photographs import smooth_image
from PIL import Image

from facetag import FaceTagger
from facetag.datasets.webfaces import AnnotatedImage, split_half
from facetag.errors import DataError
from facetag.evaluate.localization import (
    IOUS,
    RATES,
    Examined,
    examine,
    holds,
    load_annotated_images,
    measure_localization,
)
from facetag.geometry import Box
from facetag.localization.base import Detection
from models import center_model

FACE = Box(10, 10, 40, 50)
FAR = Box(150, 150, 40, 50)


def photograph(*boxes: Box) -> AnnotatedImage:
    return AnnotatedImage(Path("unread.jpg"), boxes, "tune")


class TypedLocalizer:
    """Answers with typed boxes, by the picture's grey level."""

    def __init__(self, answers):
        self.answers = answers

    read_size = 0

    def every(self, images):
        return [self.answers[int(image.pixels[0, 0, 0])] for image in images]

    def dominant(self, images):
        return [[Detection(FAR, 0.01)] for _ in images]


def write_grey(path: Path, level: int, width: int = 6, height: int = 4) -> None:
    path.write_bytes(cv2.imencode(".png", np.full((height, width, 3), level, np.uint8))[1].tobytes())


def test_examine_asks_for_every_score_and_keeps_the_order(tmp_path):
    photographs = []
    for level in range(40):
        write_grey(tmp_path / f"{level}.png", level, width=6 + level)
        photographs.append(AnnotatedImage(tmp_path / f"{level}.png", (FACE,), "tune"))
    answers = [[Detection(FAR, level / 40)] if level % 3 else [] for level in range(40)]
    examined = examine(photographs, TypedLocalizer(answers))
    assert [one.found for one in examined] == answers
    beneath = Detection(FAR, 0.01)  # where nothing is found, the surest box is what no threshold was asked of
    assert [one.highest_scoring for one in examined] == [found[0] if found else beneath for found in answers]
    assert [one.image for one in examined] == photographs
    assert [one.longer for one in examined] == list(range(6, 46))


EXAMINED = [
    Examined(photograph(FACE), [Detection(FACE, 0.9), Detection(FAR, 0.6)], 200),
    Examined(photograph(FACE), [Detection(FACE.shifted(0, 10), 0.4)], 100),  # IoU 2/3, under the score
    Examined(photograph(FACE, FAR), [Detection(FAR, 0.8)], 400),
    Examined(photograph(FACE), [], 200),
    Examined(photograph(), [Detection(FAR, 0.7)], 200),
]


def test_recall_by_hand():
    report = measure_localization(EXAMINED, 0.5)
    whole, single = report.all, report.single
    assert (whole.images, whole.faces, whole.empty) == (5, 5, 2)
    assert (single.images, single.faces, single.empty) == (3, 3, 2)
    assert whole.kept.tolist() == [0.4] * len(IOUS)
    assert whole.every == pytest.approx([0.6, 0.6, 0.6, 0.6, 0.4, 0.4, 0.4])
    assert whole.false_positives == 2 / 5
    assert single.false_positives == 1 / 3
    assert whole.centred == 3 / 4  # the photograph without a face cannot have its surest box in one
    assert single.centred == pytest.approx(2 / 3)


def test_a_face_where_nothing_was_found_may_still_be_centred_beneath_the_thresholds():
    right = replace(EXAMINED[3], beneath=Detection(FACE, 0.01))
    report = measure_localization([*EXAMINED[:3], right, EXAMINED[4]], 0.5)
    assert (report.single.centred, report.single.empty, report.all.centred) == (1.0, 2, 1.0)
    assert report.single.every.tolist() == measure_localization(EXAMINED, 0.5).single.every.tolist()


def test_recall_at_false_positives_by_hand():
    at_rates = measure_localization(EXAMINED, 0.5).all.at_rates
    assert at_rates.shape == (len(IOUS), len(RATES))
    by_rate = dict(zip(RATES, at_rates[IOUS.index(0.5)], strict=True))
    assert by_rate[0.1] == pytest.approx(2 / 5)  # down to 0.8, before the first false positive at 0.7
    assert by_rate[0.3] == pytest.approx(2 / 5)  # 0.7 costs 1/5 an image, 0.6 would cost 2/5
    assert by_rate[1.0] == pytest.approx(3 / 5)
    assert at_rates[IOUS.index(0.7)][RATES.index(1.0)] == pytest.approx(2 / 5)


def test_sizes_by_hand():
    figures = measure_localization(EXAMINED, 0.5).all
    # longer side 50 px of 200, 100, 400 (twice) and 200 px
    assert figures.faces_by_fraction.tolist() == [0, 0, 2, 2, 0, 1, 0]
    assert figures.by_fraction[[2, 3, 5]].tolist() == [0.5, 0.5, 0.0]
    assert figures.faces_by_pixels.tolist() == [0, 0, 5, 0, 0, 0]
    assert figures.by_pixels[2] == 0.4


def test_nothing_to_find_is_not_a_number():
    report = measure_localization(EXAMINED[4:], 0.5)
    assert np.isnan([report.all.centred, report.single.centred, *report.all.kept]).all()
    assert report.all.false_positives == 1
    assert report.single.images == 0


def test_a_box_holds_its_edges():
    assert holds(FACE, (10, 60)) and holds(FACE, (30, 35))
    assert not holds(FACE, (9.9, 30)) and not holds(FACE, (30, 60.1))


def write_listed(root: Path) -> Path:
    (root / "in").mkdir()
    for name, content in (("a.jpg", b"a"), ("b.jpg", b"b"), ("in/c.jpg", b"e"), ("again.jpg", b"a")):
        (root / name).write_bytes(content)
    rows = ["b.jpg,1,2,3,4", "a.jpg,1,1,2,2", "in/c.jpg,,,,", "b.jpg,5,6,7,8", "again.jpg,1,1,2,2", "gone.jpg,0,0,1,1"]
    (root / "mine.csv").write_text("\n".join(["file,x,y,width,height", *rows]))
    return root / "mine.csv"


def test_own_photographs_and_boxes(tmp_path):
    found = load_annotated_images(tmp_path, write_listed(tmp_path))
    assert [one.path.relative_to(tmp_path).as_posix() for one in found.chosen] == ["b.jpg", "a.jpg", "in/c.jpg"]
    assert [one.boxes for one in found.chosen] == [(Box(1, 2, 3, 4), Box(5, 6, 7, 8)), (Box(1, 1, 2, 2),), ()]
    assert (found.missing, found.duplicates) == (1, 1)
    assert [one.path.name for one in found.single] == ["a.jpg"]


def test_halves_are_apart_and_together_all(tmp_path):
    boxes = write_listed(tmp_path)
    halves = {half: load_annotated_images(tmp_path, boxes, half).chosen for half in ("tune", "test")}
    for half, photographs in halves.items():
        assert photographs and all(split_half(one.path) == half for one in photographs)
        assert all(hashlib.sha256(one.path.read_bytes()).digest()[0] % 2 == (half == "test") for one in photographs)
    assert len(halves["tune"]) + len(halves["test"]) == 3


def test_a_listed_photograph_is_read_once(tmp_path, monkeypatch):
    boxes, read, whole = write_listed(tmp_path), [], Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path.name) or whole(path))
    load_annotated_images(tmp_path, boxes)
    assert sorted(name for name in read if name.endswith(".jpg")) == ["a.jpg", "again.jpg", "b.jpg", "c.jpg"]


def test_webfaces_layout_needs_no_boxes_file_named(tmp_path):
    (tmp_path / "pic1.jpg").write_bytes(b"a")
    (tmp_path / "boxes.csv").write_text("file,x,y,width,height\npic1.jpg,1,2,3,4\npic2.jpg,1,2,3,4\n")
    found = load_annotated_images(tmp_path)
    assert [(one.path.name, one.boxes) for one in found.chosen] == [("pic1.jpg", (Box(1, 2, 3, 4),))]
    assert found.missing == 1


def test_no_photograph_left_is_said(tmp_path):
    (tmp_path / "mine.csv").write_text("file,x,y,width,height\ngone.jpg,1,2,3,4\n")
    with pytest.raises(DataError, match="none of the photographs"):
        load_annotated_images(tmp_path, tmp_path / "mine.csv")


def test_photographs_are_decoded_as_predict_decodes_them(tmp_path):
    """A large JPEG is seen at a fraction of its size, boxes are in pixels of the whole."""
    Image.fromarray(smooth_image(1, 600, 800)).save(tmp_path / "a.jpg", quality=95)
    settings = {**center_model().localizer, "read_size": 128}
    model = replace(center_model(), localizer=settings)
    tagger = FaceTagger(model, device="cpu", attributes=[])
    (examined,) = examine([AnnotatedImage(tmp_path / "a.jpg", (), "tune")], tagger.localizer)
    assert examined.longer == 800
    score = tagger.localizer.settings.score
    kept = [round(face.score, 4) for face in examined.found if face.score >= score]
    shipped = tagger(tmp_path / "a.jpg").faces
    assert kept and kept == [face.score for face in shipped]
    whole = FaceTagger(center_model(), device="cpu", attributes=[])(tmp_path / "a.jpg").faces
    assert [face.score for face in whole] != kept
