"""What a run would do, found out without opening a photo or changing what any file says."""

import os
from collections.abc import Iterable, Iterator
from enum import StrEnum

from facetag.pipeline.engine import Answering
from facetag.runs.appending import as_seen
from facetag.runs.cache_key import CacheKey
from facetag.runs.cached_reader import Recall
from facetag.runs.journal import Journal
from facetag.runs.run import RunSettings, suffices
from facetag.runs.run_files import RunFiles


class Prospect(StrEnum):
    """What a run would do with an input."""

    KEPT = "kept"  #: its answer is known, and it is not opened
    CHANGED = (
        "changed"  #: read, for it is not as it was, or its answer does not do; asked about unless its content is known
    )
    NEW = "new"  #: read; asked about unless its content is known


def dry_run(
    paths: Iterable[str], engine: Answering, files: RunFiles | None, cache_key: CacheKey, settings: RunSettings
) -> Iterator[tuple[str, Prospect]]:
    """Each path of the shard with what a run with these files would do with it; None of an output that streams.

    Raises:
        OutputLocked, JournalError, UsageError: as the run itself would.
    """
    kept: Iterator[str] = filter(settings.shard.keeps, paths)
    if not files or settings.overwrite or not os.path.exists(files.journal):
        yield from ((each, Prospect.NEW) for each in kept)
        return
    with (
        files.locked(settings.lock_wait) as for_sqlite,
        Journal(
            files.journal,
            cache_key,
            shard=settings.shard,
            arguments=settings.arguments,
            locks=for_sqlite,
            append=settings.append,
        ) as journal,
    ):
        if settings.append:
            kept = map(as_seen(journal, engine.start), kept)
        recall = Recall(journal, settings.rehash, cache_key.by_path, suffices(settings, None), engine.stored)
        for each in kept:
            if recall.unopened(recall.journalled(each), engine.start.location(each)):
                yield each, Prospect.KEPT
            else:
                yield each, Prospect.CHANGED if journal.had(each) else Prospect.NEW
        journal.rest()
