import json
import os
import re
import signal
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from documents import NAMES, some_records
from hypothesis import given, settings
from hypothesis import strategies as st

from facetag import cli
from facetag.errors import ExitCode, JournalError, OutputLocked, UsageError
from facetag.formats.destination import next_to
from facetag.formats.writers import WRITERS
from facetag.formats.writers.layout import Layout
from facetag.pipeline.items import Source
from facetag.results import ImageResult, Status
from facetag.runs import journal
from facetag.runs import merge as merging
from facetag.runs.cache_key import CacheKey
from facetag.runs.journal import ENDING, Journal
from facetag.runs.journal import _row_digest as row_digest
from facetag.runs.merge import merge
from facetag.runs.run import Document, publish
from facetag.runs.shard_journals import read_part
from facetag.runs.shards import WHOLE, Enumeration, Shard

BASIS = CacheKey("predict", "a model", attributes=NAMES, thresholds=(0.5, 0.5, 0.5))
RECORDS = [ImageResult(f"{number}.jpg", Status.NO_FACE, "", 64, 48) for number in range(12)]


def shard_run(out, records, shard=WHOLE, basis=BASIS, finish=True, layout=None):
    """What a run leaves beside its output, had it answered with these records."""
    whole = Enumeration([record.path for record in records], shard)
    with Journal(next_to(str(out), ENDING), basis, shard=shard) as journal:
        journal.begin()
        for path in whole:
            place = whole.indices.pop(path)
            record = records[place]
            readable = record.status is not Status.UNREADABLE
            journal.add(place, record, Source(place, place, bytes([place])) if readable else None)
        journal.commit()
        if finish:
            document = Document(str(out), "csv", basis.attributes, layout=layout)
            publish(journal.records(), document)
            journal.finish(whole.inputs, whole.digest, document.layout_text)
    return str(out)


def shards(folder, count, records=RECORDS, **options):
    folder.mkdir(exist_ok=True)
    names = [folder / f"{index}.csv" for index in range(1, count + 1)]
    return [shard_run(name, records, Shard(index, count), **options) for index, name in enumerate(names, 1)]


def unique(records):
    return list({record.path: record for record in records}.values())


@settings(max_examples=10)
@given(some_records, st.integers(1, 4), st.sampled_from(list(WRITERS)), st.randoms(use_true_random=False))
def test_merged_shards_are_one_run(given_records, count, name, random):
    attributes, records = given_records
    records, basis = unique(records), replace(BASIS, attributes=attributes, thresholds=(0.5,) * len(attributes or ()))
    with tempfile.TemporaryDirectory() as folder:
        parts = [
            shard_run(f"{folder}/{index}.csv", records, Shard(index, count), basis) for index in range(1, count + 1)
        ]
        publish(iter(records), Document(f"{folder}/one.{name}", name, attributes, basis.decide))
        random.shuffle(parts)
        assert merge(parts, f"{folder}/merged.{name}") == len(records)
        with open(f"{folder}/one.{name}", "rb") as one, open(f"{folder}/merged.{name}", "rb") as merged:
            assert merged.read() == one.read()


def rows(out):
    with closing(sqlite3.connect(next_to(str(out), ENDING))) as base:
        inputs = base.execute("SELECT path, size, mtime_ns, sha256, key, result FROM inputs ORDER BY path").fetchall()
        places = base.execute("SELECT place, path, failure FROM seen ORDER BY place").fetchall()
        return inputs, places, base.execute("SELECT name, value FROM facts ORDER BY name").fetchall()


def test_the_merged_journal_is_that_of_one_run(tmp_path):
    records = [*RECORDS, ImageResult("gone.jpg", Status.UNREADABLE, "No such file or directory")]
    one = shard_run(tmp_path / "one.csv", records)
    merge(shards(tmp_path, 3, records), str(tmp_path / "merged.csv"))
    assert rows(tmp_path / "merged.csv") == rows(one)
    assert (tmp_path / "merged.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()
    assert merge([str(tmp_path / "merged.csv")], str(tmp_path / "again.json")) == len(records)


def test_an_answer_of_another_model_that_a_shard_kept_keeps_its_key(tmp_path):
    """`--append` keeps answers of other models, which a later run is not to take for its own."""
    one = shard_run(tmp_path / "one.csv", RECORDS)
    with Journal(next_to(one, ENDING), replace(BASIS, model="another"), append=True) as journal:
        free = journal.begin()
        journal.add(free, replace(RECORDS[0], path="later.jpg"), Source(1, 1, b"later"))
        journal.finish(free + 1, "digest")
    merge([one], str(tmp_path / "merged.csv"))
    assert len({key for *_, key, _ in rows(one)[0]}) == 2
    assert rows(tmp_path / "merged.csv")[:2] == rows(one)[:2]


def test_a_path_in_two_shards_is_refused_by_name(tmp_path):
    one, two = shards(tmp_path, 2)
    in_one = next(record for record in RECORDS if Shard(1, 2).keeps(record.path))
    in_two = next(place for place, record in enumerate(RECORDS) if Shard(2, 2).keeps(record.path))
    whole = read_part(two)
    with Journal(next_to(two, ENDING), BASIS, shard=Shard(2, 2)) as journal:
        journal.add(in_two, in_one, Source(1, 1, b"twice"))
        journal.finish(whole.inputs, whole.digest)
    refused(JournalError, [one, two], tmp_path, rf"^{re.escape(in_one.path)} is in two journals; run their commands ag")


def test_a_path_that_could_not_be_read_in_two_shards_is_refused_too(tmp_path):
    one, two = shards(tmp_path, 2)
    in_one = next(record for record in RECORDS if Shard(1, 2).keeps(record.path))
    in_two = next(place for place, record in enumerate(RECORDS) if Shard(2, 2).keeps(record.path))
    for out, place, shard in ((one, RECORDS.index(in_one), Shard(1, 2)), (two, in_two, Shard(2, 2))):
        whole = read_part(out)
        with Journal(next_to(out, ENDING), BASIS, shard=shard) as journal:
            journal.add(place, replace(in_one, status=Status.UNREADABLE, error="gone"), None)
            journal.finish(whole.inputs, whole.digest)
    refused(JournalError, [one, two], tmp_path, rf"^{re.escape(in_one.path)} is in two journals")


def test_a_merge_that_meets_damage_leaves_a_folder_of_parts_whole(tmp_path, monkeypatch):
    monkeypatch.setattr("facetag.formats.parts.ROWS", 3)
    records = [replace(record, error="changed") for record in RECORDS]
    (old,), (new,) = shards(tmp_path / "old", 1), shards(tmp_path / "new", 1, records)
    out = f"{tmp_path}/all/"
    merge([old], out, format="parquet")
    before = {path.name: path.read_bytes() for path in Path(out).iterdir()}
    assert len(before) == 5
    with closing(sqlite3.connect(next_to(new, ENDING))) as base:
        base.execute("UPDATE inputs SET size = size + 1 WHERE id = (SELECT max(input) FROM seen)")
        base.commit()
    with pytest.raises(JournalError, match=r"is damaged; run its command again$"):
        merge([new], out, format="parquet")
    assert {path.name: path.read_bytes() for path in Path(out).iterdir()} == before


def test_no_journal_of_another_run_is_replaced_unless_told(tmp_path):
    parts = shards(tmp_path, 2)
    other = shard_run(tmp_path / "other.csv", RECORDS[:3])
    located = shard_run(tmp_path / "located.csv", RECORDS, basis=replace(BASIS, command="localize", attributes=None))
    for out, ending in ((other, "x.journal.new"), (located, "y.journal")):
        os.rename(next_to(out, ENDING), tmp_path / ending)
        before = (tmp_path / ending).read_bytes()
        with pytest.raises(JournalError, match=rf"{re.escape(ending)} is of another run; choose another --journal"):
            merge(parts, str(tmp_path / "merged.csv"), journal=str(tmp_path / ending.removesuffix(".new")))
        assert (tmp_path / ending).read_bytes() == before
    os.rename(next_to(parts[0], ENDING), tmp_path / "z.journal.new")
    with pytest.raises(UsageError, match="is one of the shards"):
        merge(
            [str(tmp_path / "z.journal.new"), parts[1]],
            str(tmp_path / "merged.csv"),
            journal=str(tmp_path / "z.journal"),
        )
    assert (tmp_path / "z.journal.new").exists()
    merge(shards(tmp_path / "again", 2), str(tmp_path / "m.csv"), journal=str(tmp_path / "y.journal"), overwrite=True)


@pytest.mark.parametrize("fact", ["basis", "folders"])
def test_a_fact_without_bottom_is_one_line(tmp_path, fact):
    (one,) = shards(tmp_path, 1)
    deep = "[" * 200_000
    with closing(sqlite3.connect(next_to(one, ENDING))) as base:
        base.execute("UPDATE facts SET value = ?, digest = ? WHERE name = ?", (deep, row_digest(fact, deep), fact))
        base.commit()
    refused(JournalError, [one], tmp_path, "is damaged")


def test_a_merged_journal_knows_the_folders_of_its_shards(tmp_path, monkeypatch):
    for name in ("photos", "elsewhere"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "photos")
    parts = shards(tmp_path, 2)
    monkeypatch.chdir(tmp_path / "elsewhere")
    merge(parts, str(tmp_path / "merged.csv"))
    with Journal(next_to(str(tmp_path / "merged.csv"), ENDING), BASIS) as journal:
        assert journal.folders() == [str(tmp_path / "photos")]


@pytest.mark.parametrize("layout", [Layout(frozenset(["decisions", "folder"])), Layout(frozenset(), long=True)])
def test_a_merged_table_has_the_columns_of_the_shards_and_what_is_no_table_has_none(tmp_path, layout):
    one = shard_run(tmp_path / "one.csv", RECORDS, layout=layout)
    merge(shards(tmp_path, 3, layout=layout), str(tmp_path / "merged.csv"))
    assert (tmp_path / "merged.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()
    assert rows(tmp_path / "merged.csv") == rows(one)
    publish(iter(RECORDS), Document(str(tmp_path / "one.json"), "json", NAMES))
    merge([one], str(tmp_path / "merged.json"))
    assert (tmp_path / "merged.json").read_bytes() == (tmp_path / "one.json").read_bytes()


def test_shards_of_other_columns_are_refused(tmp_path):
    one, two = shards(tmp_path, 2)
    os.unlink(next_to(two, ENDING))
    shard_run(two, RECORDS, Shard(2, 2), layout=Layout(frozenset(["folder"])))
    refused(UsageError, [one, two], tmp_path, r"2\.csv differ in --columns or --explode; write both with the same ones")


def test_an_older_output_is_replaced_and_its_journal_too(tmp_path):
    other = replace(BASIS, command="localize", attributes=None, thresholds=())
    shard_run(tmp_path / "merged.csv", RECORDS[:1], basis=other)
    merge(shards(tmp_path, 2), str(tmp_path / "merged.csv"))
    assert len(rows(tmp_path / "merged.csv")[0]) == len(RECORDS)


def test_a_merge_that_fails_leaves_what_was_there(tmp_path):
    old = shard_run(tmp_path / "merged.csv", RECORDS[:1])
    known, text = rows(old), (tmp_path / "merged.csv").read_bytes()
    (one,) = shards(tmp_path, 1)
    with closing(sqlite3.connect(next_to(one, ENDING))) as base:
        base.execute("DELETE FROM seen WHERE place = 11")
        base.commit()
    with pytest.raises(JournalError):
        merge([one], old)
    assert (rows(old), (tmp_path / "merged.csv").read_bytes()) == (known, text)
    assert {path.name for path in tmp_path.glob("merged*")} == {"merged.csv", "merged.csv.facetag.sqlite"}


def test_what_facetag_did_not_write_is_not_replaced_unless_told(tmp_path):
    out, parts = tmp_path / "merged.csv", shards(tmp_path, 2)
    out.write_text("name,price\n")
    with pytest.raises(UsageError, match=r"merged.csv was not written by facetag"):
        merge(parts, str(out))
    assert out.read_text() == "name,price\n"
    merge(parts, str(out), overwrite=True)
    assert len(rows(out)[0]) == len(RECORDS)


def test_no_shard_is_replaced_by_the_whole(tmp_path):
    one, two = shards(tmp_path, 2)
    before = Path(one).read_bytes()
    for out, apart in ((one, None), (one, str(tmp_path / "apart")), (str(tmp_path / "x.csv"), next_to(one, ENDING))):
        with pytest.raises(UsageError, match=r"is one of the shards|is read and would be replaced"):
            merge([one, two], out, journal=apart)
    assert Path(one).read_bytes() == before
    with pytest.raises(UsageError, match="--journal is of an output that is a file"):
        merge([one, two], "-", journal=str(tmp_path / "apart"))


def test_the_database_of_another_program_stays(tmp_path):
    out = tmp_path / "merged.csv"
    with closing(sqlite3.connect(next_to(str(out), ENDING))) as base:
        base.execute("CREATE TABLE mine (x)")
    before = (tmp_path / "merged.csv.facetag.sqlite").read_bytes()
    with pytest.raises(JournalError, match="belongs to another program"):
        merge(shards(tmp_path, 2), str(out), overwrite=True)
    assert (tmp_path / "merged.csv.facetag.sqlite").read_bytes() == before and not out.exists()


@pytest.mark.parametrize("what", ["folder", "fifo", "link", "trigger", "super-journal"])
def test_a_strangers_journal_is_refused_and_harms_nothing(tmp_path, what):
    one, two = shards(tmp_path, 2)
    path, victim = Path(next_to(one, ENDING)), tmp_path / "victim"
    victim.write_text("precious")
    if what == "trigger":
        with closing(sqlite3.connect(path)) as base:
            base.execute("CREATE TRIGGER x AFTER DELETE ON seen BEGIN DELETE FROM inputs; END")
    elif what == "super-journal":
        name = os.fsencode(victim)
        tail = (
            (1).to_bytes(4) + name + len(name).to_bytes(4) + sum(name).to_bytes(4) + bytes.fromhex("d9d505f920a163d7")
        )
        Path(f"{path}-journal").write_bytes(bytes(512) + tail)
    else:
        path.unlink()
        {"folder": path.mkdir, "fifo": lambda: os.mkfifo(path), "link": lambda: path.symlink_to(victim)}[what]()
    with pytest.raises(JournalError):
        merge([one, two], str(tmp_path / "merged.csv"))
    assert victim.read_text() == "precious" and not (tmp_path / "merged.csv").exists()


def test_to_standard_output(tmp_path, capfdbinary):
    merge(shards(tmp_path, 2), "-", "jsonl")
    lines = capfdbinary.readouterr().out.splitlines()
    assert [json.loads(line)["path"] for line in lines] == [record.path for record in RECORDS]


def refused(error, parts, tmp_path, match):
    with pytest.raises(error, match=match) as raised:
        merge(list(map(str, parts)), str(tmp_path / "merged.csv"))
    assert "\n" not in str(raised.value)
    assert not os.path.exists(tmp_path / "merged.csv")
    assert not os.path.exists(next_to(str(tmp_path / "merged.csv"), ENDING))


def test_overlapping_shards_are_refused(tmp_path):
    one, two = shards(tmp_path, 2)
    again = shard_run(tmp_path / "again.csv", RECORDS, Shard(2, 2))
    refused(
        UsageError, [one, two, again], tmp_path, r"2\.csv and .*again\.csv are both shard 2/2; name each shard once"
    )
    refused(UsageError, [one, one, two], tmp_path, r"1\.csv and .*1\.csv are both shard 1/2")


def test_missing_shards_are_refused_by_name(tmp_path):
    parts = shards(tmp_path, 4)
    refused(UsageError, [parts[0], parts[2]], tmp_path, r"2 of 4 shards missing: 2/4, 4/4; name the outputs of all")
    lonely = shard_run(tmp_path / "lonely.csv", RECORDS, Shard(1, 999_999_999))
    refused(UsageError, [lonely], tmp_path, r"999999998 of 999999999 shards missing: 2/999999999, .*, \.\.\.;")


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"model": "another"}, "model"),
        ({"thresholds": (0.5, 0.5, 0.6), "strict": True}, "thresholds, strict"),
        ({"command": "localize", "attributes": None}, "command, attributes"),
    ],
)
def test_shards_of_other_models_or_settings_are_refused_by_what_differs(tmp_path, change, names):
    one, two = shards(tmp_path, 2)
    os.unlink(next_to(two, ENDING))
    shard_run(two, RECORDS, Shard(2, 2), replace(BASIS, **change))
    refused(
        UsageError, [one, two], tmp_path, rf"1\.csv and .*2\.csv differ in {names}; run the shards with one command"
    )


def test_shards_of_other_runs_are_refused(tmp_path):
    one, two = shards(tmp_path, 2)
    third = shard_run(tmp_path / "third.csv", RECORDS, Shard(2, 3))
    refused(UsageError, [one, third], tmp_path, r"are shards 1/2 and 2/3; name the shards of one run")
    newer = shard_run(tmp_path / "newer.csv", [*RECORDS, replace(RECORDS[0], path="new.jpg")], Shard(2, 2))
    refused(UsageError, [one, newer], tmp_path, r"1\.csv and .*newer\.csv did not meet the same inputs; ")
    assert merge([one, two], str(tmp_path / "merged.csv")) == len(RECORDS)


def test_a_shard_that_did_not_end_is_refused(tmp_path):
    one, two = shards(tmp_path, 2)
    shard_run(two, RECORDS, Shard(2, 2), finish=False)
    refused(JournalError, [one, two], tmp_path, r"the run that writes .*2\.csv did not end yet; run its command again")


def test_a_shard_that_is_being_written_is_refused(tmp_path):
    one, two = shards(tmp_path, 2)
    with Journal(next_to(two, ENDING), BASIS, shard=Shard(2, 2)) as journal:
        journal.begin()
        refused(JournalError, [one, two], tmp_path, r"2\.csv .*; run its command again")


def test_what_is_no_output_of_a_run_is_refused(tmp_path):
    (one,) = shards(tmp_path, 1)
    stray = tmp_path / "stray.csv"
    stray.write_bytes(b"")
    refused(JournalError, [stray], tmp_path, r"no journal lies beside .*stray\.csv; ")
    with closing(sqlite3.connect(next_to(str(stray), ENDING))) as base:
        base.execute("CREATE TABLE facts (name, value)")
        base.commit()
    refused(JournalError, [stray], tmp_path, r"stray\.csv was not made by this version of facetag; ")
    (tmp_path / f"stray.csv{ENDING}").write_bytes(b"text" * 999)
    refused(JournalError, [stray], tmp_path, r"stray\.csv cannot be read \(file is not a database\); ")
    with pytest.raises(UsageError, match="is one of the shards"):
        merge([one], one)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("DELETE FROM seen WHERE place = 5", r"input 6 of the run is not in its journals once"),
        ("DELETE FROM seen WHERE place = 11", r"input 12 of the run is not in its journals once"),
        ("UPDATE seen SET input = 99 WHERE place = 5", "cannot be read|is damaged"),
        ("UPDATE inputs SET result = '{}'", "cannot be read|is damaged"),
        ("UPDATE facts SET value = '0/0' WHERE name = 'shard'", "is damaged"),
        ("UPDATE facts SET value = '{' WHERE name = 'basis'", "is damaged"),
        ("UPDATE facts SET value = x'00' WHERE name = 'inputs'", "is damaged"),
        ("DELETE FROM facts WHERE name = 'digest'", "is damaged"),
        ("UPDATE facts SET value = 'folder' WHERE name = 'layout'", "is damaged"),
        ("DROP TABLE facts", "its tables are not facetag's"),
    ],
)
def test_a_damaged_journal_is_refused(tmp_path, change, reason):
    (one,) = shards(tmp_path, 1)
    with closing(sqlite3.connect(next_to(one, ENDING))) as base:
        base.execute(change)
        base.commit()
    with pytest.raises(JournalError, match=reason):
        merge([one], str(tmp_path / "merged.csv"))
    assert not os.path.exists(tmp_path / "merged.csv")


def test_a_locked_output_is_left_alone(tmp_path):
    from facetag.runs.lock import locked
    from facetag.runs.run_files import LOCK

    parts, out = shards(tmp_path, 2), str(tmp_path / "merged.csv")
    with locked(next_to(out, LOCK), out), pytest.raises(OutputLocked):
        merge(parts, out)
    assert merge(parts, out) == len(RECORDS)


def test_a_journal_stays_with_its_shard(tmp_path):
    (one,) = shards(tmp_path, 1)
    with pytest.raises(JournalError, match=r"belongs to shard 1/1; choose another --out, or use --overwrite"):
        Journal(next_to(one, ENDING), BASIS, shard=Shard(1, 2))


@pytest.fixture
def facetag(model_folder, tmp_path, monkeypatch, capfdbinary):
    """Runs `facetag predict` on photos, or another command; answers (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for seed in range(6):
        coarse = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
        cv2.imwrite(f"photos/{seed}.png", cv2.resize(coarse, (60, 45), interpolation=cv2.INTER_CUBIC))

    def run(*words):
        if words[0] == "predict":
            words = [*words, "photos", "missing.jpg", "--model", str(model_folder)]
            words += [] if "--boxes" in words else ["--aligned"]
        code = cli.run(list(map(str, words)))
        out, err = capfdbinary.readouterr()
        return code, out, err.decode()

    return run


def test_four_shards_of_the_command_merged_are_one_run(facetag, tmp_path):
    assert facetag("predict", "--out", "one.csv")[0] == ExitCode.SOME_FAILED
    names = [f"{index}.json" for index in range(1, 5)]
    for index, name in enumerate(names, 1):
        facetag("predict", "--shard", f"{index}/4", "--out", name)
    assert facetag("merge", *names, "--out", "merged.csv") == (
        ExitCode.OK, b"", "facetag: wrote merged.csv: 7 inputs of 4 shards\n",
    )  # fmt: skip
    one = (tmp_path / "one.csv").read_bytes()
    assert (tmp_path / "merged.csv").read_bytes() == facetag("merge", *names)[1] == one
    facetag("predict", "--out", "merged.csv")
    assert (tmp_path / "merged.csv").read_bytes() == one
    assert json.loads((tmp_path / "merged.csv.run.json").read_text())["kept"] == 6


@pytest.mark.parametrize("options", [("--columns", "decisions,folder"), ("--explode", "attributes")])
def test_shards_with_more_columns_merged_are_one_run(facetag, tmp_path, options):
    facetag("predict", *options, "--out", "one.csv")
    for index in (1, 2):
        facetag("predict", *options, "--shard", f"{index}/2", "--out", f"part-{index}.csv")
    assert facetag("merge", "part-1.csv", "part-2.csv", "--out", "merged.csv")[0] == ExitCode.OK
    one = (tmp_path / "one.csv").read_bytes()
    assert (tmp_path / "merged.csv").read_bytes() == one == facetag("merge", "part-1.csv", "part-2.csv")[1]
    assert one.startswith(b"schema_version") and b"\r\n2,photos/0.png" in one
    facetag("predict", *options, "--out", "merged.csv")
    assert (tmp_path / "merged.csv").read_bytes() == one


def test_the_command_refuses_in_one_line(facetag):
    for index in (1, 2):
        facetag("predict", "--shard", f"{index}/2", "--out", f"{index}.csv", "--threshold", f"Smiling=0.{index}")
    code, _, err = facetag("merge", "1.csv", "2.csv", "--out", "merged.csv")
    assert code == ExitCode.USAGE
    assert err == "facetag: error: 1.csv and 2.csv differ in thresholds, unsure_from; run the shards with one command\n"
    code, _, err = facetag("predict", "--shard", "3/2")
    assert (code, err) == (
        ExitCode.USAGE, "facetag: error: --shard 3/2 is not i/n with i from 1 to n; write --shard 1/4\n",
    )  # fmt: skip
    assert facetag("merge")[0] == ExitCode.USAGE


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_amid_a_query_ends_a_merge_with_its_code(tmp_path, monkeypatch, capfd, number, code):
    """Python loses what a handler raises while SQLite works."""
    monkeypatch.setattr(journal, "_STEPS", 1)
    monkeypatch.setattr(merging, "Journal", partial(Journal, stop=lambda: os.kill(os.getpid(), number) or False))
    out = tmp_path / "merged.csv"
    assert cli.run(["merge", *shards(tmp_path, 2), "--out", str(out)]) == code
    assert "unexpectedly" not in capfd.readouterr().err
    assert not list(tmp_path.glob("merged*"))


def test_shards_on_standard_output_are_parts_of_the_whole(facetag):
    whole = facetag("predict", "--format", "jsonl")[1].splitlines()
    parts = [facetag("predict", "--format", "jsonl", "--shard", f"{index}/2")[1].splitlines() for index in (1, 2)]
    assert sorted(whole) == sorted(parts[0] + parts[1]) and parts[0] and parts[1]


def test_boxes_of_other_shards_are_not_called_unused(facetag, tmp_path):
    (tmp_path / "boxes.csv").write_text(
        "file,x,y,width,height\n" + "".join(f"photos/{n}.png,1,1,9,9\n" for n in range(7))
    )
    assert "1 image named in boxes.csv was not among the inputs" in facetag("predict", "--boxes", "boxes.csv")[2]
    assert "not among the inputs" not in facetag("predict", "--boxes", "boxes.csv", "--shard", "1/2")[2]
