import io
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from readback import READERS

from facetag.attributes import ATTRIBUTES
from facetag.batch.writers import WRITERS, format_of
from facetag.errors import UsageError
from facetag.geometry import Box
from facetag.records import FaceRecord, ImageRecord, Status

NAMES = ("Smiling", "Young")


def written(name, records, attributes=NAMES):
    stream = io.StringIO(newline="")
    writer = WRITERS[name](stream, attributes)
    for record in records:
        writer.write(record)
    writer.finish()
    return stream.getvalue()


def face(x=1.0, score=0.9, **probabilities):
    return FaceRecord(
        Box(x, -2.0, 30.5, 40.0), score, probabilities, tuple(n for n, p in probabilities.items() if p > 0.5)
    )


def test_a_table_has_a_row_a_face_and_one_for_each_input_without():
    records = [
        ImageRecord(
            "a, b.jpg", Status.OK, "", 640, 480, (face(Smiling=0.75, Young=0.6), face(7.0, Smiling=0.0, Young=0.1))
        ),
        ImageRecord("c.jpg", Status.NO_FACE, "truncated JPEG", 5, 4),
        ImageRecord('d"\n.jpg', Status.UNREADABLE, "not an image"),
    ]
    assert written("csv", records).split("\r\n") == [
        "schema_version,path,status,error,image_width,image_height,face,faces,x,y,width,height,score,tags,Smiling,Young",
        '1,"a, b.jpg",ok,,640,480,1,2,1.0,-2.0,30.5,40.0,0.9000,Smiling;Young,0.7500,0.6000',
        '1,"a, b.jpg",ok,,640,480,2,2,7.0,-2.0,30.5,40.0,0.9000,,0.0000,0.1000',
        "1,c.jpg,no_face,truncated JPEG,5,4,,0,,,,,,,,",
        '1,"d""\\x0a.jpg",unreadable,not an image,,,,,,,,,,,,',
        "",
    ]


def test_a_table_of_located_faces_has_no_tags():
    records = [ImageRecord("a", Status.OK, "", 64, 48, (face(),)), ImageRecord("b", Status.FAILED, "no")]
    assert written("csv", records, None) == (
        "schema_version,path,status,error,image_width,image_height,face,faces,x,y,width,height,score\r\n"
        "1,a,ok,,64,48,1,1,1.0,-2.0,30.5,40.0,0.9000\r\n"
        "1,b,failed,no,,,,,,,,,\r\n"
    )


def test_json_says_the_same_nested():
    record = ImageRecord("é\n", Status.OK, "", 64, 48, (face(Smiling=0.75, Young=0.25),))
    assert json.loads(written("json", [record])) == [
        {
            "schema_version": 1, "path": "é\\x0a", "status": "ok", "error": "", "image_width": 64, "image_height": 48,
            "faces": [
                {"x": 1.0, "y": -2.0, "width": 30.5, "height": 40.0, "score": 0.9, "tags": ["Smiling"],
                 "probabilities": {"Smiling": 0.75, "Young": 0.25}},
            ],
        },
    ]  # fmt: skip
    located = json.loads(written("jsonl", [record], None))["faces"][0]
    assert set(located) == {"x", "y", "width", "height", "score"}
    assert json.loads(written("jsonl", [ImageRecord("x", Status.TOO_LARGE)]))["image_width"] is None


@pytest.mark.parametrize("name", WRITERS)
def test_no_record_is_a_document_too(name):
    assert READERS[name](written(name, [])) == []


sides = st.integers(-9999, 9999).map(lambda tenths: tenths / 10)
shares = st.integers(0, 10000).map(lambda share: share / 10000)
faces = st.builds(
    lambda box, score, chances: FaceRecord(
        Box(*box), score, dict(zip(ATTRIBUTES[:3], chances, strict=True)), tuple(ATTRIBUTES[: round(score * 3)])
    ),
    st.tuples(sides, sides, sides, sides), shares, st.tuples(shares, shares, shares),
)  # fmt: skip
paths = st.binary(min_size=1).map(os.fsdecode)
sizes = st.integers(1, 9999)
some_faces = st.lists(faces, min_size=1, max_size=3).map(tuple)
records = st.one_of(
    st.builds(ImageRecord, paths, st.just(Status.OK), st.just(""), sizes, sizes, some_faces),
    st.builds(ImageRecord, paths, st.sampled_from(list(Status)[1:]), st.text("a ,\";'", max_size=9), sizes, sizes),
    st.builds(ImageRecord, paths, st.sampled_from(list(Status)[2:])),
)


@given(st.lists(records, max_size=4), st.sampled_from(list(WRITERS)))
def test_every_document_reads_back_to_the_same_records(given_records, name):
    assert READERS[name](written(name, given_records, ATTRIBUTES[:3])) == given_records


@pytest.mark.parametrize(
    ("out", "name", "expected"),
    [("-", None, "csv"), ("a/b.JSON", None, "json"), ("x.csv", "jsonl", "jsonl"), ("x.jsonl", None, "jsonl")],
)
def test_format_by_name_or_suffix(out, name, expected):
    assert format_of(out, name) == expected


@pytest.mark.parametrize(("out", "name"), [("tags", None), ("tags.xls", None), ("tags.csv", "xml")])
def test_unknown_formats_are_refused_with_the_known_ones(out, name):
    with pytest.raises(UsageError, match="csv, json, jsonl"):
        format_of(out, name)
