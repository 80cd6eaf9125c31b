import csv
import io
import json
import os

import pytest
from documents import written
from pyarrow import parquet

from facetag.errors import FacetagError, UsageError, writing
from facetag.formats import writers
from facetag.formats.destination import open_output
from facetag.formats.writers import WRITERS, format_of
from facetag.formats.writers.parquet import ROWS
from facetag.geometry import Box
from facetag.results import FaceResult, ImageResult, Status

NAMES = ("Smiling", "Young")


def text(name, records, attributes=NAMES):
    return written(name, records, attributes).decode()


def face(x=1.0, score=0.9, unsure=(), **probabilities):
    tags = tuple(name for name, share in probabilities.items() if share > 0.5 and name not in unsure)
    return FaceResult(Box(x, -2.0, 30.5, 40.0), score, probabilities, tags, unsure)


def records():
    faces = face(Smiling=0.75, Young=0.6), face(7.0, unsure=("Young",), Smiling=0.0, Young=0.52)
    return [
        ImageResult("a, b.jpg", Status.OK, "", 640, 480, faces),
        ImageResult("c\t.jpg", Status.NO_FACE, "truncated JPEG", 5, 4),
        ImageResult('d"\n.jpg', Status.UNREADABLE, 'not an "image"'),
    ]


COLUMNS = (
    "schema_version,path,status,error,image_width,image_height,face,faces,x,y,width,height,score,"
    "tags,unsure,Smiling,Young"
)


def test_a_table_has_a_row_a_face_and_one_for_each_input_without():
    assert text("csv", records()).split("\r\n") == [
        COLUMNS,
        '1,"a, b.jpg",ok,,640,480,1,2,1.0,-2.0,30.5,40.0,0.9000,Smiling;Young,,0.7500,0.6000',
        '1,"a, b.jpg",ok,,640,480,2,2,7.0,-2.0,30.5,40.0,0.9000,,Young,0.0000,0.5200',
        "1,c\\x09.jpg,no_face,truncated JPEG,5,4,,0,,,,,,,,,",
        '1,"d""\\x0a.jpg",unreadable,"not an ""image""",,,,,,,,,,,,,',
        "",
    ]


def test_a_tsv_has_the_same_fields_unquoted():
    fields = list(csv.reader(io.StringIO(text("csv", records()), newline="")))
    assert text("tsv", records()) == "".join("\t".join(row) + "\n" for row in fields)


def test_a_table_of_located_faces_has_no_tags():
    located = [ImageResult("a", Status.OK, "", 64, 48, (face(),)), ImageResult("b", Status.FAILED, "no")]
    assert text("csv", located, None) == (
        "schema_version,path,status,error,image_width,image_height,face,faces,x,y,width,height,score\r\n"
        "1,a,ok,,64,48,1,1,1.0,-2.0,30.5,40.0,0.9000\r\n"
        "1,b,failed,no,,,,,,,,,\r\n"
    )


def test_json_says_the_same_nested():
    record = ImageResult("é\n", Status.OK, "", 64, 48, (face(Smiling=0.75, Young=0.25),))
    expected = {
        "schema_version": 1, "path": "é\\x0a", "status": "ok", "error": "", "image_width": 64, "image_height": 48,
        "faces": [
            {"x": 1.0, "y": -2.0, "width": 30.5, "height": 40.0, "score": 0.9, "tags": ["Smiling"], "unsure": [],
             "probabilities": {"Smiling": 0.75, "Young": 0.25}},
        ],
    }  # fmt: skip
    assert json.loads(text("json", [record, record])) == [expected, expected]
    assert [json.loads(line) for line in text("jsonl", [record, record]).splitlines()] == [expected, expected]
    located = json.loads(text("jsonl", [record], None))["faces"][0]
    assert set(located) == {"x", "y", "width", "height", "score"}
    assert json.loads(text("jsonl", [ImageResult("x", Status.TOO_LARGE)]))["image_width"] is None


def test_parquet_is_the_table_with_types_and_nulls():
    table = parquet.read_table(io.BytesIO(written("parquet", records(), NAMES)))
    assert table.column_names == COLUMNS.split(",")
    assert [str(kind) for kind in table.schema.types] == [
        "int32", *["string"] * 3, *["int32"] * 4, *["double"] * 5, *["list<element: string>"] * 2, "double", "double",
    ]  # fmt: skip
    first, second, third, fourth = table.to_pylist()
    assert (first["tags"], first["unsure"], first["Young"]) == (["Smiling", "Young"], [], 0.6)
    assert (second["face"], second["faces"], second["x"], second["unsure"]) == (2, 2, 7.0, ["Young"])
    assert (third["faces"], third["face"], third["tags"], third["image_width"]) == (0, None, None, 5)
    assert (fourth["faces"], fourth["image_width"], fourth["error"]) == (None, None, 'not an "image"')


def test_a_long_parquet_file_is_written_as_it_comes_and_the_same_every_time():
    many = [ImageResult(f"{number}.jpg", Status.NO_FACE, "", 5, 4) for number in range(2 * ROWS + 1)]
    data = written("parquet", many)
    groups = parquet.ParquetFile(io.BytesIO(data)).metadata
    assert [groups.row_group(number).num_rows for number in range(groups.num_row_groups)] == [ROWS, ROWS, 1]
    assert data == written("parquet", many)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_one_line_in_every_format(name):
    def write():
        with open_output("/dev/full") as stream, writing("/dev/full"):
            writer = WRITERS[name](stream, NAMES)
            writer.write(records()[1])
            writer.finish()

    with pytest.raises(FacetagError, match=r"^cannot write /dev/full: No space left on device; "):
        write()


@pytest.mark.parametrize(
    ("out", "name", "expected"),
    [
        ("-", None, "csv"), ("a/b.JSON", None, "json"), ("x.csv", "jsonl", "jsonl"), ("x.jsonl", None, "jsonl"),
        ("x.tsv", None, "tsv"), ("-", "parquet", "parquet"),
    ],
)  # fmt: skip
def test_format_by_name_or_suffix(out, name, expected):
    assert format_of(out, name) == expected


@pytest.mark.parametrize(("out", "name"), [("tags", None), ("tags.xls", None), ("tags.csv", "xml")])
def test_unknown_formats_are_refused_with_the_known_ones(out, name):
    with pytest.raises(UsageError, match="csv, tsv, json, jsonl, parquet"):
        format_of(out, name)


def test_a_missing_extra_is_one_line_with_the_command_before_anything_is_read(monkeypatch):
    monkeypatch.setattr(writers, "find_spec", {"pyarrow": None}.get)
    with pytest.raises(UsageError, match=r"^parquet needs pyarrow; pip install 'facetag\[parquet\]'$"):
        format_of("tags.parquet")
    assert format_of("tags.csv") == "csv"
