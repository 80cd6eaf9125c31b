import itertools
from dataclasses import replace

import pytest
from documents import NAMES, some_records, written
from hypothesis import given
from hypothesis import strategies as st
from readback import read_bytes

from facetag.attributes import ATTRIBUTES
from facetag.errors import DataError, UsageError
from facetag.formats.readers import READERS, read_records, read_results
from facetag.formats.writers import WRITERS
from facetag.geometry import Box
from facetag.results import FaceResult, ImageResult, Status

SURE = FaceResult(Box(1.5, 2.0, 3.0, 4.0), 0.9, dict.fromkeys(NAMES, 0.25), NAMES[:1], NAMES[1:2])
RECORDS = [
    ImageResult("a.jpg", Status.OK, "", 64, 48, (SURE, SURE)),
    ImageResult("b.jpg", Status.NO_FACE, "", 64, 48),
    ImageResult("c.jpg", Status.UNREADABLE, "not an image"),
]


def test_every_format_that_is_written_is_read():
    assert [*READERS, "exiftool-csv", "exiftool-json"] == list(WRITERS)


@pytest.mark.parametrize("name", READERS)
def test_no_record_is_a_document_too(name):
    assert read_bytes(name, written(name, [])) == []


@given(some_records, st.sampled_from(list(READERS)))
def test_every_document_reads_back_to_the_same_records(given_records, name):
    attributes, records = given_records
    assert read_bytes(name, written(name, records, attributes)) == records


@pytest.mark.parametrize("name", ["csv", "tsv", "jsonl"])
def test_records_come_as_they_are_read(tmp_path, name):
    file = tmp_path / f"tags.{name}"
    file.write_bytes(written(name, RECORDS) + b"half a li")
    assert list(itertools.islice(read_records(str(file)), 2)) == RECORDS[:2]


@pytest.mark.parametrize("name", ["csv", "json", "jsonl", "parquet"])
def test_a_torn_document_is_refused_in_one_line(tmp_path, name):
    file = tmp_path / f"tags.{name}"
    file.write_bytes(written(name, RECORDS)[:-5])
    with pytest.raises(DataError, match=rf"tags\.{name}.*; ") as refused:
        list(read_records(str(file)))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"schema_version,", b"version,", "columns are not ours"),
        (b"unsure,", b"", "columns are not ours"),
        (b"Arched_Eyebrows,", b"5_o_Clock_Shadow,", "attributes are unknown, repeated"),
        (b"Arched_Eyebrows,", b"Eyebrows,", "no attribute is called Arched_Eyebrows"),
        (b"Arched_Eyebrows,", b"Eye;brows,", "attributes are unknown"),
        (b"\r\n1,b.jpg", b"\r\n3,b.jpg", "schema version 3, not 1 or 2"),
        (b"b.jpg,no_face", b"b.jpg,no_idea", "no_idea"),
        (b"1,b.jpg", b"b.jpg", "line 4 has 17 fields, not 18"),
        (b",2,2,", b",3,2,", "a.jpg do not belong together"),
        (b",2,2,", b",1,2,", "a.jpg do not belong together"),
        (b"1,a.jpg,ok,,64,48,2", b"1,z.jpg,ok,,64,48,2", "a.jpg do not belong together"),
        (b"0.9000", b"nan", "nan is not a number"),
        (b"0.9000", b"much", "much"),
        (b"0.9000,5_o_Clock_Shadow", b"0.9000,Sad", "no attribute is called Sad"),
        (b"c.jpg", b"\xff.jpg", "utf-8"),
    ],
)
def test_an_altered_table_is_refused_with_the_reason(old, new, reason):
    data = written("csv", RECORDS)
    assert old in data
    with pytest.raises(DataError, match=reason):
        read_bytes("csv", data.replace(old, new, 1))


OWN = ("Beanie", "a |<é>")  #: attributes as somebody may call their own


@pytest.mark.parametrize("name", READERS)
def test_attributes_of_anybodys_own_are_read_back(name):
    face = FaceResult(Box(1.5, 2.0, 3.0, 4.0), 0.9, dict.fromkeys(OWN, 0.25), OWN[:1], OWN[1:])
    records = [RECORDS[1], replace(RECORDS[0], faces=(face, face)), RECORDS[2]]
    assert read_bytes(name, written(name, records, OWN)) == records


@pytest.mark.parametrize("name", READERS)
def test_other_attributes_than_those_of_the_model_are_refused(tmp_path, name):
    file = tmp_path / f"tags.{name}"
    file.write_bytes(written(name, RECORDS))
    assert read_results(file, ATTRIBUTES) == read_results(file) == RECORDS
    with pytest.raises(DataError, match=r"attributes are unknown|no attribute is called"):
        read_results(file, NAMES[1:])


def test_faces_with_different_attributes_are_no_document():
    other = replace(RECORDS[0], path="z.jpg", faces=(replace(SURE, probabilities={"Bald": 0.5}, tags=(), unsure=()),))
    with pytest.raises(DataError, match=r"the faces of z\.jpg have other attributes than those before"):
        read_bytes("json", written("json", [*RECORDS, other]))


@pytest.mark.parametrize(
    "text", ["null", "3", '{"a": 1}', "[null]", "[[]]", "[{}]", '["a"]', "[" * 99999, '[{"schema_version": "one"}]']
)
def test_other_json_is_refused(text):
    with pytest.raises(DataError, match="not a whole document"):
        read_bytes("json", text.encode())


@given(st.sampled_from(sorted(READERS)), st.integers(0, 700), st.binary(max_size=4))
def test_a_document_with_bytes_altered_is_read_or_refused(name, place, patch):
    data = written(name, RECORDS)
    try:
        read_bytes(name, data[:place] + patch + data[place + len(patch) :])
    except DataError as refused:
        assert "\n" not in str(refused)


def test_what_is_not_there_or_of_no_known_format_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.csv: No such file or directory; "):
        next(read_records(str(tmp_path / "none.csv")))
    with pytest.raises(UsageError, match=r"no format is known for .*tags\.txt"):
        next(read_records(str(tmp_path / "tags.txt")))
