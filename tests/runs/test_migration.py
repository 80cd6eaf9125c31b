"""A journal of the first form goes on, and only what would be answered otherwise now is asked again."""

import hashlib
import json
import sqlite3
from contextlib import closing

from PIL import Image
from test_runs import BASIS, content, go, names

from facetag.runs.journal import APPLICATION, ENDING

TABLES = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE inputs (
    id INTEGER PRIMARY KEY, path BLOB UNIQUE, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    sha256 BLOB NOT NULL, basis BLOB NOT NULL, record TEXT NOT NULL
);
CREATE INDEX contents ON inputs (sha256);
CREATE TABLE met (place INTEGER PRIMARY KEY, input INTEGER, failure TEXT);
"""


def made_old(path, changes):
    """Rewrite a journal as version 1 wrote it; `changes` are of records by file name."""
    with closing(sqlite3.connect(path)) as base:
        inputs = base.execute("SELECT id, path, size, mtime_ns, sha256, result FROM inputs").fetchall()
        seen = base.execute("SELECT place, input, failure FROM seen").fetchall()
        facts = base.execute("SELECT name, value FROM facts WHERE name <> 'arguments'").fetchall()
    path.unlink()
    basis = hashlib.sha256(BASIS.text.encode()).digest()
    with closing(sqlite3.connect(path)) as base:
        base.executescript(f"{TABLES} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = 1;")
        for *row, text in inputs:
            values = json.loads(text)
            values |= changes.get(row[1].decode().rpartition("/")[2], {})
            base.execute("INSERT INTO inputs VALUES (?, ?, ?, ?, ?, ?, ?)", (*row, basis, json.dumps(values)))
        base.executemany("INSERT INTO met VALUES (?, ?, ?)", seen)
        base.executemany("INSERT INTO facts VALUES (?, ?)", facts)
        base.commit()


def test_an_old_journal_goes_on(archive):
    Image.new("RGB", (40, 30)).save(archive / "a.tif")
    (archive / "b.jpg").touch()
    (archive / "dangling.jpg").symlink_to("nowhere")
    go()
    whole = content()
    beyond = {"box": [-3.5, 2, 30, 40], "score": 0.5, "probabilities": {}, "tags": [], "unsure": []}
    changes = {
        "000003.jpg": {"error": "damaged JPEG"},
        "000004.jpg": {"status": "failed", "error": "no luck", "faces": []},
        "000005.jpg": {"faces": [beyond]},
    }
    made_old(archive.parent / f"out.csv{ENDING}", changes)
    asked, outcome = go()
    assert asked == [*names(3, 4, 5), "a.tif"]
    assert (outcome.reused, content()) == (17, whole)
    assert go()[0] == [] and content() == whole
