"""What a run would do, found out without opening a photo or changing what any file says."""

import os
from collections.abc import Iterable, Iterator
from enum import StrEnum

from facetag.formats.destination import is_regular, next_to
from facetag.pipeline.engine import Answering
from facetag.runs.cache_key import CacheKey
from facetag.runs.cached_reader import Recall
from facetag.runs.journal import ENDING, Journal
from facetag.runs.lock import locked
from facetag.runs.run import LOCK, RunSettings, suffices


class Prospect(StrEnum):
    """What a run would do with an input."""

    KEPT = "kept"  #: its answer is known, and it is not opened
    CHANGED = (
        "changed"  #: read, for it is not as it was, or its answer does not do; asked about unless its content is known
    )
    NEW = "new"  #: read; asked about unless its content is known


def dry_run(
    paths: Iterable[str], engine: Answering, out: str, cache_key: CacheKey, settings: RunSettings
) -> Iterator[tuple[str, Prospect]]:
    """Each path of the shard with what a run at this output would do with it.

    Raises:
        OutputLocked, JournalError, UsageError: as the run itself would.
    """
    kept = filter(settings.shard.keeps, paths)
    path = next_to(out, ENDING) if is_regular(out) else ""
    if not path or settings.overwrite or not os.path.exists(path):
        yield from ((each, Prospect.NEW) for each in kept)
        return
    arguments = "" if settings.append else settings.arguments
    with (
        locked(next_to(out, LOCK), out, settings.lock_wait) as for_sqlite,
        Journal(path, cache_key, shard=settings.shard, arguments=arguments, locks=for_sqlite) as journal,
    ):
        recall = Recall(journal, settings.rehash, cache_key.by_path, suffices(settings, None), engine.stored)
        for each in kept:
            if recall.unopened(recall.journalled(each), engine.start.location(each)):
                yield each, Prospect.KEPT
            else:
                yield each, Prospect.CHANGED if journal.had(each) else Prospect.NEW
