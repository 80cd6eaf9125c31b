import hashlib
from pathlib import Path

import numpy as np
import pytest

from facetag.attributes import ATTRIBUTES
from facetag.datasets.utkface import attribute_labels, labels_of, load_utkface, use_of
from facetag.errors import DataError


def test_the_name_says_age_sex_and_race() -> None:
    assert labels_of("26_1_2_20170104.jpg") == (26, False, 2)
    assert labels_of("1_0_0_x.chip.jpg") == (1, True, 0)
    for name in (
        "61_1_2017.jpg",
        "_1_2_3.jpg",
        "30_2_0_1.jpg",
        "30_0_5_1.jpg",
        "117_0_0_1.jpg",
        "-1_0_0_1.jpg",
        "a.jpg",
    ):
        assert labels_of(name) is None


def test_malformed_names_and_duplicates_are_left_out_and_counted(tmp_path: Path) -> None:
    contents = {"5_0_0_1.jpg": b"a", "70_1_3_1.jpg": b"b", "5_0_0_2.jpg": b"a", "39_20170109.jpg": b"c"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "notes.txt").write_text("no image")
    data = load_utkface(tmp_path)
    assert [(p.path.name, p.age, p.male, p.race) for p in data.people] == [
        ("5_0_0_1.jpg", 5, True, 0), ("70_1_3_1.jpg", 70, False, 3),
    ]  # fmt: skip
    assert (data.malformed, data.duplicates) == (1, 1)
    assert data.summary()[1] == "left out: 1 with malformed names, 1 duplicates"


def test_the_use_depends_on_the_content_alone_and_has_its_fraction(tmp_path: Path) -> None:
    uses = [use_of(hashlib.sha256(str(number).encode()).digest()) for number in range(4000)]
    assert [round(uses.count(use) / 400) for use in ("train", "calibrate", "test")] == [7, 1, 2]
    for name in ("5_0_0_1.jpg", "60_1_0_2.jpg"):
        (tmp_path / name).write_bytes(b"the same")
        (person,) = load_utkface(tmp_path).people
        assert person.use == use_of(hashlib.sha256(b"the same").digest())
        (tmp_path / name).unlink()


def test_male_and_young_alone_are_known(tmp_path: Path) -> None:
    for name in ("03_0_0_1.jpg", "39_1_0_1.jpg", "40_0_0_1.jpg"):
        (tmp_path / name).write_bytes(name.encode())
    labels = attribute_labels(load_utkface(tmp_path).people, 40.0)
    male, young = ATTRIBUTES.index("Male"), ATTRIBUTES.index("Young")
    assert labels[:, [male, young]].tolist() == [[1, 1], [0, 1], [1, 0]]
    assert (np.delete(labels, [male, young], 1) == -1).all()


def test_a_folder_without_such_names_is_refused(tmp_path: Path) -> None:
    (tmp_path / "portrait.jpg").write_bytes(b"a")
    with pytest.raises(DataError, match="has no image called AGE_SEX_RACE_time"):
        load_utkface(tmp_path)
