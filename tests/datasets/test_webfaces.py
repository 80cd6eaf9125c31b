import hashlib
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facetag.datasets.webfaces import GROUND_TRUTH, box_of_points, load_webfaces, read_ground_truth, split_half, use_of
from facetag.errors import DataError
from facetag.geometry import Box

HEADER = "file,image_width,image_height,x,y,width,height\n"


def write_set(root: Path) -> None:
    for name, content in (("pic1.jpg", b"a"), ("pic2.jpg", b"b"), ("pic3.jpg", b"a"), ("pic4.jpg", b"d")):
        (root / name).write_bytes(content)
    rows = [
        "pic2.jpg,9,9,1,1,2,2",
        "pic1.jpg,9,9,1,2,3,4",
        "pic1.jpg,9,9,5,5,1,1",
        "pic3.jpg,9,9,1,2,3,4",
        "pic9.jpg,9,9,0,0,1,1",
    ]
    (root / "boxes.csv").write_text(HEADER + "\n".join(rows))


def test_distinct_photographs_with_their_boxes(tmp_path: Path) -> None:
    write_set(tmp_path)
    data = load_webfaces(tmp_path)
    assert [photograph.path.name for photograph in data.images] == ["pic1.jpg", "pic2.jpg"]
    assert data.images[0].boxes == (Box(1, 2, 3, 4), Box(5, 5, 1, 1))
    assert (data.missing, data.duplicates, data.without_boxes) == (1, 1, 1)
    assert "3 faces, 1 photographs with one" in data.summary()


def test_the_half_depends_on_the_content_alone(tmp_path: Path) -> None:
    write_set(tmp_path)
    data = load_webfaces(tmp_path)
    for photograph in data.images:
        digest = hashlib.sha256(photograph.path.read_bytes()).digest()
        assert photograph.half == split_half(photograph.path) == ("test" if digest[0] % 2 else "tune")
    halves = data.of_half("tune") + data.of_half("test")
    assert sorted(photograph.path.name for photograph in halves) == ["pic1.jpg", "pic2.jpg"]
    contents = [bytes([i]) for i in range(200)]
    tuning = []
    for content in contents:
        (tmp_path / "one.jpg").write_bytes(content)
        if split_half(tmp_path / "one.jpg") == "tune":
            tuning.append(use_of(tmp_path / "one.jpg"))
    assert 70 < len(tuning) < 130
    assert 0.2 < tuning.count("calibrate") / len(tuning) < 0.5 and set(tuning) == {"train", "calibrate"}


def test_boxes_are_made_from_the_authors_points(tmp_path: Path) -> None:
    (tmp_path / "pic1.jpg").write_bytes(b"a")
    # upright: the distance of the eyes decides; the second: a long face, the drop to the mouth decides
    (tmp_path / GROUND_TRUTH).write_text("pic1.jpg 40 50 60 50 50 60 53 65 \n\npic1.jpg 10 10 20 10 15 20 15 30\n")
    wide, long = load_webfaces(tmp_path).images[0].boxes
    assert wide.center == pytest.approx((51, 57.5)) and (wide.width, wide.height) == pytest.approx((48, 60))
    assert long.center == pytest.approx((15, 20)) and (long.width, long.height) == pytest.approx((38.4, 48))


def test_a_turned_head_is_measured_along_the_eyes() -> None:
    box = box_of_points(np.array([0.0, 0.0]), np.array([3.0, 4.0]), np.array([0.0, 5.0]))
    assert box.height == pytest.approx(15)


def test_boxes_and_points_must_be_there_and_fit(tmp_path: Path) -> None:
    (tmp_path / "pic1.jpg").write_bytes(b"a")
    with pytest.raises(DataError, match=rf"neither boxes\.csv nor {GROUND_TRUTH}"):
        load_webfaces(tmp_path)
    (tmp_path / "boxes.csv").write_text(HEADER + "other.jpg,9,9,1,1,2,2\n")
    with pytest.raises(DataError, match="none of its 1 images has boxes"):
        load_webfaces(tmp_path)


PIECES = st.sampled_from(["pic1.jpg", "1", "2.5e+01", "-3", "x", " ", "\t", "\n", "\r", "nan", "1e308", "-1e308"])


@given(st.one_of(st.binary(max_size=60), st.lists(PIECES, max_size=40).map(lambda words: " ".join(words).encode())))
def test_any_bytes_are_read_as_points_or_refused(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, GROUND_TRUTH)
        path.write_bytes(content)
        try:
            found = read_ground_truth(path)
        except DataError as error:
            assert str(path) in str(error)
        else:
            assert all(box.area > 0 for boxes in found.values() for box in boxes)
