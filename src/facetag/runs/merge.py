"""Shards to the document that one run would have written, with the journal that it would have left."""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace

from facetag.errors import JournalError, UsageError, writing
from facetag.formats.destination import as_it_is, is_regular, refuse_foreign, refuse_to_replace
from facetag.formats.part_folder import is_folder
from facetag.formats.writers import format_of
from facetag.formats.writers.layout import WRITERS as LAYOUTS
from facetag.results import ImageResult
from facetag.runs.journal import NEW, Journal, is_journal, make_journal, refuse_other_programs, remove_journal
from facetag.runs.run import Document, publish
from facetag.runs.shard_journals import Part, check_parts, journal_of, merged, read_part

_COMMIT = 1000  #: rows


def merge(
    outputs: Sequence[str],
    out: str,
    format: str | None = None,
    lock_wait: float = 0.0,
    overwrite: bool = False,
    journal: str | None = None,
) -> int:
    """Write the document of the whole run that these outputs are the shards of; answers how many inputs it has.

    A shard is named by its output, or by its journal where that does not lie beside it. A regular file gets its journal
    too, so that the run's command without --shard goes on from it. A table has the columns that the shards were written
    with (--columns, --explode).

    Args:
        overwrite: also a file that facetag did not write.
        journal: where the merged run's journal is to be, if not beside `out`.

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
    chosen, cache_key = format_of(out, format), first.cache_key
    layout = first.layout if chosen in LAYOUTS else None  # else it has no columns
    document = Document(out, chosen, cache_key.attributes, cache_key.decide, layout, journal)
    if not is_regular(out):
        if journal:
            raise UsageError("--journal is of an output that is a file", "add --out FILE")
        publish((row.record for row in merged(parts)), document)
        return first.inputs
    files = document.files
    shards = {os.path.realpath(journal_of(output)) for output in outputs}
    if not shards.isdisjoint(map(os.path.realpath, (files.journal, files.journal + NEW))):
        raise UsageError(f"the journal of {out} is one of the shards", "choose another --out or --journal")
    refuse_to_replace(out, *outputs)
    with files.locked(lock_wait) as for_sqlite:
        document = replace(document, out=as_it_is(out))
        if not overwrite:
            refuse_foreign(document.out, files.know_out)
            _refuse_other_runs(files.journal, journal is not None, first)
        refuse_other_programs(files.journal)
        _write(parts, document, files.journal, for_sqlite)
    return first.inputs


def _refuse_other_runs(path: str, is_named: bool, first: Part) -> None:
    """Before a merged journal is written: the user named no journal of another command, and what has the name that ours
    has while it is written is no other run's.

    Raises:
        JournalError: it is.
    """
    there, new = _finished(path), _finished(path + NEW)
    if is_named and there and there.cache_key.command != first.cache_key.command:
        raise JournalError(f"{path} is of another run", "choose another --journal, or use --overwrite")
    if new and new.digest != first.digest:
        raise JournalError(f"{path}{NEW} is of another run", "choose another --journal, or move it away")


def _finished(path: str) -> Part | None:
    """The run whose journal this is, if it is one and ended."""
    try:
        return read_part(path) if is_journal(path) else None
    except JournalError:
        return None


def _write(parts: Sequence[Part], document: Document, path: str, for_sqlite: bool) -> None:
    """The document and its journal at `path`; what lies there goes last, so that a merge that fails takes nothing."""
    new = path + NEW
    refuse_other_programs(new)
    remove_journal(new)
    make_journal(new, document.out)
    try:
        with Journal(new, parts[0].cache_key, locks=for_sqlite) as journal:
            records = _copied(parts, journal)
            if is_folder(document.out):  # where parts change as they are written, damage has to be met before
                deque(records, 0)
                records = journal.records()
            publish(records, document)
            journal.finish(parts[0].inputs, parts[0].digest, document.layout_text)
        remove_journal(path)
        with writing(path):
            os.replace(new, path)
    finally:
        remove_journal(new)


def _copied(parts: Sequence[Part], journal: Journal) -> Iterator[ImageResult]:
    """The answers, each of which the journal holds by then."""
    journal.begin({folder for part in parts for folder in part.folders} or [""])
    for row in merged(parts):
        journal.copy(row.index, row.path, row.stored, row.failure)
        if row.index % _COMMIT == 0:
            journal.commit()
        yield row.record
    journal.commit()
