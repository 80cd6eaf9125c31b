import json
import os
import re

import pytest
from documents import NAMES, some_records, written
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from facetag import cli
from facetag.attributes import ATTRIBUTES
from facetag.formats.json_schema import json_schema
from facetag.formats.path_encoding import escape
from facetag.formats.writers.csv import columns
from facetag.geometry import Box
from facetag.results import FaceResult, ImageResult, Status
from facetag.runs.shards import shard_key

SCHEMA = Draft202012Validator(json_schema())
FACE = FaceResult(Box(1.5, 2.0, 3.0, 4.0), 0.9, dict.fromkeys(NAMES, 0.25), NAMES[:1], NAMES[1:2])


def lines(records, attributes=NAMES):
    return [json.loads(line) for line in written("jsonl", records, attributes).split(b"\n") if line]


def test_it_is_a_schema_and_the_command_prints_it(capsys):
    Draft202012Validator.check_schema(SCHEMA.schema)
    assert cli.run(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == SCHEMA.schema


@given(some_records)
def test_all_json_that_is_written_is_valid(given_records):
    attributes, records = given_records
    SCHEMA.validate(json.loads(written("json", records, attributes)))
    for line in lines(records, attributes):
        SCHEMA.validate(line)


def test_all_forty_attributes_may_be_answered():
    every = FaceResult(Box(0, 0, 1, 1), 1.0, dict.fromkeys(ATTRIBUTES, 1.0), ATTRIBUTES)
    (line,) = lines([ImageResult("a", Status.OK, "", 1, 1, (every,))])
    SCHEMA.validate(line)
    names = {*line, *line["faces"][0], *line["faces"][0]["probabilities"]}
    assert set(columns(ATTRIBUTES)) - {"face"} == names - {"probabilities"}


@pytest.mark.parametrize(
    "change",
    [
        {"status": "fine"}, {"status": "no_face"}, {"faces": []}, {"schema_version": 2}, {"image_width": 0},
        {"path": "a\n.jpg"}, {"path": "a\\.jpg"}, {"path": "a\\xFF"}, {"path": None}, {"more": 1},
    ],
)  # fmt: skip
def test_what_we_do_not_write_is_not_valid(change):
    (line,) = lines([ImageResult("a", Status.OK, "", 64, 48, (FACE,))])
    assert SCHEMA.is_valid(line) and not SCHEMA.is_valid(line | change)


@pytest.mark.parametrize(
    "change",
    [
        {"tags": ["Sad"]}, {"unsure": ["Young", "Young"]}, {"probabilities": {"Young": 1.1}}, {"width": -1},
        {"probabilities": {"Sad": 0.1}}, {"score": "0.9"}, {"more": 1},
    ],
)  # fmt: skip
def test_nor_are_such_faces(change):
    (line,) = lines([ImageResult("a", Status.OK, "", 64, 48, (FACE,))])
    assert not SCHEMA.is_valid(line | {"faces": [line["faces"][0] | change]})


@pytest.mark.parametrize("name", ["x", "score", "tags", "unsure", "probabilities"])
def test_a_face_lacks_nothing_and_is_tagged_wholly_or_not_at_all(name):
    (line,) = lines([ImageResult("a", Status.OK, "", 64, 48, (FACE,))])
    assert not SCHEMA.is_valid(
        line | {"faces": [{key: line["faces"][0][key] for key in line["faces"][0] if key != name}]}
    )


@given(st.binary().map(os.fsdecode))
def test_every_path_is_spelt_as_it_says(path):
    pattern = SCHEMA.schema["$defs"]["input"]["properties"]["path"]["pattern"]
    assert re.search(pattern, escape(path))


def test_the_shard_key_is_the_one_it_states():
    """Computed by `printf 'photos/a.jpg' | sha256sum`; archives depend on it, so it never changes."""
    assert shard_key("photos/a.jpg") == 0x58D4D8DEC171DB3F
    assert shard_key(os.fsdecode(b"new\nline\xff.jpg")) == 0x28462289239F56B3  # printf 'new\\x0aline\\xff.jpg'
