"""Shards to the document that one run would have written, with the journal that it would have left."""

import os
from collections.abc import Iterable, Sequence

from facetag.errors import UsageError, writing
from facetag.formats.destination import is_regular, next_to, refuse_foreign, refuse_to_replace
from facetag.formats.writers import format_of
from facetag.runs.journal import ENDING, Journal, make_journal, refuse_other_programs, remove_journal
from facetag.runs.lock import locked
from facetag.runs.run import LOCK, Document, publish
from facetag.runs.run_report import ENDING as REPORT
from facetag.runs.run_report import is_record
from facetag.runs.shard_journals import Part, Row, check_parts, merged, read_part

_COMMIT = 1000  #: rows


def merge(
    outputs: Sequence[str], out: str, format: str | None = None, lock_wait: float = 0.0, overwrite: bool = False
) -> int:
    """Write the document of the whole run that these outputs are the shards of; answers how many inputs it has.

    A regular file gets its journal too, so that the run's command without --shard goes on from it.

    Args:
        overwrite: also a file that facetag did not write.

    Raises:
        UsageError: the outputs are not all the shards of one run, the format is unknown, or a picture, or a file that
            facetag did not write, would be replaced.
        JournalError: a journal is missing, damaged or of a run that did not end.
        OutputLocked: a run writes this file.
        FacetagError: it cannot be written.
    """
    parts = [read_part(output) for output in outputs]
    check_parts(parts)
    first = parts[0]
    document = Document(out, format_of(out, format), first.cache_key.attributes, first.cache_key.decide)
    if not is_regular(out):
        publish((row.record for row in merged(parts)), document)
        return first.inputs
    path = next_to(out, ENDING)
    if path in {next_to(output, ENDING) for output in outputs}:
        raise UsageError(f"{out} is one of the shards", "choose another --out")
    refuse_to_replace(out)
    with locked(next_to(out, LOCK), out, lock_wait) as for_sqlite:
        if not overwrite:
            refuse_foreign(out, is_record(next_to(out, REPORT)), path)
        refuse_other_programs(path)
        _write(parts, document, path, for_sqlite)
    return first.inputs


def _write(parts: Sequence[Part], document: Document, path: str, for_sqlite: bool) -> None:
    """The document and its journal at `path`; what lies there goes last, so that a merge that fails takes nothing."""
    new = f"{path}.new"
    remove_journal(new)
    make_journal(new, document.out)
    try:
        with Journal(new, parts[0].cache_key, locks=for_sqlite) as journal:
            _fill(journal, merged(parts))
            publish(journal.records(), document)
            journal.finish(parts[0].inputs, parts[0].digest)
        remove_journal(path)
        with writing(path):
            os.replace(new, path)
    finally:
        remove_journal(new)


def _fill(journal: Journal, rows: Iterable[Row]) -> None:
    journal.begin()
    for row in rows:
        journal.add(row.index, row.record, row.source, row.decoder)
        if row.index % _COMMIT == 0:
            journal.commit()
    journal.commit()
