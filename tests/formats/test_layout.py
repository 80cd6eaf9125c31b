"""Tables in other forms: what each says, that it is read back or refused, and that one line counts by folder."""

import csv
import io
import sqlite3

import pytest
from documents import NAMES, some_records
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet
from readback import read_bytes

from facetag.errors import DataError, UsageError
from facetag.formats.writers import writer_of
from facetag.formats.writers.layout import EXTRA, WRITERS, Layout, layout_of
from facetag.geometry import Box
from facetag.results import FaceResult, ImageResult, Status

FACES = tuple(
    FaceResult(Box(1, 2, 3, 4), 0.9, {"Smiling": share, "Young": 0.5}, tags, ("Young",))
    for share, tags in ((0.75, ("Smiling",)), (0.25, ()))
)
RECORDS = [
    ImageResult("a/b/one.jpg", Status.OK, "", 64, 48, FACES),
    ImageResult("two.jpg", Status.NO_FACE, "", 64, 48),
    ImageResult("/c/three.jpg", Status.UNREADABLE, "no"),
]


def written(name, layout, records=RECORDS, attributes=("Smiling", "Young")):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="")
    writer = writer_of(name, stream, attributes, layout)
    for record in records:
        writer.write(record)
    writer.finish()
    stream.flush()
    return stream.buffer.getvalue()


def rows(data):
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def test_decisions_folder_and_name_come_behind_the_usual_columns():
    first, second, third, fourth = rows(written("csv", Layout(frozenset(EXTRA))))
    assert list(first)[-6:] == ["Smiling", "Young", "present_Smiling", "present_Young", "folder", "image_name"]
    assert (first["schema_version"], first["present_Smiling"], first["present_Young"]) == ("2", "1", "")
    assert (second["present_Smiling"], second["Smiling"], second["x"]) == ("0", "0.2500", "1.0")
    assert [(row["folder"], row["image_name"]) for row in (first, third, fourth)] == [
        ("a/b", "one.jpg"), ("", "two.jpg"), ("/c", "three.jpg")
    ]  # fmt: skip
    assert (third["present_Smiling"], third["faces"], fourth["faces"]) == ("", "0", "")


def test_the_long_form_has_a_row_for_each_attribute_of_each_face():
    table = rows(written("csv", Layout(frozenset(["folder"]), long=True)))
    assert [(row["face"], row["attribute"], row["probability"], row["present"]) for row in table] == [
        ("1", "Smiling", "0.7500", "1"), ("1", "Young", "0.5000", ""), ("2", "Smiling", "0.2500", "0"),
        ("2", "Young", "0.5000", ""), ("", "", "", ""), ("", "", "", ""),
    ]  # fmt: skip
    assert list(table[0])[-4:] == ["attribute", "probability", "present", "folder"]


def test_parquet_has_types():
    table = parquet.read_table(io.BytesIO(written("parquet", Layout(frozenset(EXTRA)))))
    assert [str(kind) for kind in table.schema.types[-6:]] == ["double", "double", "bool", "bool", "string", "string"]
    assert table.column("present_Smiling").to_pylist() == [True, False, None, None]
    long = parquet.read_table(io.BytesIO(written("parquet", Layout(long=True))))
    assert long.column("present").to_pylist() == [True, None, False, None, None, None]


@given(some_records.filter(lambda given: given[0]), st.sampled_from(list(WRITERS)), st.sets(st.sampled_from(EXTRA)))
def test_wide_tables_are_read_back_to_the_same_records(given_records, name, extra):
    _, records = given_records
    assert read_bytes(name, written(name, Layout(frozenset(extra)), records, NAMES)) == records


@pytest.mark.parametrize("name", WRITERS)
def test_the_long_form_is_refused_in_one_line(name):
    with pytest.raises(DataError, match=r"--explode attributes has rows for attributes, not for faces"):
        read_bytes(name, written(name, Layout(long=True)))


@pytest.mark.parametrize(
    ("columns", "explode", "format", "message"),
    [
        (["colour"], None, "csv", "--columns knows no 'colour'; choose of decisions, folder, image_name"),
        (["folder"], None, "json", "json is no table; --columns and --explode go with csv, tsv, parquet"),
        (["decisions"], "attributes", "csv", "--explode attributes has the decisions in a column"),
    ],
)
def test_what_does_not_fit_is_refused(columns, explode, format, message):
    with pytest.raises(UsageError) as refused:
        layout_of(columns, explode, format)
    assert message in str(refused.value)
    assert layout_of([], None, "json") is None


def test_the_share_of_smiling_by_folder_is_one_line_of_sql():
    base = sqlite3.connect(":memory:")
    table = rows(written("csv", Layout(frozenset(EXTRA))))
    base.execute(f"CREATE TABLE faces ({', '.join(table[0])})")
    base.executemany(
        f"INSERT INTO faces VALUES ({', '.join('?' * len(table[0]))})", [list(row.values()) for row in table]
    )
    share = base.execute("SELECT folder, avg(present_Smiling) FROM faces WHERE face <> '' GROUP BY folder").fetchall()
    assert share == [("a/b", 0.5)]
