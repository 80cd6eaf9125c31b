"""What a command says: data on standard output or in files, everything else on standard error, a line a message.

All lines go through Python's logger `facetag`. As text they begin with `facetag: `; as JSON (`--log-format json`) each
is one object with `time`, `level`, `message` and whatever fields the message has.
"""

import atexit
import io
import json
import logging
import os
import re
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Literal

import typer

from facetag.errors import UsageError, visible
from facetag.formats.path_encoding import escape

LogFormat = Literal["text", "json"]

VERBOSE = 15  #: the level between logging's DEBUG (`--debug`) and INFO that `--verbose` shows
_LEVELS = {VERBOSE: "verbose", logging.CRITICAL: "ended"}
_LONGEST = 10_000  #: characters of a message that are shown; the longest path has 4,096
_COLOURS = {logging.ERROR: "red", logging.WARNING: "yellow"}

_log = logging.getLogger("facetag")


class _TextFormatter(logging.Formatter):
    """`facetag: message`, errors and warnings with that word. What would steer a terminal, or turn what follows it
    round (U+202E), is spelled out."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        record.message = visible(record.message[:_LONGEST]) + "..." * (len(record.message) > _LONGEST)
        if record.levelno not in _COLOURS:
            return f"facetag: {record.message}"
        word = f"{record.levelname.lower()}:"
        shown = typer.style(word, fg=_COLOURS[record.levelno], bold=True) if colours_wanted() else word
        return f"facetag: {shown} {record.message}"


class _JsonFormatter(logging.Formatter):
    """One object a line."""

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": _LEVELS.get(record.levelno, record.levelname.lower()),
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)
        return json.dumps(said, default=str)


class _StandardError(logging.Handler):
    """Whatever standard error is when the line is said: bars and tests put something in its place."""

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record)
        with suppress(OSError):  # whoever listened has gone: that is no reason to stop
            try:
                print(line, file=sys.stderr, flush=True)
            except RuntimeError:  # a signal's line amid another one: a stream is not entered twice
                os.write(sys.stderr.fileno(), f"{line}\n".encode())


_FORMATTERS: dict[LogFormat, logging.Formatter] = {"text": _TextFormatter(), "json": _JsonFormatter()}
_handler = _StandardError()
_log.addHandler(_handler)
_log.propagate = False


def speak(form: LogFormat | None = None, level: int | None = None) -> None:
    """How lines are written from now on, and from which level; None leaves it."""
    if form:
        _handler.setFormatter(_FORMATTERS[form])
    if level is not None:
        _log.setLevel(level)


speak("text", logging.INFO)


def mend_streams() -> None:
    """Give a program that was started with a closed standard stream (`>&-`) one that keeps its number from other files.

    What is said on standard error is lost then; data are not: reading and writing them is an error of the system.
    Letters that the locale does not know are spelled out.
    """
    for name, flags, mode in (("stdin", os.O_WRONLY, "r"), ("stdout", os.O_RDONLY, "w"), ("stderr", os.O_RDWR, "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.open(os.devnull, flags), mode, encoding="utf-8"))  # noqa: SIM115 - to the end
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def print_path(path: str) -> None:
    """A path on standard output, in the one line of UTF-8 that documents have, whatever the locale's encoding is."""
    sys.stdout.buffer.write(f"{escape(path)}\n".encode())


def speak_as(form: LogFormat | None, quiet: bool, verbose: bool) -> None:
    """What a command's own --log-format, --quiet and --verbose say."""
    heard = min(_log.level, VERBOSE) if verbose else None
    speak(form, logging.ERROR if quiet else heard)


def is_quiet() -> bool:
    """Whether errors alone are said."""
    return not _log.isEnabledFor(logging.INFO)


def is_verbose() -> bool:
    """Whether details are said."""
    return _log.isEnabledFor(VERBOSE)


def speaks_json() -> bool:
    """Whether standard error is for a program to read."""
    return _handler.formatter is _FORMATTERS["json"]


def colours_wanted() -> bool:
    """By NO_COLOR, then FORCE_COLOR, then whether standard error is a terminal that knows colours."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or shows_bars()


def shows_bars() -> bool:
    """Whether standard error is a terminal on which a line can be redrawn, and lines are for people."""
    return not speaks_json() and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def say(line: str, **fields: Any) -> None:
    """A line for whoever runs the command, with the same in fields for programs; `--quiet` leaves it out."""
    _log.info(line, extra={"fields": fields})


def detail(line: str, **fields: Any) -> None:
    """A line that `--verbose` shows."""
    _log.log(VERBOSE, line, extra={"fields": fields})


def warn(line: str, **fields: Any) -> None:
    """A line on what was probably not meant; `--quiet` leaves it out."""
    _log.warning(line, extra={"fields": fields})


def complain(line: str, **fields: Any) -> None:
    """The error that ends the command."""
    _log.error(line, extra={"fields": fields})


def complain_with_traceback(line: str, **fields: Any) -> None:
    """The error being handled, with where it comes from: above the line, or among its fields."""
    where = traceback.format_exc()
    if speaks_json():
        complain(line, **fields, traceback=where)
        return
    with suppress(OSError):
        print(where, end="", file=sys.stderr, flush=True)
    complain(line, **fields)


def take_leave(line: str, **fields: Any) -> None:
    """Why the command ended before its end, where that is no error; even `--quiet` shows it."""
    _log.critical(line, extra={"fields": fields})


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
    if not quiet and shows_bars():
        return TrainingBars()
    last = 0.0

    def report(row: dict[str, Any]) -> None:
        nonlocal last
        now = time.monotonic()
        if quiet or ("validation" not in row and now - last < 10):
            return
        last = now
        say(row_text(row), **row)

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
