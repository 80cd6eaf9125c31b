"""The journal's file: what it keeps to the last bit, and everything that may lie in its place."""

import json
import os
import random
import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facetag.attributes import ATTRIBUTES
from facetag.errors import FacetagError, InputsGone, JournalError
from facetag.formats.path_encoding import one_line
from facetag.formats.result_json import record_from_json, record_to_json
from facetag.geometry import Box
from facetag.pipeline.items import Source
from facetag.results import FaceResult, ImageResult, Status
from facetag.runs.cache_key import AT_WRITING, CacheKey
from facetag.runs.journal import Journal, refuse_other_programs, remove_journal
from facetag.runs.shards import Shard

BASIS = CacheKey("predict", "a model", attributes=("Male", "Young"), thresholds=(0.5, 0.25), unsure_from=(0.4, 0.25))
REAL = st.floats(allow_nan=False, allow_infinity=False)
FACES = st.builds(
    FaceResult,
    st.builds(Box, REAL, REAL, REAL, REAL),
    REAL,
    st.dictionaries(st.sampled_from(ATTRIBUTES), REAL),
    st.lists(st.sampled_from(ATTRIBUTES)).map(tuple),
    st.lists(st.sampled_from(ATTRIBUTES)).map(tuple),
)
PATHS = st.binary(min_size=1).filter(lambda path: b"\0" not in path).map(os.fsdecode)
RECORDS = st.builds(
    ImageResult,
    PATHS,
    st.sampled_from(Status),
    st.text().map(one_line),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.lists(FACES, max_size=3).map(tuple),
)


def record(path="a.jpg", **changes):
    face = FaceResult(Box(1.0, 2.5, 30.1, 40.0), 0.75, {"Male": 0.1, "Young": 1.0}, ("Young",))
    return replace(ImageResult(path, Status.OK, "", 120, 90, (face,)), **changes)


def source(number=1):
    return Source(1000 + number, 10**18 + number, bytes([number]) * 32)


def filled(path, basis=BASIS):
    """A journal of a finished run with three inputs."""
    with Journal(path, basis) as journal:
        journal.begin()
        for number in range(3):
            journal.add(number, record(f"{number}.jpg"), source(number))
        journal.finish(3, "digest")


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "out.csv.facetag.sqlite")


@given(RECORDS)
def test_records_come_back_to_the_last_bit(some):
    text = record_to_json(some)
    assert text.isascii() and "\n" not in text
    assert record_from_json(text) == some


KEYS = st.sampled_from(["path", "status", "error", "size", "faces", "box", "score"])
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner),
)


@given(JSON)
def test_what_is_no_record_is_a_value_error(value):
    with pytest.raises(ValueError, match=r"."):
        record_from_json(json.dumps(value))


@pytest.mark.parametrize("text", ["", "{", "[" * 10**5, '{"path":"a"}', "1e999", None, b"\xff"])
def test_what_is_no_json_is_a_value_error(text):
    with pytest.raises(ValueError, match=r"."):
        record_from_json(text)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "true", '"1"', "null", "1" * 400])
def test_a_score_is_a_finite_number(number):
    with pytest.raises(ValueError, match=r"."):
        record_from_json(record_to_json(record()).replace('"score":0.75', f'"score":{number}'))


def test_a_basis_differs_by_whatever_changes_an_answer():
    changes = {
        "model": "b", "faces": "dominant", "boxes": "ff", "attributes": ("Male",), "thresholds": (0.5, 0.26),
        "unsure_from": (0.3, 0.25), "min_face": 1.0, "max_pixels": 1, "strict": True, "answers": 2,
        "command": "localize", "precision": "bfloat16", "raw": "preview",
    }  # fmt: skip
    assert set(changes) == set(CacheKey.__dataclass_fields__)
    digests = {BASIS.digest, *(replace(BASIS, **{name: value}).digest for name, value in changes.items())}
    assert len(digests) == 1 + len(changes) - len(AT_WRITING)
    assert all(replace(BASIS, **{name: changes[name]}).digest == BASIS.digest for name in AT_WRITING)
    assert len({replace(BASIS, **{name: value}).text for name, value in changes.items()}) == len(changes)


def test_what_is_known_by_path_and_by_content_on_the_same_basis_alone(path):
    filled(path)
    with Journal(path, BASIS) as journal:
        known = journal.known("1.jpg")
        assert (known.source, known.record) == (source(1), record("1.jpg"))
        assert journal.answer_to(source(2).sha256).record == record("2.jpg")
        assert journal.known("3.jpg") is None and journal.answer_to(source(3).sha256) is None
    with Journal(path, replace(BASIS, strict=True)) as journal:
        assert journal.known("1.jpg") is None and journal.answer_to(source(2).sha256) is None


def test_records_come_in_the_order_of_their_places(path):
    filled(path)
    with Journal(path, BASIS) as journal:
        journal.begin()
        journal.keep(7, "2.jpg")
        journal.add(5, record("gone.jpg", status=Status.UNREADABLE, faces=()), None)
        journal.add(0, record("new.jpg"), source(9))
        journal.keep(2, "0.jpg")
        assert [each.path for each in journal.records()] == ["new.jpg", "0.jpg", "gone.jpg", "2.jpg"]
        journal.finish(8, "digest")
        assert journal.known("1.jpg") is None and journal.known("gone.jpg") is None


def test_what_was_not_committed_is_as_if_it_had_not_been(path):
    filled(path)
    with Journal(path, BASIS) as journal:
        journal.begin()
        journal.add(0, record("0.jpg", error="changed"), source(7))
    with Journal(path, BASIS) as journal:
        assert journal.known("0.jpg").record == record("0.jpg")
        assert list(journal.records()) == []  # the new run had begun


def test_a_finished_run_leaves_one_file_that_anybody_may_read(path, tmp_path):
    filled(path)
    assert os.listdir(tmp_path) == [os.path.basename(path)]
    tmp_path.chmod(0o500)
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as base:
        assert base.execute("SELECT count(*) FROM inputs").fetchone() == (3,)
    base.close()
    tmp_path.chmod(0o700)


def test_a_path_is_bytes(path):
    name = os.fsdecode(b"new\n\xff\xfe\\x0a.jpg")
    with Journal(path, BASIS) as journal:
        journal.begin()
        journal.add(0, record(name), source())
        journal.finish(1, "")
        assert journal.known(name).record.path == name


@pytest.mark.parametrize(
    ("met", "before", "gone"),
    [(0, 1, True), (0, 3, True), (1, 3, False), (1, 11, False), (1, 12, True), (11, 22, False), (10, 21, True)],
)
def test_what_share_may_go(path, met, before, gone):
    with Journal(path, BASIS) as journal:
        journal.begin()
        for number in range(before):
            journal.add(number, record(f"{number}.jpg"), source(number))
        journal.finish(before, "")
    with Journal(path, BASIS) as journal:
        journal.begin()
        for number in range(met):
            journal.keep(number, f"{number}.jpg")
        if gone:
            with pytest.raises(InputsGone, match=f"^{before - met} of the {before} inputs"):
                journal.refuse_emptying("out.csv")
        else:
            journal.refuse_emptying("out.csv")


def refusal(path):
    with pytest.raises(JournalError) as refused:
        Journal(path, BASIS)
    assert "--" in refused.value.remedy and "\n" not in str(refused.value)
    return str(refused.value)


def test_what_is_no_journal_is_refused_and_left_alone(path):
    for content in (
        b"not a database, but long enough to be looked at as one" * 100,
        b"x",
        b"SQLite format 3\0" + bytes(84),
    ):
        with open(path, "wb") as stream:
            stream.write(content)
        assert "damaged or no journal" in refusal(path)
        with open(path, "rb") as stream:
            assert stream.read() == content


def test_a_torn_journal_is_refused(path):
    filled(path)
    size = os.path.getsize(path)
    for end in (size - 1, size // 2, 5000, 600, 50):
        os.truncate(path, end)
        assert "damaged or no journal" in refusal(path)


def test_the_database_of_another_program_is_refused_and_left_alone(path):
    with sqlite3.connect(path) as base:
        base.execute("CREATE TABLE facts (name TEXT, value TEXT)")
    base.close()
    with open(path, "rb") as stream:
        before = stream.read()
    assert "belongs to another program" in refusal(path)
    with open(path, "rb") as stream:
        assert stream.read() == before


def test_a_journal_of_another_version_command_or_shard_is_refused(path):
    filled(path)
    with pytest.raises(JournalError, match=r"`facetag predict`"):
        Journal(path, replace(BASIS, command="localize"))
    with pytest.raises(JournalError, match=r"belongs to shard 1/1"):
        Journal(path, BASIS, shard=Shard(1, 2))
    with sqlite3.connect(path) as base:
        base.execute("PRAGMA user_version = 3")
    base.close()
    assert "another version of facetag" in refusal(path)


def test_an_empty_file_is_a_journal_that_was_not_begun(path):
    open(path, "wb").close()
    filled(path)
    with Journal(path, BASIS) as journal:
        assert journal.known("1.jpg")


def test_a_damaged_journal_is_an_error_of_ours_or_none(path):
    """A few bytes changed anywhere: it opens and answers, or says in one line that it is damaged."""
    filled(path)
    with open(path, "rb") as stream:
        good = stream.read()
    chance = random.Random(0)
    errors = 0
    for _ in range(150):
        bad = bytearray(good)
        for _ in range(chance.choice([1, 3, 300])):
            bad[chance.randrange(len(bad))] = chance.randrange(256)
        with open(path, "wb") as stream:
            stream.write(bad)
        try:
            with Journal(path, BASIS) as journal:
                journal.begin()
                journal.known("1.jpg")
                journal.answer_to(source(2).sha256)
                journal.keep(0, "0.jpg")
                journal.add(1, record("1.jpg"), source())
                list(journal.records())
                journal.refuse_emptying("out.csv")
                journal.finish(2, "")
        except FacetagError as error:
            assert "\n" not in str(error)
            errors += 1
        remove_journal(path)
    assert 20 < errors < 150


def test_removing_takes_what_sqlite_left_beside_it(path, tmp_path):
    for ending in ("", "-journal", "-wal", "-shm"):
        open(path + ending, "wb").close()
    remove_journal(path)
    assert os.listdir(tmp_path) == []
    os.mkdir(path)
    with pytest.raises(FacetagError, match=r"^cannot remove "):
        remove_journal(path)


def test_threads_may_ask_while_one_writes(path):
    with Journal(path, BASIS) as journal:
        journal.begin()
        wrong = []

        def ask():
            for number in range(100):
                known = journal.known(f"{number}.jpg")
                if known and known.record.path != f"{number}.jpg":
                    wrong.append(number)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for number in range(100):
            journal.add(number, record(f"{number}.jpg"), source(number))
            if number % 10 == 0:
                journal.commit()
        for thread in threads:
            thread.join()
        assert not wrong and len(list(journal.records())) == 100


@pytest.mark.parametrize("step", [41, pytest.param(1, marks=pytest.mark.slow)])
def test_a_flipped_bit_gives_the_same_answers_or_one_line(path, step):
    """What fails its check is answered again, never believed. Small pages, so that every byte of each kind is met."""
    with closing(sqlite3.connect(path)) as base:
        base.execute("PRAGMA page_size = 512")
        base.execute("VACUUM")
    filled(path)
    with open(path, "rb") as stream:
        good = stream.read()
    answers = [record(f"{number}.jpg") for number in range(3)]
    refused = again = 0
    assert len(good) < 8000
    for at in range(0, len(good), step):
        bad = bytearray(good)
        bad[at] ^= 1 << at % 8
        with open(path, "wb") as stream:
            stream.write(bad)
        try:
            with Journal(path, BASIS) as journal:
                journal.begin()
                for number, answer in enumerate(answers):
                    known = journal.known(answer.path)
                    if known and known.source == source(number):
                        assert known.record == answer
                        journal.keep(number, answer.path)
                    else:
                        again += 1
                        journal.add(number, answer, source(number))
                assert list(journal.records()) == answers
        except FacetagError as error:
            assert "\n" not in str(error)
            refused += 1
        remove_journal(path)
    assert refused and again


@pytest.mark.parametrize("mark", [b'"0.jpg"', b'"tags"'])
@pytest.mark.parametrize("changes", [False, True])
def test_a_byte_that_is_no_utf_8_costs_its_answer_alone(path, mark, changes):
    """SQLite's driver refused to read on."""
    filled(path)
    with open(path, "rb") as stream:
        good = stream.read()
    at = good.index(mark)
    with open(path, "wb") as stream:
        stream.write(good[:at] + bytes((good[at] ^ 0x80,)) + good[at + 1 :])
    answers = [record(f"{number}.jpg") for number in range(3)]
    with Journal(path, BASIS) as journal:
        journal.begin()
        for number, answer in enumerate(answers):
            if journal.known(answer.path):
                journal.keep(number, answer.path)
            else:
                journal.add(number, answer, source(number + 9 * changes))
        assert journal.damaged == 1 and list(journal.records()) == answers
        journal.finish(3, "digest")


def test_what_was_changed_is_not_made_whole_when_names_change_places(path):
    filled(path)
    with closing(sqlite3.connect(path)) as base, base:
        base.execute("UPDATE inputs SET result = replace(result, '0.75', '0.95') WHERE path = CAST('0.jpg' AS BLOB)")
    with Journal(path, BASIS) as journal:
        journal.begin()
        journal.add(0, record("0.jpg"), source(1))
        assert journal.answer_to(source(0).sha256) is None


def test_moved_inputs_are_looked_for_in_no_time(path):
    """Once asked of each pair: a hundred times as long at this number."""
    number = 20_000
    with Journal(path, BASIS) as journal:
        journal.begin()
        for place in range(number):
            journal.add(place, record(f"{place}.jpg", faces=()), Source(1, 2, place.to_bytes(32, "big")))
        journal.finish(number, "")
    with Journal(path, BASIS) as journal:
        journal.begin()
        for place in range(number):
            name = f"{'moved' if place % 2 else ''}{place}.jpg"
            journal.add(place, record(name, faces=()), Source(1, 2, place.to_bytes(32, "big")))
        started = time.process_time()
        journal.refuse_emptying("out.csv")
        assert time.process_time() - started < 2


def test_a_rollback_journal_that_names_another_file_is_refused(path, tmp_path):
    filled(path)
    (tmp_path / "precious.txt").write_text("mine")
    with open(path + "-journal", "wb") as stream:
        stream.write(bytes(512) + bytes.fromhex("d9d505f920a163d7"))
    with pytest.raises(JournalError, match="names another file, which SQLite would delete"):
        Journal(path, BASIS)
    assert (tmp_path / "precious.txt").read_text() == "mine"


def test_a_journal_may_have_any_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (":memory:", "file:a?mode=memory", "%41"):
        filled(name)
        assert os.path.getsize(name)


@pytest.mark.parametrize("ending", ["-journal", "-wal", "-shm"])
def test_a_users_own_file_under_the_name_of_a_log_stays(tmp_path, ending):
    path, notes = str(tmp_path / "trip"), tmp_path / f"trip{ending}"
    notes.write_text("my notes")
    for refused in (lambda: Journal(path, BASIS), lambda: refuse_other_programs(path)):
        with pytest.raises(JournalError, match=f"trip{ending} is not SQLite's, which would delete it; move it away"):
            refused()
    assert notes.read_text() == "my notes" and os.listdir(tmp_path) == [notes.name]


def test_what_lies_under_a_name_that_the_user_chose_is_no_journal_to_remove(tmp_path, path):
    notes = tmp_path / "notes.txt"
    notes.write_text("my notes")
    for refused in (lambda: Journal(str(notes), BASIS), lambda: refuse_other_programs(str(notes))):
        with pytest.raises(JournalError, match=r"notes.txt belongs to another program"):
            refused()
    assert notes.read_text() == "my notes"
    with open(path, "w") as stream:
        stream.write("a damaged journal of ours, by its name")
    refuse_other_programs(path)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER t AFTER INSERT ON inputs BEGIN DELETE FROM inputs; END",
        "CREATE VIEW v AS SELECT * FROM inputs",
        "CREATE TABLE further (x)",
    ],
)
def test_nothing_but_our_tables_is_in_a_journal(path, statement):
    filled(path)
    with sqlite3.connect(path) as base:
        base.execute(statement)
    base.close()
    with pytest.raises(JournalError, match="its tables are not facetag's"):
        Journal(path, BASIS)
