"""The journal beside an output: what is known of every input, and which inputs this run has met, in SQLite.

    facts    name, value: the command, the shard, the basis of the last run, whether it finished; then how many inputs
             the whole run has, with all shards, and SHA-256 over their paths
    inputs   one row a file that was read: path as bytes, size, mtime and SHA-256 of its content; the answer, as JSON,
             and the digest of the basis (model and settings) that it was given on. Until the run ends, also what a path
             held before, without the path: names may have changed places
    met      one row an input of this run: its place in the order of discovery, and either its row of `inputs` or, of
             one that could not be read for reasons outside the file, the record that says so

Nothing but a commit changes what it says, and the document is written from it alone, so a run may die anywhere.

While a run lasts, commits go to a log beside it (SQLite's WAL) that waits for no disk: the death of the process takes
nothing that was committed, a power cut the last batches at most, and a commit costs no time. The lock keeps others out,
so SQLite needs no memory to share, and network folders will do. A finished run leaves one plain file.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import RLock
from types import TracebackType
from typing import Any, Self

from facetag.errors import FacetagError, InputsGone, JournalError, OutputLocked
from facetag.formats.destination import Passing, unheeded
from facetag.formats.result_json import record_from_json, record_to_json
from facetag.pipeline.items import Source
from facetag.results import ImageRecord
from facetag.runs.cache_key import Basis
from facetag.runs.shards import WHOLE, Shard

ENDING = ".facetag.sqlite"  #: of the journal's name, after the output's
APPLICATION = 0x66746167  #: SQLite's application_id: "ftag"
SCHEMA = 1  #: SQLite's user_version
_MAGIC = b"SQLite format 3\0"  #: a database begins with it; then comes the size of a page
_LOGS = ("-journal", "-wal", "-shm")  #: endings of what SQLite has beside a database while it writes
FEW = 10  #: as many inputs may always vanish at once, short of all

_TABLES = f"""
BEGIN;
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE inputs (
    id INTEGER PRIMARY KEY, path BLOB UNIQUE, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    sha256 BLOB NOT NULL, basis BLOB NOT NULL, record TEXT NOT NULL
);
CREATE INDEX contents ON inputs (sha256);
CREATE TABLE met (place INTEGER PRIMARY KEY, input INTEGER, failure TEXT);
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {SCHEMA};
COMMIT;
"""
_SET_ASIDE = "UPDATE inputs SET path = NULL WHERE path = ? AND basis = ? AND sha256 <> ?"
_ADD = """
INSERT INTO inputs (path, size, mtime_ns, sha256, basis, record) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (path) DO UPDATE SET
    size = excluded.size, mtime_ns = excluded.mtime_ns, sha256 = excluded.sha256, basis = excluded.basis,
    record = excluded.record
"""
_ANSWERED = "SELECT input FROM met WHERE input IS NOT NULL"
_FORGOTTEN = f"SELECT count(*) FROM inputs WHERE id <= ? AND path IS NOT NULL AND id NOT IN ({_ANSWERED})"
_GONE = f"""
SELECT count(*) FROM inputs AS gone WHERE id <= ? AND path IS NOT NULL AND id NOT IN ({_ANSWERED}) AND NOT EXISTS (
    SELECT 1 FROM inputs AS other WHERE other.sha256 = gone.sha256 AND gone.sha256 <> x'' AND other.id IN ({_ANSWERED})
)
"""


@dataclass(frozen=True)
class Known:
    """What the journal knows of a path: the file as it was, and the answer to it on the same basis."""

    source: Source
    record: ImageRecord


class Journal:
    """An open journal; a context manager. Several threads may ask while one writes.

    Every method may raise JournalError (the file is damaged) and FacetagError (it cannot be written).
    """

    def __init__(self, path: str, basis: Basis, at: Passing = unheeded, shard: Shard = WHOLE) -> None:
        """Open the journal of this basis' command and this shard, or make a new one where there is none.

        Args:
            at: passed "create", "created", "commit" and "committed".

        Raises:
            JournalError: the file is torn, no journal, of another version of facetag, or of another command or
                shard.
        """
        self.path = path
        self._basis = basis
        self._digest = basis.digest
        self._at = at
        self._shard = shard
        self._lock = RLock()
        with self._handled():
            if not _is_whole(path):
                raise self._damaged("it is torn")
            self._base = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        try:
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

    def begin(self) -> None:
        """A new run: nothing is met yet, everything is known still."""
        with self._handled():
            self._base.execute("DELETE FROM met")
        self._note(command=self._basis.command, shard=str(self._shard), basis=self._basis.text, finished="no")
        self.commit()

    def known(self, path: str) -> Known | None:
        """What an earlier run answered to the file of this path, on the same basis."""
        with self._handled():
            row = self._base.execute(
                "SELECT size, mtime_ns, sha256, record FROM inputs WHERE path = ? AND basis = ?",
                (os.fsencode(path), self._digest),
            ).fetchone()
        return Known(Source(*row[:3]), self._record(row[3])) if row else None

    def had(self, path: str) -> bool:
        """Whether an earlier run answered this path, to whatever question."""
        with self._handled():
            row = self._base.execute(
                "SELECT 1 FROM inputs WHERE path = ? AND id <= ?", (os.fsencode(path), self._last)
            ).fetchone()
        return row is not None

    def answer_to(self, sha256: bytes) -> ImageRecord | None:
        """The answer to this content, whatever its name, on the same basis."""
        with self._handled():
            row = self._base.execute(
                "SELECT record FROM inputs WHERE sha256 = ? AND basis = ? LIMIT 1", (sha256, self._digest)
            ).fetchone()
        return self._record(row[0]) if row else None

    def keep(self, place: int, path: str) -> None:
        """An input is met whose row stands as it is."""
        with self._handled():
            self._base.execute(
                "INSERT INTO met SELECT ?, id, NULL FROM inputs WHERE path = ?", (place, os.fsencode(path))
            )

    def add(self, place: int, record: ImageRecord, source: Source | None) -> None:
        """An input is met and answered; without a source it could not be read, and what is known of it stays."""
        text = record_to_json(record)
        with self._handled():
            if source is None:
                self._base.execute("INSERT INTO met VALUES (?, NULL, ?)", (place, text))
                return
            path = os.fsencode(record.path)
            self._base.execute(_SET_ASIDE, (path, self._digest, source.sha256))
            self._base.execute(_ADD, (path, source.size, source.mtime_ns, source.sha256, self._digest, text))
        self.keep(place, record.path)

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

    def finish(self, inputs: int, digest: str) -> int:
        """The document is written: forget what this run did not meet. See `shards.Enumeration` for the arguments.

        Returns:
            How many paths of earlier runs are forgotten; those that could not be read this time among them.
        """
        with self._handled():
            forgotten = int(self._base.execute(_FORGOTTEN, (self._last,)).fetchone()[0])
            self._base.execute(f"DELETE FROM inputs WHERE id NOT IN ({_ANSWERED})")
        self._note(finished="yes", inputs=str(inputs), digest=digest)
        self.commit()
        with self._handled():
            self._base.execute("ROLLBACK")  # of nothing; inside a transaction the log cannot go
            self._base.execute("PRAGMA journal_mode = DELETE")
        return forgotten

    def records(self) -> Iterator[ImageRecord]:
        """The record of every input met, in the order of their places."""
        with self._handled():
            rows = self._base.execute(
                "SELECT coalesce(failure, record) FROM met LEFT JOIN inputs ON inputs.id = met.input ORDER BY place"
            )
            while row := rows.fetchone():
                yield self._record(row[0])

    def _note(self, **facts: str) -> None:
        with self._handled():
            self._base.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", facts.items())

    def _record(self, text: Any) -> ImageRecord:
        try:
            return record_from_json(text)
        except ValueError as error:
            raise self._damaged(str(error)) from error

    def _check(self) -> None:
        """Make the tables of a new journal, or make sure that they are ours."""
        with self._handled():
            self._base.execute("PRAGMA locking_mode = EXCLUSIVE")
            if not self._base.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                self._at("create")
                self._base.executescript(_TABLES)
                self._at("created")
            (application,) = self._base.execute("PRAGMA application_id").fetchone()
            (schema,) = self._base.execute("PRAGMA user_version").fetchone()
            if application != APPLICATION:
                raise JournalError(f"{self.path} belongs to another program", "choose another --out, or move it away")
            if schema != SCHEMA:
                raise JournalError(
                    f"{self.path} was made by another version of facetag", "use that version, or --overwrite"
                )
            facts = dict(self._base.execute("SELECT name, value FROM facts"))
        command, shard = facts.get("command", self._basis.command), facts.get("shard", str(self._shard))
        if command != self._basis.command:
            raise JournalError(
                f"{self.path} belongs to an output of `facetag {command}`", "choose another --out, or use --overwrite"
            )
        if shard != str(self._shard):
            raise JournalError(f"{self.path} belongs to shard {shard}", "choose another --out, or use --overwrite")

    @contextmanager
    def _handled(self) -> Iterator[None]:
        """One thread at a time, and SQLite's errors as ours."""
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                raise self._explained(error) from error
            except UnicodeDecodeError as error:  # of a name in SQLite's own message
                raise self._damaged("its tables are named in no known script") from error
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
