"""Inputs and outputs by URL, in memory; `tests/system/test_s3.py` asks a server."""

import csv
import json
import subprocess
import sys

import pytest
from photographs import make_photographs

from facetag import read_results
from facetag.remote import patience, store

fsspec = pytest.importorskip("fsspec")

IN = "memory://bucket/in/"

#: Runs a command line in a process that has loaded nothing yet; says what came of fsspec and its kind.
COMMAND = """
import json, sys
from facetag import cli
code = cli.run(json.loads(sys.argv[1]))
print(code, [name for name in ("fsspec", "s3fs", "aiohttp", "paramiko", "botocore") if name in sys.modules], flush=True)
"""


@pytest.fixture
def files():
    """The file system in memory, empty."""
    files = fsspec.filesystem("memory")
    files.store.clear()
    yield files
    files.store.clear()


@pytest.fixture
def photos(tmp_path, files):
    """Three photos, in the folder `in` and at IN."""
    for path in sorted(make_photographs(tmp_path / "in", 3).iterdir()):
        files.pipe_file(f"/bucket/in/{path.name}", path.read_bytes())


@pytest.fixture
def read(monkeypatch):
    """Names of the objects that were read."""
    names, whole = [], store.Store.read

    def noted(self, url, most):
        names.append(url.rpartition("/")[2])
        return whole(self, url, most)

    monkeypatch.setattr(store.Store, "read", noted)
    return names


def rows(path):
    with open(path, newline="") as stream:
        return list(csv.DictReader(stream))


def test_answers_are_those_to_a_folder_and_a_rerun_reads_what_changed(facetag, photos, files, read, tmp_path):
    assert facetag("predict", "in", "--out", "local.csv")[0] == 0
    assert facetag("predict", IN, "--out", "url.csv")[0] == 0
    there = (tmp_path / "url.csv").read_text()
    assert there.replace(IN, "in/") == (tmp_path / "local.csv").read_text() and there.count(IN) >= 3
    assert sorted(read) == ["000000.jpg", "000001.jpg", "000002.jpg"]

    read.clear()
    assert facetag("predict", IN, "--out", "url.csv")[0] == 0 and read == []
    files.pipe_file("/bucket/in/000001.jpg", files.cat_file("/bucket/in/000002.jpg"))
    code, _, err = facetag("predict", IN, "--out", "url.csv")
    assert code == 0 and read == ["000001.jpg"], err


def test_an_object_that_fails_is_a_row_and_the_next_run_asks_again(facetag, photos, files, monkeypatch, tmp_path):
    monkeypatch.setattr(patience.time, "sleep", lambda seconds: None)
    whole, tries = type(files).cat_file, []

    def failing(self, path, *arguments, **options):
        if path.endswith("1.jpg"):
            tries.append(path)
            raise OSError(5, "it broke")
        return whole(self, path, *arguments, **options)

    with monkeypatch.context() as broken:
        broken.setattr(type(files), "cat_file", failing)
        assert facetag("predict", IN, "--out", "tags.csv")[0] == 3
    failed = [(row["path"], row["error"]) for row in rows(tmp_path / "tags.csv") if row["status"] == "unreadable"]
    assert failed == [(f"{IN}000001.jpg", "it broke")] and len(tries) == patience.TRIES
    assert facetag("predict", IN, "--out", "tags.csv")[0] == 0
    assert not [row for row in rows(tmp_path / "tags.csv") if row["status"] == "unreadable"]


def test_an_output_at_a_url_needs_a_journal_here_and_is_equal(facetag, photos, files, tmp_path):
    out = "memory://bucket/out/tags.csv"
    code, _, err = facetag("predict", "in", "--out", out)
    assert code == 2 and err.endswith(
        f"{out} has no room for a journal beside it; add --journal FILE, on this machine\n"
    )
    assert facetag("predict", "in", "--out", out, "--journal", "tags.journal")[0] == 0
    assert facetag("predict", "in", "--out", "local.csv")[0] == 0
    assert files.cat_file("/bucket/out/tags.csv") == (tmp_path / "local.csv").read_bytes()
    assert sorted(path.name for path in tmp_path.glob("tags*")) == ["tags.journal", "tags.journal.run.json"]

    files.pipe_file("/bucket/out/tags.csv", b"somebody's own")
    (tmp_path / "tags.journal.run.json").unlink()
    code, _, err = facetag("predict", "in", "--out", out, "--journal", "tags.journal")
    assert code == 2 and f"{out} was not written by facetag and would be replaced" in err
    assert files.cat_file("/bucket/out/tags.csv") == b"somebody's own"
    assert facetag("predict", "in", "--out", out, "--journal", "tags.journal", "--overwrite")[0] == 0
    assert files.cat_file("/bucket/out/tags.csv") == (tmp_path / "local.csv").read_bytes()


def test_a_document_that_another_program_writes_meanwhile_is_left_alone(facetag, photos, files, monkeypatch):
    out = "memory://bucket/out/tags.csv"
    put = store.Store.replace

    def late(self, url, stream, before):
        files.pipe_file("/bucket/out/tags.csv", b"somebody's own")
        put(self, url, stream, before)

    monkeypatch.setattr(store.Store, "replace", late)
    code, _, err = facetag("predict", "in", "--out", out, "--journal", "tags.journal")
    assert code == 1 and f"{out} was written by another program meanwhile" in err
    assert files.cat_file("/bucket/out/tags.csv") == b"somebody's own"


def test_a_journal_may_lie_apart_from_an_output_here(facetag, photos, tmp_path):
    (tmp_path / "journals").mkdir()
    for _ in range(2):
        assert facetag("predict", "in", "--out", "tags.csv", "--journal", "journals/tags")[0] == 0
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["tags.csv"]
    assert sorted(path.name for path in (tmp_path / "journals").iterdir()) == ["tags", "tags.run.json"]


def test_shards_are_merged_by_their_journals(facetag, photos, files, tmp_path):
    for index in (1, 2):
        out, journal = f"memory://bucket/out/{index}.csv", f"{index}.journal"
        assert facetag("predict", IN, "--shard", f"{index}/2", "--out", out, "--journal", journal)[0] == 0
    assert facetag("predict", IN, "--out", "whole.csv")[0] == 0
    from facetag import cli

    words = ["merge", "1.journal", "2.journal", "--out", "memory://bucket/out/all.csv", "--journal", "all.journal"]
    assert cli.run(words) == 0
    assert files.cat_file("/bucket/out/all.csv") == (tmp_path / "whole.csv").read_bytes()


def test_lists_name_urls_and_what_lies_beside_them(facetag, photos, files, tmp_path):
    files.pipe_file("/bucket/list.txt", f"in/000002.jpg\n{IN}000000.jpg\n/etc/passwd\n".encode())
    assert facetag("predict", "--files-from", "memory://bucket/list.txt", "--out", "tags.csv")[0] == 3
    seen = list(dict.fromkeys((row["path"], row["status"] == "unreadable") for row in rows(tmp_path / "tags.csv")))
    assert seen == [(f"{IN}000002.jpg", False), (f"{IN}000000.jpg", False), ("memory://bucket/etc/passwd", True)]


def test_passwords_are_in_nothing_that_is_written_or_said(facetag, photos, tmp_path):
    secret = "pa55word"
    url = IN.replace("//", f"//me:{secret}@")
    code, out, err = facetag("predict", url, "--out", "tags.csv", "--verbose")
    assert code == 0 and secret not in out + err
    written = {path.name: path.read_bytes() for path in tmp_path.glob("tags*")}
    assert len(written) == 3 and not [name for name, data in written.items() if secret.encode() in data]
    assert json.loads(written["tags.csv.run.json"])["options"]["paths"] == [IN]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ftp://host/a.jpg"], "ftp:// is not read; name one of s3://"),
        (["https://me:pa/ss@host/a.jpg"], "a URL of https:// has / ? or # in its password; write %2F, %3F or %23"),
        ([IN, "--draw", "s3://bucket/d"], "--draw is on this machine, and s3:// is not; name a path here"),
        ([IN, "--watch", "--out", "a.csv"], "--watch sees what changes on this machine alone"),
        (["in", "--out", "https://host/a.csv", "--journal", "j"], "https://host/a.csv is no place for a file"),
        (["in", "--out", "a.csv", "--journal", "s3://bucket/j"], "--journal s3://bucket/j is not on this machine"),
        (["in", "--out", "a.csv", "--journal", "./a.csv"], "--journal ./a.csv is the output"),
        (["in", "--out", "tags.csv/"], "tags.csv/ is a folder, and csv is one file; leave out the slash, or write"),
        (["in", "--out", "in/"], "in/ holds 000000.jpg, which is no part of a table; choose another folder"),
        (["in", "--journal", "a"], "--journal is of an output that is a file; add --out FILE"),
    ],
)
def test_what_does_not_go_is_refused_before_anything_is_asked(words, said, facetag, photos, monkeypatch):
    monkeypatch.setattr(store, "store_of", lambda url: pytest.fail(f"{url} was asked"))
    code, _, err = facetag("predict", *words)
    assert code == 2 and said in err and err.count("\n") == 1


@pytest.mark.parametrize("line", ['out = "s3://b/a.csv"', 'journal = "j"', 'files-from = "https://host/list"'])
def test_a_configuration_that_nobody_named_chooses_no_url(line, facetag, photos, tmp_path):
    (tmp_path / "facetag.toml").write_text(f"[predict]\n{line}\n")
    code, _, err = facetag("predict", "in")
    assert code == 2 and "says what is written, read or loaded, in a file that you did not name" in err


def test_sidecars_are_not_written_elsewhere(facetag, photos, files):
    code, _, err = facetag("predict", f"{IN}000000.jpg", "--out", "tags.csv", "--sidecar", "xmp")
    assert code == 3 and f"no sidecar for {IN}000000.jpg: it does not lie on this machine" in err
    assert len(files.find("/bucket")) == 3


@pytest.mark.process
def test_a_run_without_urls_loads_nothing_of_networks(photos, model_folder, tmp_path):
    predict = ["predict", "in", "--out", "out.csv", "--model", str(model_folder)]
    said = subprocess.run(
        [sys.executable, "-c", COMMAND, json.dumps(predict)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert said.stdout == "0 []\n", said.stderr


def test_a_folder_of_parts_lies_there_and_is_merged_from_shards_of_its_kind(facetag, photos, files, tmp_path):
    pytest.importorskip("pyarrow")
    from facetag import cli

    for index in (1, 2):
        out, journal = f"memory://bucket/out/shard={index}/", f"{index}.journal"
        assert facetag("predict", IN, "--shard", f"{index}/2", "--out", out, "--journal", journal)[0] == 0
    words = ["merge", "1.journal", "2.journal", "--out", "memory://bucket/out/all/", "--journal", "all.journal"]
    assert cli.run(words) == 0
    assert facetag("predict", IN, "--out", "whole.parquet/")[0] == 0
    here = {path.name: path.read_bytes() for path in (tmp_path / "whole.parquet").iterdir()}
    there = {name.rpartition("/")[2]: files.cat_file(name) for name in files.find("/bucket/out/all")}
    assert here == there and set(here) == {"_SUCCESS", "part-00000.parquet"}

    assert [record.path for record in read_results(tmp_path / "whole.parquet")] == [
        f"{IN}00000{number}.jpg" for number in range(3)
    ]
