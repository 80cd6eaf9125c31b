"""How a run is doing, on standard error: a bar on a terminal, otherwise a line now and then; a summary at the end."""

import errno
import os
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from facetag.cli.console import complain, detail, is_verbose, say, warn
from facetag.formats.path_encoding import escape
from facetag.results import ImageResult, Status
from facetag.runs.listing import Listing
from facetag.runs.run import Fate

EVERY = 10.0  #: seconds between lines
NAMED = 5  #: failures that are named without --verbose
_COLUMNS = 57  #: of the moving line, but for what turns before it
_PERIOD = 30.0  #: seconds over which the time left is reckoned

_ABSENT = {os.strerror(number) for number in (errno.ENOENT, errno.ENOTDIR)}  #: what a record of no file says


class Watch:
    """Counts records as they are written; a context manager around the run."""

    def __init__(
        self,
        bar: bool,
        listing: Listing,
        was_missing: Callable[[str], bool] = lambda path: False,
        loading: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """`was_missing` says of a path whether the user named it and nothing is there; `loading` for how many seconds
        a model was loaded, which are no part of the run."""
        self.counts: Counter[Status] = Counter()
        self.fates: Counter[Fate] = Counter()
        self.faces = 0
        self.failed_now = 0  #: those that no earlier run knew
        self._listing = listing
        self._was_missing = was_missing
        self._loading, self._loaded_before = loading, loading()
        self._unnamed = self._said_failures = 0
        self._start = self._said = time.monotonic()
        self._moments: deque[tuple[float, int]] = deque([(self._start, 0)])
        self._bar = _Bar() if bar else None

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()

    @property
    def total(self) -> int:
        return self.counts.total()

    @property
    def failed(self) -> int:
        return sum(count for status, count in self.counts.items() if status.is_failure)

    @property
    def known_total(self) -> int | None:
        """Inputs of the run; None while they are not all listed."""
        return self._listing.listed if self._listing.is_whole else None

    @property
    def is_before_its_end(self) -> bool:
        """Whether there are inputs that were not answered yet."""
        return self.known_total is None or self.total < self.known_total

    def seen(self, record: ImageResult, fate: Fate) -> None:
        """Count one record and say what is to be said."""
        self.counts[record.status] += 1
        self.fates[fate] += 1
        self.faces += len(record.faces)
        self.failed_now += record.status.is_failure and fate is not Fate.REUSED
        if record.error:
            self._name(record)
        self._note_the_time()
        if self._bar:
            self._bar.show(self.progress())
        elif self._moments[-1][0] - self._said >= EVERY:
            self._said = self._moments[-1][0]
            say(f"{self.by_words()}; {self.rate:.1f} images/s; {self.ahead()}", **self.figures())

    def _name(self, record: ImageResult) -> None:
        """Say of one input that it failed: all with `--verbose`, else the first few, and always what is not there."""
        path = escape(record.path) or "''"
        line, fields = f"{path}: {record.status}: {record.error}", {
            "path": path, "status": record.status, "error": record.error,
        }  # fmt: skip
        if is_verbose():
            detail(line, **fields)
        elif not record.status.is_failure:
            return
        elif record.error in _ABSENT and self._was_missing(record.path):
            complain(line, **fields)
        elif self._said_failures < NAMED:
            self._said_failures += 1
            warn(line, **fields)
        else:
            self._unnamed += 1

    def conclude(self, gone: int | None, passed_over: int) -> None:
        """The summary; `gone` is None where there was no output before to be compared with."""
        if self._unnamed:
            warn(f"{self._unnamed} more input{'s' * (self._unnamed != 1)} failed; -v names all", failed=self.failed)
        parts = [self.by_words()]
        if gone is not None:
            counted = {**{fate.value: self.fates[fate] for fate in Fate}, "gone": gone}
            parts.append(", ".join(f"{count} {word}" for word, count in counted.items()))
        if passed_over:
            parts.append(f"{passed_over} passed over")
        parts.append(f"{self.rate:.1f} images/s")
        say("; ".join(parts), **self.figures(), gone=gone, passed_over=passed_over)

    def figures(self) -> dict[str, Any]:
        """The summary's, for programs."""
        return {
            "inputs": self.total,
            "faces": self.faces,
            "counts": self.by_status(),
            **{fate.value: self.fates[fate] for fate in Fate},
            "listed": self._listing.listed,
            "images_per_second": round(self.rate, 3),
        }

    def by_status(self) -> dict[str, int]:
        """Inputs by status, every status in its order."""
        return {status.value: self.counts[status] for status in Status}

    @property
    def seconds(self) -> float:
        """Since the beginning, without those in which a model was loaded."""
        return max(time.monotonic() - self._start - (self._loading() - self._loaded_before), 1e-9)

    @property
    def rate(self) -> float:
        """Images a second, of those that were looked at."""
        return (self.total - self.fates[Fate.REUSED]) / self.seconds

    def by_words(self) -> str:
        """`12 inputs: 9 ok (11 faces), 2 no_face, 1 unreadable`."""
        notes = {Status.OK: f" ({self.faces} face{'s' * (self.faces != 1)})"}
        parts = [f"{self.counts[status]} {status}{notes.get(status, '')}" for status in Status if self.counts[status]]
        return f"{self.total} input{'s' * (self.total != 1)}: {', '.join(parts) or 'none'}"

    def progress(self) -> str:
        """For a terminal of 60 columns: `1200/5000 24 %, 83.1/s, 0:00:46 left, 3 failed`."""
        text = f"{self.total}/{self._of()} {self._percent()} %, {self.rate:.1f}/s, {self._left()} left"
        failed = f", {self.failed} failed" if self.failed else ""
        return text + failed if len(text + failed) <= _COLUMNS else text

    def ahead(self) -> str:
        """`24 % of 5000, 0:00:46 left`."""
        return f"{self._percent()} % of {self._of()}, {self._left()} left"

    def _of(self) -> str:
        """The inputs listed so far; a plus says that there may be more."""
        return f"{max(self._listing.listed, self.total)}{'' if self._listing.is_whole else '+'}"

    def _percent(self) -> int:
        return 100 * self.total // max(self._listing.listed, self.total, 1)

    def _left(self) -> str:
        """By the speed of the last half minute."""
        (then, before), (now, _) = self._moments[0], self._moments[-1]
        speed = (self.total - before) / max(now - then, 1e-9)
        seconds = round(max(self._listing.listed - self.total, 0) / max(speed, 1e-9))
        if seconds >= 100 * 3600:
            return f"{seconds // 86400} days"
        return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"

    def _note_the_time(self) -> None:
        now = time.monotonic()
        if len(self._moments) > 1 and now - self._moments[-2][0] < 1:
            self._moments.pop()  # a moment a second is enough, and the present one
        self._moments.append((now, self.total))
        while len(self._moments) > 2 and now - self._moments[0][0] > _PERIOD:
            self._moments.popleft()


class _Bar:
    """A moving line of rich's."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn

        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False))
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False)
        self._task = self._progress.add_task("starting")

    def start(self) -> None:
        self._progress.start()

    def stop(self) -> None:
        with suppress(OSError):  # the terminal was closed
            self._progress.stop()

    def show(self, text: str) -> None:
        with suppress(OSError):
            self._progress.update(self._task, description=text)
