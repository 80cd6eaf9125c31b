"""The journal beside an output: what is known of every input, and which inputs this run has seen, in SQLite.

    facts    name, value: the command, the shard, the arguments, the cache key of the last run, whether it finished,
             the folders that relative paths are seen from; then how many inputs the whole run has, with all shards,
             SHA-256 over their paths, and the layout of the table where it is not the usual one
    inputs   one row a file that was read: path as bytes, size, mtime and SHA-256 of its content; the answer, as JSON,
             the digest of the cache key (model and settings) that it was given under, and the version of the decoder.
             Until the run ends, also what a path held before, without the path: names may have changed places
    seen     one row an input of this run: its place in the order of discovery, its path, and either its row of `inputs`
             or, of one that could not be read for reasons outside the file, the result that says so

Every row ends in a digest over all that it holds, which is checked whenever it is read: SQLite itself does not notice a
byte that a disk has changed. What fails the check is answered again.

Nothing but a commit changes what the journal says, and the document is written from it alone. So a run may die
anywhere.

While a run lasts, commits go to a log beside it (SQLite's WAL) that waits for no disk: the death of the process takes
nothing that was committed, a power cut the last batches at most, and a commit costs no time. The lock keeps others out,
so SQLite needs no memory to share, and network folders will do. A finished run leaves one plain file.
"""

import hashlib
import json
import os
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import Any, NoReturn, Self

from facetag.errors import FacetagError, InputsGone, JournalError, OutputLocked, Stopped, UsageError, writing
from facetag.formats.destination import Passing, as_before, unheeded
from facetag.formats.path_encoding import one_line
from facetag.formats.result_json import record_from_json, record_to_json
from facetag.images.decode import DECODER_VERSION
from facetag.pipeline.items import Source
from facetag.results import ImageResult
from facetag.runs.cache_key import CacheKey, key_of_version_1
from facetag.runs.shards import WHOLE, Shard, as_line

ENDING = ".facetag.sqlite"  #: of the journal's name, after the output's
NEW = ".new"  #: and then, of one that is to replace a journal
APPLICATION = 0x66746167  #: SQLite's application_id: "ftag"
SCHEMA = 2  #: SQLite's user_version
FEW = 10  #: as many inputs may always vanish at once, short of all
_SUPER = bytes.fromhex("d9d505f920a163d7")  #: a rollback journal ends in it when a name stands before it
_MAGIC = b"SQLite format 3\0"  #: a database begins with it; then comes the size of a page
#: Endings of what SQLite has beside a database while it writes, and how these begin, unless it is with as many zeros.
_LOGS = {
    "-journal": (_SUPER,),
    "-wal": (bytes.fromhex("377f0682"), bytes.fromhex("377f0683")),
    "-shm": ((3_007_000).to_bytes(4, sys.byteorder),),
}
_DIGEST = 12  #: bytes of a row's digest
_SEVERAL = "several"  #: the fact `arguments` of an output whose inputs no single command named
_CACHE = 32  #: MB of pages that SQLite keeps: the index of contents is written in random order
_STEPS = 200_000  #: of SQLite's machine between two questions whether to stop: some milliseconds

_TABLES = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL, digest BLOB NOT NULL);
CREATE TABLE inputs (
    id INTEGER PRIMARY KEY, path BLOB UNIQUE, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    sha256 BLOB NOT NULL, key BLOB NOT NULL, decoder INTEGER NOT NULL, result TEXT NOT NULL, digest BLOB NOT NULL
);
CREATE INDEX contents ON inputs (sha256);
CREATE TABLE seen (
    place INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, input INTEGER, failure TEXT, digest BLOB NOT NULL
);
"""
_MARK = f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {SCHEMA};"
_ROW = "path, size, mtime_ns, sha256, key, decoder, result"
_OTHER_CONTENT = f"SELECT {_ROW}, digest FROM inputs WHERE path = ? AND key = ? AND sha256 <> ?"
_SET_ASIDE = "UPDATE inputs SET path = NULL, digest = ? WHERE path = ?"
_ADD = f"""
INSERT INTO inputs ({_ROW}, digest) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, row_digest(?1, ?2, ?3, ?4, ?5, ?6, ?7))
ON CONFLICT (path) DO UPDATE SET
    size = excluded.size, mtime_ns = excluded.mtime_ns, sha256 = excluded.sha256, key = excluded.key,
    decoder = excluded.decoder, result = excluded.result, digest = excluded.digest
"""
_COPY = f"INSERT INTO inputs ({_ROW}, digest) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_SEEN = "INTO seen VALUES (?1, ?2, ?3, ?4, row_digest(?1, ?2, ?3, ?4))"
_ANSWERED = "SELECT input FROM seen WHERE input IS NOT NULL"
_OTHERS = "SELECT count(*) FROM seen JOIN inputs ON inputs.id = seen.input WHERE inputs.key <> ?"
_FORGOTTEN = f"SELECT count(*) FROM inputs WHERE id <= ? AND path IS NOT NULL AND id NOT IN ({_ANSWERED})"
# Both subqueries are evaluated once: what is asked of each row is one look into a tree.
_GONE = f"""
SELECT count(*) FROM inputs WHERE id <= ? AND path IS NOT NULL AND id NOT IN ({_ANSWERED})
AND (sha256 = x'' OR sha256 NOT IN (SELECT sha256 FROM inputs WHERE id IN ({_ANSWERED})))
"""
RESULTS = f"""
SELECT
    seen.place, seen.path, seen.input, seen.failure, seen.digest, {_ROW.replace("path", "inputs.path")}, inputs.digest
FROM seen LEFT JOIN inputs ON inputs.id = seen.input ORDER BY place
"""
#: From version 1, whose rows had no digests; the cache keys of that version are told apart by `_moved_key`.
_MIGRATE = f"""
BEGIN IMMEDIATE;
ALTER TABLE facts RENAME TO facts_1;
ALTER TABLE inputs RENAME TO inputs_1;
DROP INDEX contents;
{_TABLES}
INSERT INTO facts SELECT name, value, row_digest(name, value) FROM facts_1;
INSERT INTO seen SELECT place, coalesce(inputs_1.path, path_in(failure)), input, failure,
    row_digest(place, coalesce(inputs_1.path, path_in(failure)), input, failure)
    FROM met LEFT JOIN inputs_1 ON inputs_1.id = met.input;
INSERT INTO inputs SELECT id, path, size, mtime_ns, sha256, moved_key(basis), 1, record,
    row_digest(path, size, mtime_ns, sha256, moved_key(basis), 1, record) FROM inputs_1;
DROP TABLE facts_1;
DROP TABLE inputs_1;
DROP TABLE met;
{_MARK}
COMMIT;
"""


#: The tables of version 1, word for word.
_TABLES_1 = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE inputs (
    id INTEGER PRIMARY KEY, path BLOB UNIQUE, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    sha256 BLOB NOT NULL, basis BLOB NOT NULL, record TEXT NOT NULL
);
CREATE INDEX contents ON inputs (sha256);
CREATE TABLE met (place INTEGER PRIMARY KEY, input INTEGER, failure TEXT);
"""


@dataclass(frozen=True)
class Known:
    """What the journal knows of a path: the file as it was, the answer to it, and the decoder that read it."""

    source: Source
    record: ImageResult
    decoder: int


class Journal:
    """An open journal; a context manager. Several threads may ask while one writes.

    Every method may raise JournalError (the file is damaged), FacetagError (it cannot be written) and Stopped.

    Attributes:
        damaged: rows that failed their check and are answered again.
    """

    def __init__(
        self,
        path: str,
        cache_key: CacheKey,
        at: Passing = unheeded,
        shard: Shard = WHOLE,
        arguments: str = "",
        stop: Callable[[], bool] = lambda: False,
        locks: bool = True,
        append: bool = False,
    ) -> None:
        """Open the journal of this key's command and this shard, or make a new one where there is none.

        Args:
            at: passed "create", "created", "commit" and "committed".
            arguments: digest of what the command was given to read; empty when that does not matter.
            stop: asked during long queries whether to end them; a handler of signals that raises ends them too.
            locks: the file system has the locks that SQLite uses; without them the caller's lock has to suffice.
            append: what was seen stays, so that a run with other arguments drops nothing.

        Raises:
            JournalError: the file is torn, no journal, of another version of facetag, or of another command or
                shard.
            UsageError: it is of a run with other arguments.
        """
        self.path = path
        self.damaged = 0
        self.cache_key = cache_key
        self._key = cache_key.digest
        self._at = at
        self._shard = shard
        self._home = os.path.dirname(os.path.realpath(path))
        self._arguments = arguments
        self._append = append
        self._lock = RLock()
        self._expected = 0
        with self._handled():
            refuse_strange_files(path)
            _refuse_no_database(path)
            if not _is_whole(path):
                raise self._damaged("it is torn")
            name = os.path.abspath(path)  # `:memory:` is no file to SQLite
            name = name if locks else f"{Path(name).as_uri()}?vfs=unix-none"
            self._base = sqlite3.connect(name, timeout=30, isolation_level=None, check_same_thread=False, uri=not locks)
        try:
            with self._handled():
                self._prepare(stop)
            self._check()
            with self._handled():
                self._base.execute("PRAGMA journal_mode = WAL")
                self._base.execute("PRAGMA synchronous = NORMAL")
                self._base.execute("BEGIN IMMEDIATE")
                self._last, self._before = self._base.execute(
                    "SELECT coalesce(max(id), 0), count(path) FROM inputs"
                ).fetchone()
        except BaseException:
            self._base.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._lock:
            self._base.close()  # what was not committed is as if it had not been

    def begin(self, folders: Iterable[str] = ("",)) -> int:
        """A new run: nothing is seen yet, everything is known still; with `append` what was seen stays.

        Args:
            folders: that relative paths are seen from; empty for the current one.

        Returns:
            The first free place.
        """
        seen_from = {*map(os.path.realpath, folders), *(self.folders() if self._append else ())}
        with self._handled():
            if not self._append:
                self._base.execute("DELETE FROM seen")
            (self._expected,) = self._base.execute("SELECT count(*) FROM seen").fetchone()
            (free,) = self._base.execute("SELECT coalesce(max(place), -1) + 1 FROM seen").fetchone()
            before = read_facts(self._base, self.path).get("arguments")
        arguments = self._arguments if before == self._arguments or not self._expected else _SEVERAL
        facts = {"arguments": arguments} if self._arguments else {}
        facts["folders"] = json.dumps(sorted(os.path.relpath(each, self._home) for each in seen_from))
        self._note(
            command=self.cache_key.command, shard=str(self._shard), basis=self.cache_key.text, finished="no", **facts
        )
        self.commit()
        return int(free)

    def folders(self) -> list[str]:
        """That the relative paths of what was seen are seen from."""
        with self._handled():
            return folders_of(read_facts(self._base, self.path), self.path)

    def index_of(self, path: str) -> int | None:
        """The place of an input that was seen."""
        with self._handled():
            row = self._base.execute("SELECT place FROM seen WHERE path = ?", (os.fsencode(path),)).fetchone()
        return row[0] if row else None

    def spelling(self, key: Callable[[str], str]) -> Callable[[str], str]:
        """From a path to the one under which the same file was seen, or else to itself.

        Args:
            key: from a path to one spelling of it.
        """
        with self._handled():
            self._base.execute("CREATE TEMP TABLE spelled (key BLOB PRIMARY KEY, path BLOB NOT NULL)")
            for (path,) in self._base.execute("SELECT path FROM seen ORDER BY place"):
                if (other := os.fsencode(key(os.fsdecode(path)))) != path:
                    self._base.execute("INSERT OR IGNORE INTO spelled VALUES (?, ?)", (other, path))

        def seen_as(path: str) -> str:
            if self.index_of(path) is not None:
                return path
            other = key(path)
            if self.index_of(other) is not None:
                return other
            with self._handled():
                row = self._base.execute("SELECT path FROM spelled WHERE key = ?", (os.fsencode(other),)).fetchone()
            return os.fsdecode(row[0]) if row else path

        return seen_as

    def seen(self) -> tuple[int, str]:
        """How many inputs were seen, and SHA-256 over their paths, as `shards.Enumeration` has them."""
        state = hashlib.sha256()
        with self._handled():
            for (path,) in self._base.execute("SELECT path FROM seen ORDER BY place"):
                state.update(as_line(os.fsdecode(path)))
        return self._expected, state.hexdigest()

    def count_of_others(self) -> int:
        """How many of the inputs seen have their answer under another key: an earlier run's, which is kept."""
        with self._handled():
            return int(self._base.execute(_OTHERS, (self._key,)).fetchone()[0])

    def known(self, path: str) -> Known | None:
        """What an earlier run answered to the file of this path, under the same key."""
        return self._known("path = ? AND key = ?", os.fsencode(path), path)

    def had(self, path: str) -> bool:
        """Whether an earlier run answered this path, to whatever question."""
        with self._handled():
            row = self._base.execute(
                "SELECT 1 FROM inputs WHERE path = ? AND id <= ?", (os.fsencode(path), self._last)
            ).fetchone()
        return row is not None

    def answer_to(self, sha256: bytes) -> Known | None:
        """The answer to this content, whatever its name, under the same key."""
        return self._known("sha256 = ? AND key = ? LIMIT 1", sha256)

    def _known(self, condition: str, value: bytes, path: str | None = None) -> Known | None:
        with self._handled():
            row = self._base.execute(
                f"SELECT {_ROW}, digest FROM inputs WHERE {condition}", (value, self._key)
            ).fetchone()
        if row is None:
            return None
        record = self._whole(row) if row[-1] == _row_digest(*row[:-1]) else None
        if record is None or (path is not None and row[0] != value):
            self.damaged += 1
            return None
        return Known(Source(*row[1:4]), record, row[5])

    def _whole(self, row: Sequence[Any]) -> ImageResult | None:
        try:
            return record_from_json(row[6])
        except ValueError:
            return None

    def keep(self, index: int, path: str) -> None:
        """An input is seen whose row stands as it is."""
        name = os.fsencode(path)
        with self._handled():
            row = self._base.execute("SELECT id FROM inputs WHERE path = ?", (name,)).fetchone()
            if row is None:
                raise self._damaged("a row is gone")
            self._see(index, name, row[0], None)

    def add(self, index: int, record: ImageResult, source: Source | None, decoder: int = DECODER_VERSION) -> None:
        """An input is seen and answered; without a source it could not be read, and what is known of it stays."""
        text, path = record_to_json(record), os.fsencode(record.path)
        with self._handled():
            if source is None:
                self._see(index, path, None, text)
                return
            size, mtime_ns = source.size, source.mtime_ns
            row = self._base.execute(_OTHER_CONTENT, (path, self._key, source.sha256)).fetchone()
            if row and row[-1] == _row_digest(*row[:-1]):  # else it would be whole again, and believed
                self._base.execute(_SET_ASIDE, (_row_digest(None, *row[1:-1]), path))
            self._base.execute(_ADD, (path, size, mtime_ns, source.sha256, self._key, decoder, text))
        self.keep(index, record.path)

    def copy(self, index: int, path: bytes, row: Sequence[Any] | None, failure: str | None) -> None:
        """An input is seen that another journal has; this one has nothing of its path.

        Args:
            row: of `inputs` without the id, with the digest, which was checked; None of what could not be read.
            failure: the result that says so.

        Raises:
            JournalError: it has, so two journals name that path.
        """
        with self._handled():
            try:
                new = self._base.execute(_COPY, row).lastrowid if row else None
                self._base.execute(f"INSERT {_SEEN}", (index, path, new, failure))
            except sqlite3.IntegrityError as error:
                raise JournalError(
                    f"{one_line(os.fsdecode(path))} is in two journals", "run their commands again with --overwrite"
                ) from error
        self._expected += 1

    def _see(self, index: int, path: bytes, row: int | None, failure: str | None) -> None:
        before = self._base.execute("SELECT count(*) FROM seen WHERE place = ?", (index,)).fetchone()[0]
        self._base.execute(f"INSERT OR REPLACE {_SEEN}", (index, path, row, failure))
        self._expected += 1 - before

    def commit(self) -> None:
        """What was done since the last commit outlives the process."""
        with self._handled():
            self._at("commit")
            self._base.execute("COMMIT")
            self._at("committed")
            self._base.execute("BEGIN IMMEDIATE")

    def refuse_emptying(self, out: str) -> None:
        """After a whole run: an archive that is not mounted is not a reason to forget its answers.

        Raises:
            InputsGone: of the inputs that earlier runs answered, more than half and more than FEW are gone, by path
                and by content; or all of them, and no input is left that could be read.
        """
        with self._handled():
            (gone,) = self._base.execute(_GONE, (self._last,)).fetchone()
            (answered,) = self._base.execute(f"SELECT count(*) FROM ({_ANSWERED})").fetchone()
        if 2 * gone > self._before and (gone > FEW or answered == 0):
            raise InputsGone(
                f"{gone} of the {self._before} inputs that earlier runs answered for {out} are gone",
                "bring them back, or let them leave the output with --prune",
            )

    def finish(self, inputs: int, digest: str, layout: str = "") -> int:
        """The document is written: forget what this run did not see.

        Args:
            inputs, digest: as `shards.Enumeration` has them.
            layout: of the document, as `formats.writers.layout` spells it; empty for the usual one.

        Returns:
            How many paths of earlier runs are forgotten; those that could not be read this time among them.
        """
        with self._handled():
            forgotten = int(self._base.execute(_FORGOTTEN, (self._last,)).fetchone()[0])
            self._base.execute(f"DELETE FROM inputs WHERE id NOT IN ({_ANSWERED})")
        self._note(finished="yes", inputs=str(inputs), digest=digest, layout=layout)
        self.commit()
        self.rest()
        return forgotten

    def rest(self) -> None:
        """What was not committed is forgotten; the journal is one plain file, which can be read where nobody writes."""
        with self._handled():
            self._base.execute("ROLLBACK")  # inside a transaction the log cannot go
            self._base.execute("PRAGMA journal_mode = DELETE")

    def records(self) -> Iterator[ImageResult]:
        """The result of every input seen, in the order of their places.

        Raises:
            JournalError: a row is damaged or missing.
        """
        count = 0
        with self._handled():
            rows = self._base.execute(RESULTS)
            while row := rows.fetchone():
                yield self._record(row)
                count += 1
        if count != self._expected:
            raise self._damaged(f"it has {count} of {self._expected} inputs")

    def _record(self, row: Sequence[Any]) -> ImageResult:
        return row_result(row) or self._fail("a row was changed")

    def _fail(self, reason: str) -> NoReturn:
        raise self._damaged(reason)

    def _note(self, **facts: str) -> None:
        with self._handled():
            rows = [(name, value, _row_digest(name, value)) for name, value in facts.items()]
            self._base.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?, ?)", rows)

    def _prepare(self, stop: Callable[[], bool]) -> None:
        """What strangers wrote into the file runs nothing; our own functions; long queries can be ended."""
        self._base.execute("PRAGMA trusted_schema = OFF")
        self._base.text_factory = lambda text: text.decode("utf-8", "replace")  # what is no UTF-8 fails its row's check
        self._base.execute("PRAGMA secure_delete = ON")  # what is excluded later is not left in freed pages
        self._base.create_function("row_digest", -1, _row_digest, deterministic=True)
        self._base.create_function("path_in", 1, _path_in, deterministic=True)
        self._base.set_progress_handler(lambda: int(stop()), _STEPS)
        self._base.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._base.execute(f"PRAGMA cache_size = {-1024 * _CACHE}")

    def _check(self) -> None:
        """Make the tables of a new journal, or make sure that they are ours."""
        with self._handled():
            if not self._base.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                self._at("create")
                self._base.executescript(f"BEGIN; {_TABLES} {_MARK} COMMIT;")
                self._at("created")
            (application,) = self._base.execute("PRAGMA application_id").fetchone()
            (schema,) = self._base.execute("PRAGMA user_version").fetchone()
            if application != APPLICATION:
                raise _of_another_program(self.path)
            if schema not in (1, SCHEMA):
                raise JournalError(
                    f"{self.path} was made by another version of facetag", "use that version, or --overwrite"
                )
            refuse_strange_tables(self._base, schema, self.path)
            if schema == 1:
                self._migrate()
            facts = read_facts(self._base, self.path)
        self._check_facts(facts)

    def _check_facts(self, facts: Mapping[str, str]) -> None:
        command, shard = facts.get("command", self.cache_key.command), facts.get("shard", str(self._shard))
        if command != self.cache_key.command:
            raise JournalError(
                f"{self.path} belongs to an output of `facetag {command}`", "choose another --out, or use --overwrite"
            )
        if shard != str(self._shard):
            raise JournalError(f"{self.path} belongs to shard {shard}", "choose another --out, or use --overwrite")
        names_others = self._arguments and facts.get("arguments", self._arguments) != self._arguments
        if names_others and not self._append:
            raise UsageError(
                f"{self.path} is of a run that was given other inputs, which would leave the output",
                "name the same inputs, choose another --out, add these with --append, or use --overwrite",
            )

    def _migrate(self) -> None:
        """From version 1, in one transaction. Answers under the key of its last run move to the key that asks the same
        question now; all others keep keys that nobody asks for."""
        facts = dict(self._base.execute("SELECT name, value FROM facts"))
        old = facts.get("basis", "")
        moved = {hashlib.sha256(old.encode()).digest(): key_of_version_1(old)}
        self._base.create_function("moved_key", 1, lambda key: moved.get(key) or key, deterministic=True)
        self._base.executescript(_MIGRATE)

    @contextmanager
    def _handled(self) -> Iterator[None]:
        """One thread at a time, and SQLite's errors as ours."""
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_INTERRUPT:
                    raise Stopped from error
                raise self._explained(error) from error
            except UnicodeDecodeError as error:  # of a name in SQLite's own message
                raise self._damaged("its tables are named in no known script") from error
            except (OverflowError, TypeError) as error:  # of a value that has another type than its column
                raise self._damaged(str(error)) from error
            except OSError as error:
                raise self._unwritten(error.strerror or str(error)) from error

    def _explained(self, error: sqlite3.Error) -> FacetagError:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            return self._unwritten("No space left on device")
        if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
            return self._unwritten(str(error))
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return OutputLocked(f"another program uses {self.path}", "close it")
        return self._damaged(str(error))

    def _unwritten(self, reason: str) -> FacetagError:
        remedy = "make room or mend that; the same command goes on where this one ended"
        return FacetagError(f"cannot write {self.path}: {reason}", remedy)

    def _damaged(self, reason: str) -> JournalError:
        return JournalError(f"{self.path} is damaged or no journal ({reason})", "restore it, or use --overwrite")


def _row_digest(*values: object) -> bytes:
    """Over all that a row holds, each value with its type and length."""
    state = hashlib.sha256()
    for value in values:
        data = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
        state.update(f"{type(value).__name__} {len(data)} ".encode())
        state.update(data)
    return state.digest()[:_DIGEST]


def _path_in(text: str | None) -> bytes | None:
    """The path of a result in JSON; None of what is none."""
    try:
        return os.fsencode(record_from_json(text).path) if text else None
    except ValueError:
        return None


def row_result(row: Sequence[Any]) -> ImageResult | None:
    """The result of one row of `RESULTS`; None of one that was changed."""
    index, path, number, failure, digest, *values = row
    if digest != _row_digest(index, path, number, failure):
        return None
    try:
        if number is None:
            return record_from_json(failure)
        if values[-1] != _row_digest(*values[:-1]) or values[0] != path:
            return None
        return record_from_json(values[6])
    except (TypeError, ValueError):
        return None


def read_facts(base: sqlite3.Connection, path: str) -> dict[str, str]:
    """The facts of a journal.

    Raises:
        JournalError: one was changed.
    """
    rows = base.execute("SELECT name, value, digest FROM facts").fetchall()
    if any(digest != _row_digest(name, value) for name, value, digest in rows):
        raise JournalError(f"{path} is damaged or no journal (a fact was changed)", "restore it, or use --overwrite")
    return {name: value for name, value, _ in rows}


def folders_of(facts: Mapping[str, str], path: str) -> list[str]:
    """That the relative paths in a journal are seen from. They are kept as seen from the journal's folder, so that an
    archive may be moved together with it.

    Raises:
        JournalError: they are none.
    """
    home = os.path.dirname(os.path.realpath(path))
    try:
        return [os.path.realpath(os.path.join(home, each)) for each in json.loads(facts.get("folders", "[]"))]
    except (RecursionError, TypeError, ValueError) as error:
        raise JournalError(
            f"{path} is damaged or no journal (its folders are none)", "restore it, or use --overwrite"
        ) from error


def refuse_strange_tables(base: sqlite3.Connection, schema: int, path: str) -> None:
    """A journal holds exactly our tables: triggers, views and other columns could lose rows or never end.

    Raises:
        JournalError: it holds something else.
    """
    wanted = {" ".join(text.split()) for text in (_TABLES_1 if schema == 1 else _TABLES).split(";")} - {""}
    found = {" ".join(text.split()) for (text,) in base.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")}
    if found != wanted:
        raise JournalError(
            f"{path} is damaged or no journal (its tables are not facetag's)", "restore it, or use --overwrite"
        )


def refuse_strange_files(path: str) -> None:
    """Before SQLite opens a journal: it is a regular file, and what lies beside it is what SQLite leaves there.

    SQLite deletes the file that a rollback journal names at its end (its super-journal), whosever that is; facetag
    never writes such a name.

    Raises:
        JournalError: it is something else.
    """
    for file in (path, *(path + ending for ending in _LOGS)):
        try:
            mode = os.lstat(file).st_mode
        except FileNotFoundError:
            continue
        if not stat.S_ISREG(mode):
            raise JournalError(f"{file} is not a regular file", "move it away, or choose another --out")
    _refuse_other_logs(path)
    try:
        with open(path + "-journal", "rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(stream.tell() - len(_SUPER), 0))
            strange = stream.read() == _SUPER
    except FileNotFoundError:
        return
    if strange:
        raise JournalError(f"{path}-journal names another file, which SQLite would delete", "move it away")


def _refuse_other_logs(path: str) -> None:
    """SQLite deletes what it finds under the names of its logs, whosever that is.

    Raises:
        JournalError: it is none of SQLite's.
    """
    for ending, beginnings in _LOGS.items():
        head = _head(path + ending)[: len(beginnings[0])]
        if any(head) and head not in beginnings:
            raise JournalError(f"{path}{ending} is not SQLite's, which would delete it", "move it away")


def refuse_other_programs(path: str) -> None:
    """Before a journal is removed or replaced: what another program keeps there is not facetag's to remove.

    Raises:
        JournalError: it is another's database, or under a name that the user chose no database at all.
    """
    if _program(path) not in (None, APPLICATION):
        raise _of_another_program(path)
    _refuse_no_database(path)
    _refuse_other_logs(path)


def _refuse_no_database(path: str) -> None:
    """What has a journal's name is one, however damaged; under a name that the user chose may lie anything.

    Raises:
        JournalError: it is no database.
    """
    if _program(path) is None and _head(path) and not path.removesuffix(NEW).endswith(ENDING):
        raise _of_another_program(path)


def is_journal(path: str) -> bool:
    """Whether a file says of itself that it is a journal of facetag."""
    return _program(path) == APPLICATION


def _program(path: str) -> int | None:
    """SQLite's application_id of what lies there; None of what is no database."""
    head = _head(path)
    return int.from_bytes(head[68:72]) if head.startswith(_MAGIC) else None


def _head(path: str) -> bytes:
    """A file's first bytes; none of what is not there or cannot be read, for removing it says what is wrong."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:
            return stream.read(72)
    except OSError:
        return b""


def _of_another_program(path: str) -> JournalError:
    return JournalError(f"{path} belongs to another program", "choose another --out or --journal, or move it away")


def _is_whole(path: str) -> bool:
    """Whether a database has whole pages, which SQLite does not mind; what a dead run left beside it may mend it."""
    if any(os.path.exists(path + ending) for ending in _LOGS):
        return True
    try:
        with open(path, "rb") as stream:
            head = stream.read(18)
            size = os.fstat(stream.fileno()).st_size
    except FileNotFoundError:
        return True
    page = max(int.from_bytes(head[16:]), 2) if head.startswith(_MAGIC) else 0
    return size == 0 or (page > 0 and size % page == 0)


def make_journal(path: str, out: str) -> None:
    """Where there is no journal yet, an empty one for those who may read the output: it holds the same answers.

    Raises:
        FacetagError: it cannot be made.
    """
    if os.path.lexists(path) or not os.path.isfile(out):
        return
    with writing(path):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            as_before(os.path.realpath(out), handle)
        finally:
            os.close(handle)


def remove_journal(path: str) -> None:
    """Remove a journal; first of all what SQLite would mend it with, which would make rubbish of a new one.

    Raises:
        FacetagError: it cannot be removed.
    """
    try:
        for file in (*(path + ending for ending in _LOGS), path):
            with suppress(FileNotFoundError):
                os.unlink(file)
    except OSError as error:
        raise FacetagError(f"cannot remove {path}: {error.strerror}", "mend that, or choose another --out") from error
