"""The files of a run besides its document: the journal, the lock and the record of how it went."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from facetag.errors import UsageError, writing
from facetag.formats.destination import next_to
from facetag.remote.url import as_url
from facetag.runs.journal import ENDING as JOURNAL
from facetag.runs.lock import locked
from facetag.runs.run_report import ENDING as REPORT
from facetag.runs.run_report import is_record

LOCK = ".lock"  #: ending of a lock's name, after the output's or the journal's


@dataclass(frozen=True)
class RunFiles:
    """Where they lie.

    Attributes:
        out: the output, a regular file or a URL.
        journal, report: paths on this machine.
        locks: all of them are held by a run; the first says what file system the journal lies on.
        is_apart: the user named the journal, so that its place says nothing of whose the output is.
    """

    out: str
    journal: str
    report: str
    locks: tuple[str, ...]
    is_apart: bool = False

    @classmethod
    def of(cls, out: str, journal: str | None = None) -> "RunFiles":
        """Beside the output, or beside a journal that the user named.

        Raises:
            UsageError: the output lies elsewhere, and no journal is named; or the journal does, or is the output.
            FacetagError: the journal's folder is not there.
        """
        own = () if as_url(out) else (next_to(out, LOCK),)
        if journal:
            _refuse_as_journal(journal, out)
            return cls(out, journal, journal + REPORT, (journal + LOCK, *own), True)
        if not own:
            raise UsageError(f"{out} has no room for a journal beside it", "add --journal FILE, on this machine")
        return cls(out, next_to(out, JOURNAL), next_to(out, REPORT), own)

    @property
    def know_out(self) -> bool:
        """Whether they show that the output is facetag's."""
        if self.is_apart:
            return is_record(self.report, of=self.out)
        return is_record(self.report) or os.path.isfile(self.journal)

    @contextmanager
    def locked(self, wait: float = 0.0, stop: Callable[[], bool] = lambda: False) -> Iterator[bool]:
        """Hold the locks; see `runs.lock.locked`."""
        with ExitStack() as held:
            for_sqlite = [held.enter_context(locked(path, self.out, wait, stop)) for path in self.locks]
            yield for_sqlite[0]


def _refuse_as_journal(journal: str, out: str) -> None:
    """See that a file that the user names may be, or become, a journal."""
    if as_url(journal):
        raise UsageError(f"--journal {journal} is not on this machine", "name a file here")
    if not as_url(out) and os.path.realpath(out) == os.path.realpath(journal):
        raise UsageError(f"--journal {journal} is the output", "name another file")
    with writing(journal):
        os.stat(os.path.dirname(os.path.realpath(journal)))
