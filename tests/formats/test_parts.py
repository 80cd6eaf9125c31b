"""A Parquet output as a folder of parts, on this machine and at a URL."""

import json
import os
from pathlib import Path

import pytest

from facetag import read_results
from facetag.errors import DataError, FacetagError, UsageError
from facetag.formats import parts
from facetag.formats.part_folder import SUCCESS, PartFolder
from facetag.geometry import Box
from facetag.results import FaceResult, ImageResult, Status
from facetag.runs.run import Document, publish

pytest.importorskip("pyarrow")

NAMES = ("Smiling", "Young")


def records(count, changed=()):
    """Of one face, but every third of two and every fifth of none."""
    for number in range(count):
        probability = 0.25 if number in changed else 0.75
        face = FaceResult(Box(1, 2, 10, 12), 0.9, dict.fromkeys(NAMES, probability), ("Smiling",), ())
        faces = (face,) * (0 if number % 5 == 4 else 2 if number % 3 == 2 else 1)
        yield ImageResult(f"{number:03}.jpg", Status.OK if faces else Status.NO_FACE, "", 100, 80, faces)


@pytest.fixture(params=["here", "memory"])
def out(request, tmp_path):
    """An output, and what reads and writes the bytes that lie there under a name."""
    if request.param == "here":
        return f"{tmp_path}/tags.parquet/"
    fsspec = pytest.importorskip("fsspec")
    fsspec.filesystem("memory").store.clear()
    return "memory://bucket/tags.parquet/"


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(parts, "ROWS", 10)


def write(out, results):
    from facetag.formats.destination import as_it_is

    publish(results, Document(as_it_is(out), "parquet", NAMES))


def contents(out):
    """Name -> bytes of what lies there."""
    if out.startswith("memory:"):
        import fsspec

        files = fsspec.filesystem("memory")
        return {path.rpartition("/")[2]: files.cat_file(path) for path in files.find("/bucket/tags.parquet")}
    return {path.name: path.read_bytes() for path in Path(out).iterdir()}


def put(out, name, data):
    if out.startswith("memory:"):
        import fsspec

        fsspec.filesystem("memory").pipe_file(f"/bucket/tags.parquet/{name}", data)
    else:
        Path(out).mkdir(exist_ok=True)
        Path(out, name).write_bytes(data)


def test_a_part_has_so_many_rows_and_no_input_is_divided(out):
    write(out, records(30))
    said = json.loads(contents(out)[SUCCESS])
    assert [part["name"] for part in said["parts"]] == sorted(set(contents(out)) - {SUCCESS})
    assert [part["rows"] for part in said["parts"]] == [10, 10, 11, 7] and said["rows"] == 38
    assert {part["name"]: part["size"] for part in said["parts"]} == {
        name: len(data) for name, data in contents(out).items() if name != SUCCESS
    }


def test_what_would_not_change_is_not_written_and_what_is_of_an_older_table_goes(out, monkeypatch):
    write(out, records(30))
    before, written = contents(out), []
    real = parts.put
    monkeypatch.setattr(parts, "put", lambda path, *rest: (written.append(path.rpartition("/")[2]), real(path, *rest)))
    write(out, records(30))
    assert contents(out) == before and written == []
    write(out, records(30, changed=[12]))
    assert written == ["part-00001.parquet"] and contents(out)[SUCCESS] != before[SUCCESS]
    write(out, records(12))
    assert set(contents(out)) == {"part-00000.parquet", "part-00001.parquet", SUCCESS}
    write(out, ())
    assert set(contents(out)) == {"part-00000.parquet", SUCCESS}


def test_a_part_that_somebody_changed_is_written_again(out):
    write(out, records(30))
    before = contents(out)
    put(out, "part-00002.parquet", b"PAR1 schema_version")
    write(out, records(30))
    assert contents(out) == before


def test_while_parts_change_there_is_no_success_and_the_next_run_brings_it_back(out, monkeypatch):
    write(out, records(30))
    before, real = contents(out), parts.put

    def dies(path, *rest):
        if path.endswith("2.parquet"):
            raise KeyboardInterrupt
        real(path, *rest)

    with monkeypatch.context() as broken:
        broken.setattr(parts, "put", dies)
        with pytest.raises(KeyboardInterrupt):
            write(out, records(30, changed=[0, 20]))
    assert SUCCESS not in contents(out) and contents(out)["part-00003.parquet"] == before["part-00003.parquet"]
    write(out, records(30))
    assert contents(out) == before


def test_what_is_no_part_is_never_read_as_one_nor_taken_away(out):
    put(out, "photo.jpg", b"mine")
    with pytest.raises(UsageError, match=r"holds photo.jpg, which is no part of a table"):
        write(out, records(3))
    assert contents(out) == {"photo.jpg": b"mine"}


def test_what_readers_pass_over_stays(out):
    put(out, ".note", b"mine")
    write(out, records(3))
    write(out, ())
    assert contents(out)[".note"] == b"mine"


def test_another_program_at_a_url_is_noticed():
    pytest.importorskip("fsspec").filesystem("memory").store.clear()
    from facetag.formats.destination import as_it_is

    document = Document(as_it_is("memory://bucket/tags.parquet/"), "parquet", NAMES)
    put(document.out, SUCCESS, b"theirs")
    with pytest.raises(FacetagError, match="was written by another program meanwhile"):
        publish(records(3), document)
    assert set(contents(document.out)) == {SUCCESS}


def test_the_success_of_a_program_that_wrote_meanwhile_stays():
    pytest.importorskip("fsspec").filesystem("memory").store.clear()
    from facetag.formats.destination import as_it_is

    write(out := "memory://bucket/tags.parquet/", records(3))

    def changed():
        yield from records(5)
        put(out, SUCCESS, b"theirs")

    with pytest.raises(FacetagError, match="was written by another program meanwhile"):
        publish(changed(), Document(as_it_is(out), "parquet", NAMES))
    assert contents(out)[SUCCESS] == b"theirs"


def test_facetag_reads_the_table_in_its_order(tmp_path):
    out = f"{tmp_path}/tags.parquet/"
    write(out, records(30))
    for name in (out, out.rstrip("/")):
        assert read_results(name) == list(records(30))
    os.unlink(f"{out}part-00001.parquet")
    with pytest.raises(DataError, match="No such file"):
        read_results(out)
    endless = b'{"schema_version": 1, "parts": [{"name": "part-00000.parquet", "rows": 1e999, "size": 1}]}'
    for said in (b"", b"[]", b'{"schema_version": 1, "parts": [{"name": "../a.parquet", "rows": 1}]}', endless):
        Path(out, SUCCESS).write_bytes(said)
        assert PartFolder(out).parts() is None
        with pytest.raises(DataError, match="has no _SUCCESS of facetag's"):
            read_results(out)


def test_duckdb_polars_and_arrow_read_the_folder(tmp_path):
    duckdb, polars, arrow = map(pytest.importorskip, ("duckdb", "polars", "pyarrow.dataset"))
    out = f"{tmp_path}/tags.parquet/"
    write(out, records(30))
    paths = [result.path for result in records(30) for _ in range(max(len(result.faces), 1))]
    assert [path for (path,) in duckdb.sql(f"SELECT path FROM '{out}*.parquet'").fetchall()] == paths
    assert polars.scan_parquet(f"{out}*.parquet").collect()["path"].to_list() == paths
    assert arrow.dataset(out, format="parquet").to_table()["path"].to_pylist() == paths
