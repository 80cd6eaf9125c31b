"""Shards of one run, by the journals beside their outputs, read and not changed."""

import fcntl
import heapq
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from facetag.errors import DataError, JournalError, UsageError
from facetag.formats.destination import next_to
from facetag.formats.writers.layout import Layout
from facetag.remote.url import as_url
from facetag.results import ImageResult
from facetag.runs.cache_key import CacheKey
from facetag.runs.journal import (
    APPLICATION,
    ENDING,
    RESULTS,
    SCHEMA,
    folders_of,
    is_journal,
    read_facts,
    refuse_strange_files,
    refuse_strange_tables,
    row_result,
)
from facetag.runs.lock import knows_record_locks
from facetag.runs.shards import Shard
from facetag.settings import settings_from

_AGAIN = "run its command again"


@dataclass(frozen=True)
class Row:
    """An input of a part.

    Attributes:
        index: its place in the order of the whole run.
        record: the answer.
        path, stored, failure: as `Journal.copy` has them.
    """

    index: int
    record: ImageResult
    path: bytes
    stored: Sequence[Any] | None
    failure: str | None


@dataclass(frozen=True)
class Part:
    """A finished run of one shard.

    Attributes:
        out: its output or journal, as it was named.
        cache_key: what its answers depend on.
        shard: which it is.
        inputs, digest: of the whole run: how many, and SHA-256 over their paths in order.
        layout: of its table; None for the usual one, and for what is no table.
        folders: that its relative paths are seen from.
    """

    out: str
    cache_key: CacheKey
    shard: Shard
    inputs: int
    digest: str
    layout: Layout | None
    folders: Sequence[str] = ()

    def rows(self) -> Iterator[Row]:
        """Its inputs, in the order of their places.

        Raises:
            JournalError: the journal is damaged.
        """
        with _reading(self.out) as base:
            for row in base.execute(RESULTS):
                record = row_result(row)
                if record is None:
                    raise JournalError(f"the journal beside {self.out} is damaged", _AGAIN)
                yield Row(row[0], record, row[1], None if row[2] is None else row[5:], row[3])


def journal_of(out: str) -> str:
    """The journal beside an output; what is one itself, where nothing lies beside it."""
    usual = next_to(out, ENDING)
    return out if not os.path.exists(usual) and is_journal(out) else usual


def read_part(out: str) -> Part:
    """The part that wrote `out`.

    Raises:
        JournalError: there is no journal beside it, or it is torn, foreign or of a run that did not end.
    """
    with _reading(out) as base:
        (application,), (schema,) = (base.execute(f"PRAGMA {n}").fetchone() for n in ("application_id", "user_version"))
        if (application, schema) != (APPLICATION, SCHEMA):
            raise JournalError(f"the journal beside {out} was not made by this version of facetag", _AGAIN)
        path = journal_of(out)
        refuse_strange_tables(base, schema, path)
        facts = read_facts(base, path)
    if facts.get("finished") != "yes":
        raise JournalError(f"the run that writes {out} did not end yet", _AGAIN)
    try:
        cache_key = settings_from(CacheKey, json.loads(facts["basis"]), out)
        shard, inputs = Shard.parse(facts["shard"]), int(facts["inputs"])
        layout = Layout.of_text(facts["layout"]) if facts.get("layout") else None
        return Part(out, cache_key, shard, inputs, facts["digest"], layout, folders_of(facts, path))
    except (DataError, KeyError, RecursionError, TypeError, UsageError, ValueError) as error:
        raise JournalError(f"the journal beside {out} is damaged", f"{_AGAIN} with --overwrite") from error


def check_parts(parts: Sequence[Part]) -> None:
    """All the shards of one run, each once.

    Raises:
        UsageError: they are not; says which and why.
    """
    first = parts[0]
    for part in parts[1:]:
        both = f"{first.out} and {part.out}"
        if differences := _differences(first.cache_key, part.cache_key):
            raise UsageError(f"{both} differ in {', '.join(differences)}", "run the shards with one command")
        if part.layout != first.layout:
            raise UsageError(f"{both} differ in --columns or --explode", "write both with the same ones")
        if part.shard.count != first.shard.count:
            raise UsageError(f"{both} are shards {first.shard} and {part.shard}", "name the shards of one run")
        if (part.inputs, part.digest) != (first.inputs, first.digest):
            raise UsageError(f"{both} did not meet the same inputs", "run the shards again, in the same place")
    _check_complete(parts)


def merged(parts: Sequence[Part]) -> Iterator[Row]:
    """The inputs of all parts, in the order of the whole run.

    Raises:
        JournalError: a journal is damaged.
    """
    expected = 0
    for row in heapq.merge(*(part.rows() for part in parts), key=lambda row: row.index):
        if row.index != expected:
            break
        yield row
        expected += 1
    if expected != parts[0].inputs:
        raise JournalError(f"input {expected + 1} of the run is not in its journals once", _AGAIN)


def _check_complete(parts: Sequence[Part]) -> None:
    by_shard: dict[Shard, Part] = {}
    for part in parts:
        if twin := by_shard.get(part.shard):
            raise UsageError(f"{twin.out} and {part.out} are both shard {part.shard}", "name each shard once")
        by_shard[part.shard] = part
    count = parts[0].shard.count
    missing = (str(shard) for index in range(1, count + 1) if (shard := Shard(index, count)) not in by_shard)
    if some := list(islice(missing, 5)):
        number = count - len(by_shard)
        names = ", ".join(some) + ", ..." * (number > len(some))
        raise UsageError(f"{number} of {count} shards missing: {names}", "name the outputs of all")


def _differences(one: CacheKey, other: CacheKey) -> list[str]:
    pairs = asdict(one), asdict(other)
    return [name for name in pairs[0] if pairs[0][name] != pairs[1][name]]


@contextmanager
def _reading(out: str) -> Iterator[sqlite3.Connection]:
    path = Path(journal_of(out))
    if not path.exists():
        if as_url(out):
            raise JournalError(f"no journal lies at {out}", "name the journals of the shards, which lie here")
        raise JournalError(f"no journal lies beside {out}", f"name files that --out wrote, each with its {ENDING}")
    refuse_strange_files(str(path))
    try:
        with path.open("rb") as stream:
            locks = "" if knows_record_locks(stream.fileno(), fcntl.LOCK_SH) else "&vfs=unix-none"
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro{locks}", uri=True, timeout=1)) as base:
            base.execute("PRAGMA trusted_schema = OFF")
            yield base
    except (OSError, OverflowError, sqlite3.Error, TypeError, ValueError) as error:
        raise JournalError(f"the journal beside {out} cannot be read ({error})", _AGAIN) from error
