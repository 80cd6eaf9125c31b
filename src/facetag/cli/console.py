"""What a command says: data on standard output or in files, everything else on standard error."""

import atexit
import json
import re
import sys
import time
from collections.abc import Callable
from typing import Any

from facetag.errors import UsageError


def say(line: str) -> None:
    """One line on standard error."""
    print(line, file=sys.stderr, flush=True)


def seconds(text: str | None) -> float | None:
    """`90`, `90s`, `20m` or `2h` as seconds; None stays None.

    Raises:
        UsageError: it is none of these.
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    if found is None:
        raise UsageError(f"{text!r} is not a time", "write 90s, 20m or 2h")
    return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]


def metrics_reporter(quiet: bool) -> Callable[[dict[str, Any]], None]:
    """A receiver for rows of training metrics: every validation, and between them bars or a line now and then."""
    if not quiet and sys.stderr.isatty():
        return TrainingBars()
    last = 0.0

    def report(row: dict[str, Any]) -> None:
        nonlocal last
        now = time.monotonic()
        if quiet or ("validation" not in row and now - last < 10):
            return
        last = now
        say(row_text(row))

    return report


def row_text(row: dict[str, Any]) -> str:
    """A row of metrics as `key=value` words."""
    return " ".join(f"{key}={json.dumps(value) if isinstance(value, dict) else value}" for key, value in row.items())


class TrainingBars:
    """Rows of training metrics on a terminal: a bar of rich's for each stage, validations as lines above."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=Console(stderr=True), redirect_stdout=False)
        self._tasks: dict[str, Any] = {}
        atexit.register(self._progress.stop)  # whatever ends the command, the terminal gets its cursor back

    def __call__(self, row: dict[str, Any]) -> None:
        if "validation" in row:
            self._progress.console.print(row_text(row), markup=False, highlight=False)
            return
        if not self._tasks:
            self._progress.start()
        stage = str(row["stage"])
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=row.get("of"))
        text = f"{stage} loss {row['loss']:.4f} {row['images_per_second']:.0f}/s" if "loss" in row else stage
        done = row.get("done", row.get("step"))
        self._progress.update(self._tasks[stage], completed=done, total=row.get("of"), description=text)
