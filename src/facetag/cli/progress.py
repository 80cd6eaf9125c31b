"""How a run is doing, on standard error: a bar on a terminal, otherwise a line now and then; a summary at the end."""

import time
from collections import Counter
from types import TracebackType
from typing import Self

from facetag.cli.console import detail, say
from facetag.formats.path_encoding import escape
from facetag.results import ImageRecord, Status

EVERY = 10.0  #: seconds between lines


class Watch:
    """Counts records as they are written; a context manager around the run."""

    def __init__(self, bar: bool) -> None:
        self.counts: Counter[Status] = Counter()
        self.faces = 0
        self._start = self._said = time.monotonic()
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

    def seen(self, record: ImageRecord) -> None:
        """Count one record and say what is to be said."""
        self.counts[record.status] += 1
        self.faces += len(record.faces)
        if record.error:
            path = escape(record.path)
            detail(f"{path}: {record.status}: {record.error}", path=path, status=record.status, error=record.error)
        if self._bar:
            self._bar.show(self.summary())
        elif time.monotonic() - self._said >= EVERY:
            self._said = time.monotonic()
            self.tell()

    def tell(self) -> None:
        """Say how it stands."""
        say(self.summary(), inputs=self.total, faces=self.faces, counts=self.by_status())

    def by_status(self) -> dict[str, int]:
        """Inputs by status, every status in its order."""
        return {status.value: self.counts[status] for status in Status}

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return max(time.monotonic() - self._start, 1e-9)

    def summary(self) -> str:
        """One line: `12 inputs: 9 ok (11 faces), 2 no_face, 1 unreadable; 8.3 images/s`."""
        notes = {Status.OK: f" ({self.faces} face{'s' * (self.faces != 1)})"}
        parts = [f"{self.counts[status]} {status}{notes.get(status, '')}" for status in Status if self.counts[status]]
        rate = self.total / self.seconds
        return f"{self.total} input{'s' * (self.total != 1)}: {', '.join(parts) or 'none'}; {rate:.1f} images/s"


class _Bar:
    """A moving line of rich's; how many inputs there will be is not known, so it has no end."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False)
        self._task = self._progress.add_task("starting")
        self.start, self.stop = self._progress.start, self._progress.stop

    def show(self, text: str) -> None:
        self._progress.update(self._task, description=text)
